"""What is said at the end of a run."""

import posixpath
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.counts import counted
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.star_warnings import UNKNOWN_LIGHT
from tessphot_lib.io.products.not_measured_ecsv import read_not_measured
from tessphot_lib.io.products.todo_sqlite import Status, read_excluded_stars, read_info
from tessphot_lib.io.products.todo_tables import ENDS, LEFT_OUT, STATUS_WORDS, ccd_names
from tessphot_lib.report.few_stars import MOST_STARS, star_lines

SUMMARY_TMAG = (8, 10, 12, 14)  # magnitudes whose precision is reported, each +- 0.5
MAX_NAMED = 10
CURVE = "light curve"


def summary(
    stars: pd.DataFrame,
    todo: Path,
    tic_ids: list[int],
    *,
    every: pd.DataFrame | None = None,
    ccds: Collection[str] | None = None,
) -> str:
    """Tell in a few lines how a run ended.

    Parameters
    ----------
    stars : DataFrame
        Todo list and diagnostics joined, of the stars of the run.
    todo : Path
        Of the folder, which may hold more.
    tic_ids : list of int
        Stars that were asked for; those that are on no list are named.
    every : DataFrame, optional
        The same as ``stars`` of all stars in the folder.
    ccds : collection of str, optional
        CCDs of the run.
    """
    counts = stars["status"].value_counts()
    lines = [f"{_count(stars)}:"]
    lines += [f"  {int(counts.get(int(one), 0)):8d} {STATUS_WORDS[one]}" for one in ENDS]
    excluded = read_excluded_stars(todo)
    if ccds is not None:
        own = {str(CcdId.from_string(name).of_images) for name in ccds}
        of_images = excluded.assign(datasource="ffi", cadence_seconds=0)
        excluded = excluded[ccd_names(of_images).isin(own)]
    unlisted = set(tic_ids) - set(stars["tic_id"])
    out = sorted(unlisted & set(excluded["tic_id"]))
    if out:
        lines.append(f"  {len(out):8d} excluded by todo.exclude: {_shorten(out)}")
    missing = sorted(unlisted - set(out))
    if missing:
        lines.append(
            f"WARNING: {len(missing)} of the stars asked for cannot be measured: on no CCD of this "
            "run, fainter than todo.faint_limit, without Tmag, or DUPLICATE or ARTIFACT in the "
            f"TIC: {_shorten(missing)}"
        )
    n_unknown = int(stars["errors"].fillna("").str.contains(UNKNOWN_LIGHT, regex=False).sum())
    if n_unknown:
        lines.append(
            f"  {n_unknown:8d} whose aperture contains much more flux than the catalog predicts: "
            "does the star list lack bright neighbors?"
        )
    lines += star_lines(stars) if len(stars) <= MOST_STARS else _precision_lines(stars)
    if len(excluded):
        lines.append(f"excluded by todo.exclude, see table 'excluded' there: {len(excluded)}")
    example = stars[stars["lightcurve"].notna()]
    lines.append(f"todo list:     {todo}")
    if len(example):
        lines.append(f"a light curve: {todo.parent / example['lightcurve'].iloc[0]}")
    if every is not None:
        lines += _folder_lines(todo, stars, every)
    failures = stars[stars["status"] == int(Status.ERROR)]
    for reason, count in failures["errors"].value_counts().head(5).items():
        lines.append(f"{count} failed: {reason}")
    return "\n".join(lines) + "\n"


def _folder_lines(todo: Path, stars: pd.DataFrame, every: pd.DataFrame) -> list[str]:
    """What there is by sector and CCD: of this run, of others, and on no list."""
    lines = [f"  {name}: {_count(some)}" for name, some in stars.groupby(ccd_names(stars))]
    if len(every) > len(stars):
        others = "stars that were not asked for and those of other runs"
        lines.append(f"in this folder, with {others}: {_count(every)}")
        lines += [f"  {name}: {_count(some)}" for name, some in every.groupby(ccd_names(every))]
    for key, reason in read_info(todo).items():
        if key.startswith(LEFT_OUT):
            lines.append(f"not in the list of this folder: {key.removeprefix(LEFT_OUT)}: {reason}")
    listed = {posixpath.dirname(path) for path in every["lightcurve"].dropna()}
    unlisted = [
        str(folder)
        for pattern in ("*/lightcurves/*", "*/targets")
        for folder in sorted(todo.parent.glob(pattern))
        if folder.relative_to(todo.parent).as_posix() not in listed
        and any(folder.glob("*.fits.gz"))
    ]
    if unlisted:
        lines.append(
            "light curves that the list of this folder does not have, left by runs with other "
            f"tiles or replaced by others: {_shorten(unlisted)}"
        )
    return lines


def _count(stars: pd.DataFrame) -> str:
    """Numbers of stars and of light curves."""
    n_curves = int(stars["lightcurve"].notna().sum())
    return f"{counted(len(stars), 'star')}, {counted(n_curves, CURVE)}"


def not_measured_lines(path: Path) -> str:
    """Counts of the stars of a CCD of cutouts that got no light curve, by reason."""
    stars = read_not_measured(path)
    counts = stars["reason"].value_counts().items()
    lines = [f"  {count:8d} {reason}\n" for reason, count in counts]
    return f"stars that are not on the list: {path}\n" + "".join(lines) if lines else ""


def _precision_lines(stars: pd.DataFrame) -> list[str]:
    """Precision by magnitude, of a run of many stars."""
    head = "median scatter over 1 h (ppm) and from point to point (ppm), variables included:"
    return [head, *(_precision_line(stars, tmag) for tmag in SUMMARY_TMAG)]


def _precision_line(stars: pd.DataFrame, tmag: float) -> str:
    """Median precision of the stars around one magnitude."""
    near = stars[(np.abs(stars["tmag"] - tmag) <= 0.5) & stars["rms_hour"].notna()]
    if near.empty:
        return f"  Tmag {tmag:2d}: no stars"
    rms_hour, ptp = 1e6 * near["rms_hour"].median(), 1e6 * near["ptp"].median()
    return f"  Tmag {tmag:2d}: {rms_hour:8.0f} {ptp:8.0f}   ({counted(len(near), 'star')})"


def _shorten(numbers: list) -> str:
    """The first entries of a list, as text."""
    text = ", ".join(map(str, numbers[:MAX_NAMED]))
    return text if len(numbers) <= MAX_NAMED else f"{text}, ..."
