"""A star of a finished run: where its light curve is, or why there is none."""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.identifiers import MOVING, is_kind, object_name
from tessphot_lib.core.settings import METHODS
from tessphot_lib.io.products.moving_objects_ecsv import NAME, read_moving_objects
from tessphot_lib.io.products.not_measured_ecsv import read_not_measured
from tessphot_lib.io.products.todo_sqlite import (
    Status,
    read_diagnostics,
    read_excluded_stars,
    read_skipped,
    read_todo,
)
from tessphot_lib.io.products.todo_tables import ccd_of_row
from tessphot_lib.io.stars.catalog_sqlite import read_catalog


@dataclass(frozen=True)
class FoundStar:
    """What the todo list of a run says of a star on one CCD.

    Attributes
    ----------
    tic_id : int
    tmag : float
    ccd_id : CcdId
    status : Status or None
        None: the star is not on the list, since the user has excluded it.
    light_curve : Path or None
    remark : str
        Why there is a warning, or no light curve; empty: nothing to say.
    row, column : float
        Where it is [science pixels]; NaN of an excluded star.
    method : str
        Of photometry: the one that was used, else that of the todo list; empty where it is not
        known.
    cdpp_1h : float
        Noise of means over 1 h [ppm]; NaN where it has not been measured.
    """

    tic_id: int
    tmag: float
    ccd_id: CcdId
    status: Status | None
    light_curve: Path | None
    remark: str
    row: float = math.nan
    column: float = math.nan
    method: str = ""
    cdpp_1h: float = math.nan


def find_star(todo: Path, tic_id: int) -> list[FoundStar]:
    """Find a star, on each CCD that it was on, in order of sector; excluded ones, too.

    Parameters
    ----------
    todo : Path
        Of the run: ``results/todo.sqlite``.
    tic_id : int

    Raises
    ------
    InputDataError
        If the list cannot be read, or has the star neither among those to be
        measured nor among the excluded ones; with what else is known of it.
    """
    if not todo.is_file():
        raise InputDataError(
            f"{todo}: there is no such file; name the folder of a finished run (--directory)"
        )
    if is_kind(tic_id, MOVING):
        return _moving_object(todo.parent, tic_id)
    stars = read_todo(todo, tic_ids=[tic_id]).sort_values(["sector", "camera", "ccd"])
    excluded = read_excluded_stars(todo)
    excluded = excluded[excluded["tic_id"] == tic_id].to_dict("records")
    if stars.empty and not excluded:
        raise InputDataError(
            f"{todo}: TIC {tic_id} is not on the list: {why_not_listed(todo, tic_id)}"
        )
    diagnostics = read_diagnostics(todo, stars["priority"]).set_index("priority")
    found = [_found(todo, star, diagnostics) for star in stars.to_dict("records")]
    found += [
        FoundStar(tic_id, star["tmag"], _ccd_of(star), None, None, star["reason"])
        for star in excluded
    ]
    return sorted(found, key=lambda star: star.ccd_id)


def _moving_object(folder: Path, number: int) -> list[FoundStar]:
    """Find a moving object by its identifier, which is of one CCD."""
    for path in sorted(folder.glob(f"*/moving_objects/{NAME}")):
        objects = read_moving_objects(path)
        for row in objects[objects["number"] == number].to_dict("records"):
            ccd_id, light_curve = CcdId.from_string(path.parent.parent.name), row["lightcurve"]
            remark = f"{row['object']}, {row['source']}"
            known = number, row["tmag"], ccd_id, Status.OK, path.with_name(light_curve), remark
            return [FoundStar(*known, method="aperture")]
    raise InputDataError(
        f"{folder}: no light curve of {object_name(number)}; photometry.moving makes them"
    )


def _ccd_of(star: dict) -> CcdId:
    """CCD of an excluded star."""
    return CcdId(star["sector"], star["camera"], star["ccd"])


def why_not_listed(todo: Path, tic_id: int) -> str:
    """Say why a star is not on the list, as far as the catalogs of the CCDs know it.

    Parameters
    ----------
    todo : Path
        Of the run: ``results/todo.sqlite``.
    tic_id : int
    """
    texts, absent = [], []
    for path in sorted(todo.parent.glob("*/catalog.sqlite")):
        known, _ = read_catalog(path)
        star = known[known["tic_id"] == tic_id]
        if star.empty:
            reason = _reason(path.parent / "not_measured.ecsv", tic_id)
            absent += [f"{path.parent.name}{reason}"] if reason else []
            continue
        row, column, tmag = (float(star[name].iloc[0]) for name in ("row", "column", "tmag"))
        position = f"{path.parent.name}: Tmag {tmag:.2f}, row {row:.1f}, column {column:.1f}"
        texts.append(f"{position}{_reason(path.parent / 'not_measured.ecsv', tic_id)}")
    if not texts and absent:
        return f"it is in no catalog of this run ({'; '.join(absent)})"
    if not texts:
        return "it is in no catalog of this run; on no CCD, or fainter than catalog.faint_limit"
    where = "; ".join(texts)
    return f"off the pixels of this run, or fainter than todo.faint_limit (catalog of {where})"


def _reason(not_measured: Path, tic_id: int) -> str:
    """What ``not_measured.ecsv``, which only CCDs of cutouts have, says of a star."""
    if not not_measured.is_file():
        return ""
    stars = read_not_measured(not_measured)
    star = stars[stars["tic_id"] == tic_id]
    return "" if star.empty else f", {star['reason'].iloc[0]} {star['detail'].iloc[0]}".rstrip()


def _found(todo: Path, star: dict, diagnostics: pd.DataFrame) -> FoundStar:
    """Put together what is known of a star."""
    status = Status(0 if pd.isna(star["status"]) else int(star["status"]))
    path, remark, noise, method = None, "", math.nan, star["method"]
    if star["priority"] in diagnostics.index:
        row = diagnostics.loc[star["priority"]]
        path = todo.parent / row["lightcurve"] if row["lightcurve"] else None
        remark = row["errors"] or ""
        if row["method_used"] in METHODS:  # else it failed
            method = row["method_used"]
        noise = math.nan if pd.isna(row["cdpp_1h"]) else float(row["cdpp_1h"])
    if status == Status.SKIPPED:
        skipped = read_skipped(todo).set_index("priority")["skipped_by"]
        brighter = read_todo(todo, priorities=[int(skipped[star["priority"]])])
        remark = f"lies in the aperture of the brighter TIC {brighter['tic_id'].iloc[0]}"
    return FoundStar(
        star["tic_id"],
        star["tmag"],
        ccd_of_row(star),
        status,
        path,
        remark,
        row=float(star["row"]),
        column=float(star["column"]),
        method=method if isinstance(method, str) else "",
        cdpp_1h=noise,
    )
