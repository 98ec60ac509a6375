"""Last step: the todo list of the run -> a summary, and an error if the code failed on a star."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.errors import TessphotError
from tessphot_lib.io.atomic import complete_file
from tessphot_lib.io.not_measured_ecsv import read_not_measured
from tessphot_lib.io.todo_sqlite import (
    Status,
    read_diagnostics,
    read_excluded_stars,
    read_todo,
)
from tessphot_lib.model import CcdId
from tessphot_lib.stages.failures import UNEXPECTED
from tessphot_lib.stages.run_record import write_run_record
from tessphot_lib.stages.todo import UNKNOWN_LIGHT

log = logging.getLogger(__name__)


SUMMARY_TMAG = (8, 10, 12, 14)  # magnitudes whose precision is told, each +- 0.5
MAX_NAMED = 10


def run_check(
    todo: Path,
    output_summary: Path,
    output_record: Path,
    *,
    tic_ids: list[int],
    not_measured: Sequence[Path] = (),
    ffi_tables: Sequence[Path] = (),
    pixels: Sequence[Path] = (),
    config: Mapping[str, Any],
    began: Path | None = None,
) -> None:
    """Write the summary and the record of a run.

    Parameters
    ----------
    todo : Path
        Of the run.
    output_summary, output_record : Path
        ``summary.txt``, ``run.json``
    tic_ids : list of int
        Stars that were asked for; empty: all.
    not_measured : sequence of Path
        ``not_measured.ecsv`` of each CCD of cutouts.
    ffi_tables, pixels, config, began
        See `tessphot_lib.stages.run_record.write_run_record`.

    Raises
    ------
    TessphotError
        If an unexpected error hit any star: names the stars and their logs.
    """
    stars = read_todo(todo).merge(
        read_diagnostics(todo), on="priority", how="left", suffixes=("", "_measured")
    )
    failed = stars[stars["errors"].fillna("").str.startswith(UNEXPECTED)]
    if len(failed):
        raise TessphotError(_name_failures(failed, todo, tic_ids))
    if tic_ids:
        stars = stars[stars["tic_id"].isin(tic_ids)]
    text = summary(stars, todo, tic_ids) + "".join(map(_not_measured_lines, not_measured))
    of_run = {"ffi_tables": ffi_tables, "pixels": pixels, "config": config, "began": began}
    write_run_record(output_record, stars, **of_run)
    with complete_file(output_summary) as partial:
        partial.write_text(text, encoding="utf-8")


def summary(stars: pd.DataFrame, todo: Path, tic_ids: list[int]) -> str:
    """Tell in a few lines how a run ended.

    Parameters
    ----------
    stars : DataFrame
        Todo list and diagnostics joined.
    todo : Path
    tic_ids : list of int
        Stars that were asked for; those that are on no list are named.
    """
    counts = stars["status"].value_counts()
    words = {
        Status.OK: "measured",
        Status.WARNING: "measured with a warning",
        Status.SKIPPED: "left to a brighter neighbor",
        Status.ERROR: "failed",
    }
    lines = [f"{len(stars)} stars:"]
    lines += [f"  {int(counts.get(int(status), 0)):8d} {name}" for status, name in words.items()]
    excluded = read_excluded_stars(todo)
    unlisted = set(tic_ids) - set(stars["tic_id"])
    out = sorted(unlisted & set(excluded["tic_id"]))
    if out:
        lines.append(f"  {len(out):8d} excluded by todo.exclude: {_shorten(out)}")
    missing = sorted(unlisted - set(out))
    if missing:
        lines.append(
            f"  {len(missing):8d} on no CCD of this run, fainter than todo.faint_limit, without "
            f"Tmag, or DUPLICATE or ARTIFACT in the TIC: {_shorten(missing)}"
        )
    n_unknown = int(stars["errors"].fillna("").str.contains(UNKNOWN_LIGHT, regex=False).sum())
    if n_unknown:
        lines.append(
            f"  {n_unknown:8d} whose aperture holds much more light than the known stars give: "
            "does the star list lack bright neighbors?"
        )
    lines.append("median scatter over 1 h (ppm) and from point to point (ppm), variables included:")
    lines += [_precision_line(stars, tmag) for tmag in SUMMARY_TMAG]
    if len(excluded):
        lines.append(f"excluded by todo.exclude, see table 'excluded' there: {len(excluded)}")
    example = stars[stars["lightcurve"].notna()]
    lines.append(f"todo list:     {todo}")
    if len(example):
        lines.append(f"a light curve: {todo.parent / example['lightcurve'].iloc[0]}")
    stale = _folders_of_other_tiles(todo.parent, stars) if not tic_ids else []
    if stale:
        lines.append(f"not of this run, left by other tiles (delete them): {_shorten(stale)}")
    failures = stars[stars["status"] == int(Status.ERROR)]
    for reason, count in failures["errors"].value_counts().head(5).items():
        lines.append(f"{count} failed: {reason}")
    return "\n".join(lines) + "\n"


def _folders_of_other_tiles(folder: Path, stars: pd.DataFrame) -> list[str]:
    """Folders with light curves that an earlier run with other tiles has left."""
    own = {
        f"s{star.sector:04d}-cam{star.camera}-ccd{star.ccd}/lightcurves/{star.tile}"
        for star in stars[["sector", "camera", "ccd", "tile"]].drop_duplicates().itertuples()
    }
    return [
        str(tile)
        for tile in sorted(folder.glob("*/lightcurves/*"))
        if tile.relative_to(folder).as_posix() not in own and any(tile.glob("*.fits.gz"))
    ]


def _not_measured_lines(path: Path) -> str:
    """Counts of the stars of a CCD of cutouts that got no light curve, by reason."""
    stars = read_not_measured(path)
    counts = stars["reason"].value_counts().items()
    lines = [f"  {count:8d} {reason}\n" for reason, count in counts]
    return f"stars that are not on the list: {path}\n" + "".join(lines) if lines else ""


def _precision_line(stars: pd.DataFrame, tmag: float) -> str:
    """Median precision of the stars around one magnitude."""
    near = stars[(np.abs(stars["tmag"] - tmag) <= 0.5) & stars["rms_hour"].notna()]
    if near.empty:
        return f"  Tmag {tmag:2d}: no stars"
    rms_hour, ptp = 1e6 * near["rms_hour"].median(), 1e6 * near["ptp"].median()
    return f"  Tmag {tmag:2d}: {rms_hour:8.0f} {ptp:8.0f}   ({len(near)} stars)"


def _name_failures(failed: pd.DataFrame, todo: Path, tic_ids: list[int]) -> str:
    """One line for the stars on which the code failed."""
    names = []
    for star in failed.head(MAX_NAMED).itertuples():
        job = "targets" if tic_ids else f"photometry_{star.tile}"
        log_file = f"logs/{CcdId(star.sector, star.camera, star.ccd)}/{job}.log"
        reason = " ".join(star.errors.removeprefix(UNEXPECTED).split())
        names.append(f"TIC {star.tic_id}: {reason} ({log_file})")
    more = f"; and {len(failed) - MAX_NAMED} more" if len(failed) > MAX_NAMED else ""
    stars = "1 star" if len(failed) == 1 else f"{len(failed)} stars"
    return (
        f"{todo}: unexpected errors in {stars}; please report them, with the logs: "
        f"{'; '.join(names)}{more}"
    )


def _shorten(numbers: list) -> str:
    """The first entries of a list, as text."""
    text = ", ".join(map(str, numbers[:MAX_NAMED]))
    return text if len(numbers) <= MAX_NAMED else f"{text}, ..."
