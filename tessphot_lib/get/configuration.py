"""The settings of a run for one star: the defaults, the user's file, and what the star needs."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.core.config_check import schema_problems
from tessphot_lib.core.config_files import config_schema
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.renamed_keys import merged, with_new_names
from tessphot_lib.get.sky import Star
from tessphot_lib.io.files.yaml_files import read_yaml

FAINTER = 0.1  # [mag] limits are fainter than a star by this
# Sizes of cutouts [pixels] by the faintest star that is given them: bright ones bleed.
SIZES = ((3.0, 51), (5.0, 35), (7.0, 25))
SIZE = 15


def read_settings(path: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Read the user's settings over others.

    Parameters
    ----------
    path : Path
        YAML file.
    config : mapping
        A complete configuration.

    Returns
    -------
    config : dict
        Complete and checked.
    warnings : list of str
        A line for each key that is given by an old name.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value is wrong.
    """
    own = json.loads(json.dumps(read_yaml(path), default=str))  # texts for keys, as in run.json
    own, warnings = with_new_names(own, str(path))
    both = merged(config, own)
    problems = schema_problems(both, config_schema())
    if problems:
        raise ConfigError(f"{path}: {problems[0]}")
    return both, warnings


def for_star(
    config: Mapping[str, Any], star: Star, stars: Path | None, sectors: list[int]
) -> dict[str, Any]:
    """Return the settings of the run for one star.

    Parameters
    ----------
    config : mapping
        A complete configuration.
    star : Star
        Limits of brightness become so faint that it is measured.
    stars : Path or None
        List of stars; None: they are downloaded.
    sectors : list of int
    """
    config = copy.deepcopy(dict(config))
    config["sectors"] = sectors
    config["input"]["source"] = "tesscut"
    config["targets"]["tic_ids"] = [star.tic_id]
    if stars is not None:
        config["catalog"] |= {"source": "file", "file": str(stars)}
    limit = (star.tmag or 0.0) + FAINTER
    for section, key in (("catalog", "faint_limit"), ("todo", "faint_limit")):
        config[section][key] = max(config[section][key], limit)
    fits = config["photometry"]["linpsf"]
    if fits["free_limit"] is not None:  # null follows todo.faint_limit by itself
        fits["free_limit"] = max(fits["free_limit"], config["todo"]["faint_limit"])
    return config


def cutout_size(tmag: float | None) -> int:
    """Return rows and columns that a cutout of a star needs; the usual ones for unknown Tmag."""
    known = [size for limit, size in SIZES if tmag is not None and tmag <= limit]
    return known[0] if known else SIZE
