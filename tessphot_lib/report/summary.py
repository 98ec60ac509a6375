"""What is said at the end of a run."""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.star_warnings import UNKNOWN_LIGHT
from tessphot_lib.io.products.not_measured_ecsv import read_not_measured
from tessphot_lib.io.products.todo_sqlite import Status, read_excluded_stars
from tessphot_lib.io.products.todo_tables import ccd_of_row

SUMMARY_TMAG = (8, 10, 12, 14)  # magnitudes whose precision is told, each +- 0.5
MAX_NAMED = 10
CCD_COLUMNS = ["sector", "camera", "ccd", "datasource", "cadence_seconds"]


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
            f"  {n_unknown:8d} whose aperture contains much more flux than the catalog predicts: "
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
        f"{ccd_of_row(star)}/lightcurves/{star['tile']}"
        for star in stars[[*CCD_COLUMNS, "tile"]].drop_duplicates().to_dict("records")
    }
    return [
        str(tile)
        for tile in sorted(folder.glob("*/lightcurves/*"))
        if tile.relative_to(folder).as_posix() not in own and any(tile.glob("*.fits.gz"))
    ]


def not_measured_lines(path: Path) -> str:
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


def _shorten(numbers: list) -> str:
    """The first entries of a list, as text."""
    text = ", ".join(map(str, numbers[:MAX_NAMED]))
    return text if len(numbers) <= MAX_NAMED else f"{text}, ..."
