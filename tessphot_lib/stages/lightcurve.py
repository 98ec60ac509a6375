"""Step: one star, or a few, of a CCD -> their light curves, the same as from their tiles."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.errors import InputDataError
from tessphot_lib.io.atomic import complete_folder
from tessphot_lib.io.diagnostics_ecsv import write_diagnostics_table
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.io.todo_sqlite import Status, read_excluded_stars, read_skipped, read_todo
from tessphot_lib.model import CcdId
from tessphot_lib.provenance import provenance
from tessphot_lib.stages.measure import measure_stars
from tessphot_lib.stages.photometry import count_statuses
from tessphot_lib.stages.star_list import star_list

log = logging.getLogger(__name__)

DIAGNOSTICS_NAME = "diagnostics.ecsv"


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


def run_targets(
    pixels: Path,
    catalog: Path,
    todo: Path,
    prf: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    tic_ids: list[int],
    settings: Mapping[str, Any],
    output_settings: Mapping[str, Any],
    trends: Path | None = None,
) -> None:
    """Measure those of the stars that are on the list of this CCD.

    ``output`` is a folder: the light curves, and ``diagnostics.ecsv`` with a
    row for each; without rows where none of the stars lies on the CCD.
    """
    stars = read_todo(todo, tic_ids=tic_ids)
    log.info("%s: %d of %d stars are on the list", ccd_id, len(stars), len(tic_ids))
    with PixelCube(pixels) as cube, complete_folder(output) as folder:
        table = measure_stars(
            cube,
            star_list(stars, todo, catalog, prf),
            None,
            settings=settings,
            output_settings=output_settings,
            trends=trends,
            path_of=lambda name, _: folder / name,
        )
        table["lightcurve"] = [
            None if name is None else f"{output.name}/{name}" for name in table["lightcurve"]
        ]
        made_by = provenance(
            {"photometry": dict(settings), "output": dict(output_settings)},
            [pixels, catalog, todo, prf, *([trends] if trends is not None else [])],
        )
        write_diagnostics_table(folder / DIAGNOSTICS_NAME, table, ccd_id, attributes=made_by)
    log.info("%s: %s", ccd_id, count_statuses(table))
