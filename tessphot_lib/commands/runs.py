"""``tessphot movie``, ``release`` and ``merge``: whole runs."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tessphot_lib.commands.common import add_directory, of_one_cadence, settings_of_run
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError, TessphotError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.products.todo_join import join_todos
from tessphot_lib.report.movie import write_movie
from tessphot_lib.report.release import release

CCDS_OF_A_FILM = (
    "such as s0014-cam1-ccd2 (default: all that have images; without any, those of the longest "
    "cadence)"
)


def add_runs(commands: Any) -> None:
    """Add the commands to the parsers of the command line."""
    _add_movie(commands.add_parser("movie", help="film of the images of a CCD"))
    _add_delivery(commands)


def _add_movie(command: argparse.ArgumentParser) -> None:
    """Options of the film."""
    command.description = (
        "Write a film of a CCD: each image, its background, and their difference with flagged "
        "pixels in red; of several CCDs, their images side by side."
    )
    command.set_defaults(run=_movie)
    command.add_argument("ccds", nargs="*", metavar="CCD", help=CCDS_OF_A_FILM)
    add_directory(command)
    command.add_argument(
        "--output", type=Path, default=Path("movie.mp4"), help="film, .mp4, .gif or .webp"
    )
    command.add_argument(
        "--window",
        type=int,
        nargs=4,
        metavar=("ROW0", "ROW1", "COLUMN0", "COLUMN1"),
        help="only these science pixels",
    )
    command.add_argument("--fps", type=float, default=12.0, help="frames per second (default: 12)")
    command.add_argument("--step", type=int, default=1, help="show every STEP-th image")


def _add_delivery(commands: Any) -> None:
    """Add the commands on whole runs."""
    deliver = commands.add_parser(
        "release",
        help="arrange a run as a collection for MAST",
        description="Arrange a finished run, made with output.hlsp, as a high-level science "
        "product: file names, folders, text on columns and flags, list of stars, checksums.",
    )
    add_directory(deliver)
    deliver.add_argument("--output", type=Path, required=True, help="folder to make")
    deliver.set_defaults(run=_release)
    merge = commands.add_parser(
        "merge",
        help="join todo lists of several runs, or of TASOC's programs",
        description="Join todo lists. Where several have the same star, the later ones count; "
        "further tables and columns, as those of TASOC's corrections, are kept.",
    )
    merge.add_argument("lists", type=Path, nargs="+", metavar="LIST", help="todo.sqlite")
    merge.add_argument("--output", type=Path, required=True, help="todo list to write")
    merge.add_argument(
        "--as-corrected",
        action="store_true",
        help="present FLUX_CORR of the run as TASOC's corrections, for its classification",
    )
    merge.set_defaults(run=_merge)


def _movie(options: argparse.Namespace) -> int:
    """Write a film."""
    folder = options.directory / "results"
    names = [str(CcdId.from_string(name)) for name in options.ccds]
    pixels = [folder / name / "pixels.hdf5" for name in names]
    pixels = pixels or pixels_of_a_run(folder)
    if not pixels:
        raise TessphotError(
            f"{folder}: there are no pixels of a CCD (pixels.hdf5) to show; name the "
            "folder of a run (--directory)"
        )
    window = Window(*options.window) if options.window else None
    n_frames = write_movie(
        options.output, pixels, window=window, fps=options.fps, step=options.step
    )
    sys.stdout.write(f"{options.output}: {n_frames} frames\n")
    return 0


def pixels_of_a_run(folder: Path) -> list[Path]:
    """All CCDs that have images; without any, those of the longest cadence."""
    paths = sorted(folder.glob("s*-cam?-ccd?*/pixels.hdf5"))
    return of_one_cadence({CcdId.from_string(path.parent.name): path for path in paths})


def _release(options: argparse.Namespace) -> int:
    """Arrange a run for delivery."""
    results = options.directory / "results"
    record = results / "run.json"
    if not record.is_file():
        raise InputDataError(
            f"{record}: there is no such file; name the folder of a finished run (--directory)"
        )
    made = release(results, options.output, settings_of_run(record)["output"])
    sys.stdout.write(
        f"{options.output}: {counted(made.n_light_curves, 'light curve')}, "
        f"{counted(made.n_files, 'file')}\n"
    )
    if made.unset:
        sys.stdout.write(f"MAST asks for {', '.join(made.unset)}, too: not set\n")
    return 0


def _merge(options: argparse.Namespace) -> int:
    """Join todo lists."""
    made = join_todos(options.lists, options.output, as_corrected=options.as_corrected)
    lists = counted(len(options.lists), "list")
    sys.stdout.write(
        f"{options.output}: {counted(made.n_stars, 'star')} of {lists}, "
        f"{made.n_common} of them in several\n"
    )
    return 0
