"""``tessphot star``: one star measured again, with other settings, beside the run."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tessphot_lib.commands.common import (
    add_directory,
    listed_stars,
    settings_of_run,
    tic_number,
    todo_of,
)
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.settings import METHODS, OutputSettings, PhotometrySettings
from tessphot_lib.get.configuration import read_settings
from tessphot_lib.report.comparison import comparison_table, draw_comparison
from tessphot_lib.report.find import FoundStar
from tessphot_lib.steps.lightcurve import run_light_curve

COUNTING = (
    *("photometry.method", "photometry.auto", *(f"photometry.{name}" for name in METHODS)),
    *("photometry.correction.method", "photometry.extra_apertures"),
    *("output.version", "output.origin", "output.hlsp"),
)


def add_star(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    star = commands.add_parser(
        "star",
        help="measure one star again, with other settings",
        description="Measure one star again from the pixels of the run, with the settings of the "
        "run (results/run.json) where --config does not say otherwise. Settings that can differ: "
        f"{_counting()}. With other settings of apertures the star's aperture is chosen again. For "
        "all other settings the run has to be made again.",
    )
    star.set_defaults(run=_star)
    star.add_argument("tic_id", type=tic_number, metavar="TIC", help="number of the star")
    add_directory(star)
    star.add_argument(
        "--method",
        choices=("auto", *METHODS),
        help="auto: by the rules of photometry.auto (default: that of the todo list)",
    )
    star.add_argument(
        "--compare",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help=f"measure it by each of these ({', '.join(METHODS)}): table, and picture beside them",
    )
    star.add_argument(
        "--config", type=Path, help="YAML file with settings that differ from the run's"
    )
    star.add_argument("--output", type=Path, default=Path("trials"), help="folder for the result")


def _star(options: argparse.Namespace) -> int:
    """Measure a star again."""
    listed = listed_stars(options)
    config = _settings(options.directory / "results" / "run.json", options.config)
    if options.compare and options.method:
        raise ConfigError("--method and --compare: only one of them")
    for star in listed:
        made = {
            method: _measure(options, star, config, method)
            for method in dict.fromkeys(options.compare or [options.method])
        }
        sys.stdout.writelines(f"{path}\n" for path in made.values())
        if options.compare:
            picture = _unused(options.output / f"tic{star.tic_id}-{star.ccd_id}-compare.png")
            draw_comparison(made, picture)
            sys.stdout.write(f"{picture}\n{comparison_table(made)}\n")
    return 0


def _unused(path: Path) -> Path:
    """Name of a file that is not there yet: a trial replaces no other one."""
    stem, dot, suffix = path.name.partition(".")
    numbered = (path.with_name(f"{stem}-{n}{dot}{suffix}") for n in count(2))
    return path if not path.exists() else next(name for name in numbered if not name.exists())


def _measure(
    options: argparse.Namespace, star: FoundStar, config: Mapping[str, Any], method: str | None
) -> Path:
    """Measure a star on one CCD; return the path of its light curve."""
    folder = todo_of(options).parent / str(star.ccd_id)
    name = f"tic{star.tic_id}-{star.ccd_id}-{method or 'todo'}.fits.gz"
    output = _unused(options.output / name)
    run_light_curve(
        CcdFiles.in_folder(folder),
        star.ccd_id,
        output=output,
        tic_id=star.tic_id,
        settings=PhotometrySettings.from_mapping(config["photometry"]),
        output_settings=OutputSettings.from_mapping(config["output"]),
        method=method,
    )
    return output


def _settings(run: Path, path: Path | None) -> dict[str, Any]:
    """Settings of the run, overridden by the user's file; checked."""
    config = settings_of_run(run)
    if path is None:
        return config
    both, warnings = read_settings(path, config)
    for warning in warnings:
        sys.stderr.write(f"tessphot: {warning}\n")
    without_effect = [key for key in _changed(config, both) if not _counts(key)]
    if run.is_file() and without_effect:
        raise ConfigError(
            f"{path}: {without_effect[0]}: differs from the run's, which would have to be made "
            f"again; only {_counting()} count for a single star"
        )
    return both


def _counting() -> str:
    """Which settings count when a single star is measured again."""
    return ", ".join(COUNTING[:-1]) + f" and {COUNTING[-1]}"


def _counts(key: str) -> bool:
    """Whether a setting counts when a single star is measured again."""
    return any(f"{key}.".startswith(f"{one}.") for one in COUNTING)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of the settings that are not the same."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            yield from _changed(old[key], value, f"{above}{key}.")
        elif value != old.get(key):
            yield above + key
