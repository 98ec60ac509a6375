"""Step: one star of a CCD -> its light curve, the same as from its tile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import (
    Status,
    read_excluded_stars,
    read_skipped,
    read_todo,
)
from tessphot_lib.photometry.measure import measure_stars
from tessphot_lib.photometry.targets import star_list


def run_light_curve(
    pixels: Path,
    catalog: Path,
    todo: Path,
    prf: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    tic_id: int,
    settings: Mapping[str, Any],
    output_settings: Mapping[str, Any],
    trends: Path | None = None,
    method: str | None = None,
) -> None:
    """Measure one star, if wished by another method than that of the todo list.

    Raises
    ------
    InputDataError
        If the star is not on the list, was left to a brighter one, or cannot be measured.
    """
    stars = read_todo(todo, tic_ids=[tic_id])
    if stars.empty:
        excluded = read_excluded_stars(todo).set_index("tic_id")["reason"]
        why = f": {excluded[tic_id]}" if tic_id in excluded.index else ""
        raise InputDataError(f"{todo}: TIC {tic_id} is not on the list of {ccd_id}{why}")
    # A star that is still to be measured has no status (NA).
    if stars["status"].fillna(int(Status.UNKNOWN)).iloc[0] == int(Status.SKIPPED):
        skipped = read_skipped(todo).set_index("priority")["skipped_by"]
        priority = int(skipped[stars["priority"].iloc[0]])
        brighter = read_todo(todo, priorities=[priority])["tic_id"].iloc[0]
        raise InputDataError(
            f"{todo}: TIC {tic_id} lies in the aperture of the brighter TIC {brighter}, "
            "ask for that one"
        )
    target = star_list(stars, todo, catalog, prf)
    with PixelCube(pixels) as cube:
        table = measure_stars(
            cube,
            target if method is None else target.measured_by(method),
            None,
            settings=settings,
            output_settings=output_settings,
            trends=trends,
            path_of=lambda *_: output,
        )
    if table["status"].iloc[0] == int(Status.ERROR):
        raise InputDataError(f"{output}: TIC {tic_id}: {table['errors'].iloc[0]}")
