"""What the commands share: how stars and runs are named."""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.errors import InputDataError, TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.renamed_keys import with_new_names
from tessphot_lib.report.find import FoundStar, find_star

Found = TypeVar("Found")


def add_directory(command: argparse.ArgumentParser) -> None:
    """Add the option that names the folder of a run."""
    command.add_argument(
        "--directory", type=Path, default=Path(), help="folder of the run (default: here)"
    )


def tic_number(text: str) -> int:
    """Read 261136679 or "TIC 261136679"."""
    match = re.fullmatch(r"(?:TIC[ _-]*)?(\d+)", text.strip(), flags=re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 261136679 or 'TIC 261136679'")
    return int(match[1])


def tic_number_or_file(text: str) -> int | Path:
    """Read the number of a star, or the name of a file that is there."""
    return Path(text) if Path(text).is_file() else tic_number(text)


def todo_of(options: argparse.Namespace) -> Path:
    """Return the todo list of the run that was named."""
    return options.directory / "results" / "todo.sqlite"


def listed_stars(options: argparse.Namespace) -> list[FoundStar]:
    """Find a star on each CCD that it has an aperture on.

    Raises
    ------
    TessphotError
        If there is none.
    """
    stars = find_star(todo_of(options), options.tic_id)
    listed = [star for star in stars if star.status is not None]
    if not listed:
        raise TessphotError(f"TIC {options.tic_id} has no aperture: {stars[0].remark}")
    return listed


def of_one_cadence(found: Mapping[CcdId, Found]) -> list[Found]:
    """Return what is of the images; without any, of the target pixel files of longest cadence."""
    cadences = {ccd_id.cadence for ccd_id in found}
    wanted = 0 if 0 in cadences else max(cadences, default=0)
    return [one for ccd_id, one in found.items() if ccd_id.cadence == wanted]


def settings_of_run(run: Path) -> dict[str, Any]:
    """Return what ``run.json`` has; the defaults, and a line, if no run has come to its end."""
    try:
        said = json.loads(run.read_text(encoding="utf-8"))["settings"]
        return with_new_names(said, run.name)[0]  # of an earlier release, perhaps
    except FileNotFoundError:
        sys.stderr.write(f"tessphot: {run} is not there: the defaults are used instead\n")
        return default_config()
    except (ValueError, KeyError, TypeError) as error:
        raise InputDataError(f"{run}: not the record of a run: {error}") from error
