"""A star of a finished run: where its light curve is, or why there is none."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tessphot_lib.errors import InputDataError
from tessphot_lib.io.todo_sqlite import Status, read_diagnostics, read_skipped, read_todo
from tessphot_lib.model import CcdId


@dataclass(frozen=True)
class FoundStar:
    """What the todo list of a run says of a star on one CCD.

    Attributes
    ----------
    tic_id : int
    tmag : float
    ccd_id : CcdId
    status : Status
    light_curve : Path or None
    remark : str
        Why there is a warning, or no light curve; empty: nothing to say.
    """

    tic_id: int
    tmag: float
    ccd_id: CcdId
    status: Status
    light_curve: Path | None
    remark: str


def find_star(todo: Path, tic_id: int) -> list[FoundStar]:
    """Find a star, on each CCD that it was on, in order of sector.

    Parameters
    ----------
    todo : Path
        Of the run: ``results/todo.sqlite``.
    tic_id : int

    Raises
    ------
    InputDataError
        If the list cannot be read, or does not have the star.
    """
    if not todo.is_file():
        raise InputDataError(f"{todo}: there is no such file; name the folder of a finished run")
    stars = read_todo(todo, tic_ids=[tic_id]).sort_values(["sector", "camera", "ccd"])
    if stars.empty:
        raise InputDataError(
            f"{todo}: TIC {tic_id} is not on the list: not on the pixels of this run, or fainter "
            "than todo.faint_limit"
        )
    diagnostics = read_diagnostics(todo).set_index("priority")
    return [_found(todo, star, diagnostics) for star in stars.to_dict("records")]


def _found(todo: Path, star: dict, diagnostics: pd.DataFrame) -> FoundStar:
    """Put together what is known of a star."""
    status = Status(0 if pd.isna(star["status"]) else int(star["status"]))
    path, remark = None, ""
    if star["priority"] in diagnostics.index:
        row = diagnostics.loc[star["priority"]]
        path = todo.parent / row["lightcurve"] if row["lightcurve"] else None
        remark = row["errors"] or ""
    if status == Status.SKIPPED:
        skipped = read_skipped(todo).set_index("priority")["skipped_by"]
        brighter = read_todo(todo, priorities=[int(skipped[star["priority"]])])
        remark = f"lies in the aperture of the brighter TIC {brighter['tic_id'].iloc[0]}"
    ccd_id = CcdId(star["sector"], star["camera"], star["ccd"])
    return FoundStar(star["tic_id"], star["tmag"], ccd_id, status, path, remark)
