"""Last step: the todo list of the run -> a summary, and an error if the code failed on a star."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.star_warnings import UNEXPECTED
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_excluded_stars, read_todo
from tessphot_lib.io.products.todo_tables import ccd_names, ccd_of_row
from tessphot_lib.report.ccd_lines import ccd_lines
from tessphot_lib.report.find import why_not_listed
from tessphot_lib.report.run_record import write_run_record
from tessphot_lib.report.summary import MAX_NAMED, not_measured_lines, summary

MAX_EXPLAINED = 3  # stars that are on no list, of which each catalog is asked


def run_check(
    todo: Path,
    output_summary: Path,
    output_record: Path,
    *,
    tic_ids: list[int],
    not_measured: Sequence[Path] = (),
    ffi_tables: Sequence[Path] = (),
    pixels: Sequence[Path] = (),
    prfs: Sequence[Path] = (),
    list_checks: Sequence[Path] = (),
    config: Mapping[str, Any],
    began: Path | None = None,
    ccds: Collection[str] | None = None,
    needs_stars: bool = False,
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
    prfs : sequence of Path
        ``prf.fits`` of each CCD, in the order of ``pixels``.
    list_checks : sequence of Path
        ``list_check.ecsv`` of each CCD.
    ffi_tables, pixels, config, began
        See `tessphot_lib.report.run_record.write_run_record`.
    ccds : collection of str, optional
        CCDs of the run; others in the folder are only counted. Default: all.
    needs_stars : bool
        Whether it is an error if none of ``tic_ids`` is on the list.

    Raises
    ------
    TessphotError
        If an unexpected error hit any star: names the stars and their logs. If none of the
        stars that were asked for is on the list: says why.
    """
    every = read_todo(todo).merge(
        read_diagnostics(todo), on="priority", how="left", suffixes=("", "_measured")
    )
    stars = _of_run(every, ccds, tic_ids)
    failed = stars[stars["errors"].fillna("").str.startswith(UNEXPECTED)]
    if len(failed):
        raise TessphotError(_name_failures(failed, todo, tic_ids))
    if needs_stars and tic_ids and stars.empty:
        raise TessphotError(_name_absent(todo, tic_ids))
    text = summary(stars, todo, tic_ids, every=every, ccds=ccds) + "".join(
        map(not_measured_lines, not_measured)
    )
    text += ccd_lines(pixels, prfs, list_checks)
    of_run = {"ffi_tables": ffi_tables, "pixels": pixels, "config": config, "began": began}
    write_run_record(output_record, stars, **of_run)
    with complete_file(output_summary) as partial:
        partial.write_text(text, encoding="utf-8")


def _of_run(every: pd.DataFrame, ccds: Collection[str] | None, tic_ids: list[int]) -> pd.DataFrame:
    """Those stars of a folder that a run was to measure."""
    stars = every if ccds is None else every[ccd_names(every).isin(ccds)]
    return stars[stars["tic_id"].isin(tic_ids)] if tic_ids else stars


def _name_absent(todo: Path, tic_ids: list[int]) -> str:
    """One line that says why none of the stars is on the list."""
    excluded = read_excluded_stars(todo)
    reasons = excluded.drop_duplicates("tic_id").set_index("tic_id")["reason"].to_dict()
    lines = [
        f"TIC {tic_id}: {reasons.get(tic_id) or why_not_listed(todo, tic_id)}"
        for tic_id in tic_ids[:MAX_EXPLAINED]
    ]
    if len(tic_ids) > MAX_EXPLAINED:
        lines.append(f"and {len(tic_ids) - MAX_EXPLAINED} more")
    return f"targets.tic_ids: none of these stars can be measured: {'; '.join(lines)}"


def _name_failures(failed: pd.DataFrame, todo: Path, tic_ids: list[int]) -> str:
    """One line for the stars on which the code failed."""
    names = []
    for star in failed.head(MAX_NAMED).to_dict("records"):
        job = "targets" if tic_ids else f"photometry_{star['tile']}"
        log_file = f"logs/{ccd_of_row(star)}/{job}.log"
        reason = " ".join(star["errors"].removeprefix(UNEXPECTED).split())
        names.append(f"TIC {star['tic_id']}: {reason} ({log_file})")
    more = f"; and {len(failed) - MAX_NAMED} more" if len(failed) > MAX_NAMED else ""
    return (
        f"{todo}: unexpected errors in {counted(len(failed), 'star')}; please report them, with "
        f"the logs: {'; '.join(names)}{more}"
    )
