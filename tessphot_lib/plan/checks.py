"""Check of a configuration as a whole: the schema, then what keys and files say of each other.

All that is wrong is reported at once, one line each, before any job is run.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tessphot_lib.core.config_check import refusal, schema_problems
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.targets import parse_sectors
from tessphot_lib.plan.sources import SOURCES
from tessphot_lib.plan.stamp_sources import stamps_of
from tessphot_lib.plan.stars import star_problems, stars_before_images


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check a complete configuration, defaults included, and that the files it names are there.

    Parameters
    ----------
    config : mapping
        As YAML gives it.
    schema : mapping
        ``workflow/schemas/config.schema.yaml``.

    Raises
    ------
    ConfigError
        One line per problem, each naming the key, its value and what is allowed.
    """
    problems = schema_problems(config, schema) or list(contradictions(config))
    if problems:
        raise refusal(problems)


def contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between keys, and with the files they name, a line each.

    Parameters
    ----------
    config : mapping
        A complete configuration without problems of the schema.
    """
    try:
        Window.from_config(config["input"]["window"])
    except ConfigError as error:
        yield f"input.window: {error}"
    for source in SOURCES.values():
        yield from source.settings_problems(config["input"])
    if "ffi" in config["input"]["datasources"]:
        yield from SOURCES[config["input"]["source"]](config).problems()
    if (stamps := stamps_of(config)) is not None:
        yield from stamps.problems()
    yield from star_problems(config)
    yield from _unknown_sectors(config)
    if config["output"]["parquet"] and find_spec("pyarrow") is None:
        yield (
            "output.parquet: true needs the package pyarrow, which is not installed: "
            "pip install '.[parquet]'"
        )
    if config["output"]["joined"] and not config["targets"]["tic_ids"]:
        yield "output.joined: true needs stars to join the light curves of: targets.tic_ids"
    yield from _missing_files(config)
    yield from _impossible_limits(config)


def _unknown_sectors(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a text of sectors cannot be read, or why there cannot be all: none is here yet."""
    sectors = config["sectors"]
    try:
        if not isinstance(sectors, str) or parse_sectors(sectors, "sectors") is not None:
            return
    except ConfigError as error:
        yield str(error)
        return
    has_images = "ffi" in config["input"]["datasources"]
    source = config["input"]["source"]
    if has_images and source not in ("ffi", "tesscut"):
        yield (
            f"sectors: 'all' does not go with input.source: {source}, whose images are not here "
            "yet: name the sectors"
        )
    if not has_images and config["input"]["tpfs"]["targets"]:
        yield "sectors: 'all' does not go with input.tpfs.targets: name the sectors"
    if stars_before_images(config):
        yield "sectors: 'all' does not go with catalog.footprint: pointing: name the sectors"


def _missing_files(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not there of the files and folders that are named."""
    tpf_dir = config["input"]["tpf_dir"]
    is_made = bool(config["input"]["tpfs"]["targets"]) and "tpf" in config["input"]["datasources"]
    if tpf_dir is not None and not is_made and not Path(tpf_dir).expanduser().is_dir():
        yield f"input.tpf_dir: there is no folder {tpf_dir!r}"
    ephemeris = config["times"]["ephemeris"]
    if ephemeris is not None and not Path(ephemeris).expanduser().is_file():
        yield f"times.ephemeris: there is no file {ephemeris!r}"
    objects = config["moving"]["ephemerides"]
    if objects is not None and not Path(objects).expanduser().is_file():
        yield f"moving.ephemerides: there is no file {objects!r}"
    if config["photometry"]["transients"] and not config["moving"]["find"]:
        yield "photometry.transients: true needs moving.find: true, which finds them"
    if config["photometry"]["moving"] and not any(config["moving"].values()):
        yield "photometry.moving: true needs moving.find, moving.ephemerides or moving.skybot"
    folder = config["prf"]["folder"]
    if config["prf"]["source"] == "spoc" and folder is None:
        yield "prf.folder: must name a folder, since prf.source is 'spoc'"
    elif folder is not None and not Path(folder).expanduser().is_dir():
        yield f"prf.folder: there is no folder {folder!r}"


def _impossible_limits(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield limits of magnitude that leave no star."""
    for name, stars in (("prepare.motion", config["prepare"]["motion"]), ("prf", config["prf"])):
        if stars["bright_limit"] >= stars["faint_limit"]:
            yield (
                f"{name}.bright_limit: {stars['bright_limit']} must be less than "
                f"faint_limit, {stars['faint_limit']}"
            )
    if config["todo"]["faint_limit"] > config["catalog"]["faint_limit"]:
        yield (
            f"todo.faint_limit: {config['todo']['faint_limit']} is fainter than "
            f"catalog.faint_limit, {config['catalog']['faint_limit']}: such stars are not known"
        )
