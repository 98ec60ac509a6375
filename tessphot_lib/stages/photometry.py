"""Step: a tile of a CCD -> the light curves and diagnostics of its stars."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from tessphot_lib.apertures import Aperture
from tessphot_lib.io.atomic import complete_folder
from tessphot_lib.io.catalog_sqlite import read_catalog_window
from tessphot_lib.io.diagnostics_ecsv import write_diagnostics_table
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.io.todo_sqlite import Status, read_apertures, read_todo
from tessphot_lib.model import CcdId, Window
from tessphot_lib.stages.measure import StarList, measure_stars
from tessphot_lib.stages.todo import MINIMUM_APERTURE
from tessphot_lib.tiles import tile_window

log = logging.getLogger(__name__)

NEIGHBOR_MARGIN = 100  # [pixels] around the stamps in which catalog stars count as neighbors


def run_photometry(
    pixels: Path,
    catalog: Path,
    todo: Path,
    light_curves: Path,
    diagnostics: Path,
    ccd_id: CcdId,
    *,
    tile: str,
    settings: Mapping[str, Any],
    output_settings: Mapping[str, Any],
    threads: int,
) -> None:
    """Measure all stars of a tile.

    Parameters
    ----------
    pixels, catalog, todo : Path
        Of the CCD.
    light_curves : Path
        Folder for the FITS files, made anew; empty for a tile without stars.
    diagnostics : Path
        Table with one row per star.
    tile : str
        As ``r3c5``.
    settings, output_settings : mapping
        Sections ``photometry`` and ``output`` of the configuration.
    threads : int
        Of the linear algebra.
    """
    stars = read_todo(todo, tile=tile)
    with (
        threadpool_limits(threads),
        PixelCube(pixels) as cube,
        complete_folder(light_curves) as folder,
    ):
        table = measure_stars(
            cube,
            star_list(stars, todo, catalog),
            tile_window(tile, settings["tiles"]),
            output_settings=output_settings,
            path_of=lambda name, _: folder / name,
        )
    table["lightcurve"] = [
        None if name is None else f"{light_curves.parent.name}/{light_curves.name}/{name}"
        for name in table["lightcurve"]
    ]
    write_diagnostics_table(diagnostics, table, ccd_id)
    log.info("%s tile %s: %s", ccd_id, tile, count_statuses(table))


def star_list(stars: pd.DataFrame, todo: Path, catalog: Path) -> StarList:
    """Join todo list and catalog for the stars that are to be measured.

    Parameters
    ----------
    stars : DataFrame
        Of the todo list; stars left to a brighter neighbor are dropped.
    todo, catalog : Path
    """
    stars = stars[~(stars["status"] == int(Status.SKIPPED)).fillna(False)]
    stored = read_apertures(todo, stars["priority"].tolist())
    apertures = [
        Aperture(one.window, one.mask, is_minimum=MINIMUM_APERTURE in (one.errors or ""))
        for one in (stored[priority] for priority in stars["priority"])
    ]
    remarks = [stored[priority].errors for priority in stars["priority"]]
    region = _around([aperture.stamp for aperture in apertures])
    neighbors = read_catalog_window(catalog, *region)
    columns = ["tic_id", "ra", "dec", "ra_j2000", "dec_j2000", "pm_ra", "pm_dec", "teff"]
    known = neighbors
    joined = stars.merge(known[columns], on="tic_id", how="left", validate="one_to_one")
    return StarList(joined.reset_index(drop=True), apertures, remarks, neighbors)


def count_statuses(table: pd.DataFrame) -> str:
    """Words for how the stars of a table ended."""
    counts = table["status"].value_counts()
    names = {Status.OK: "measured", Status.WARNING: "with a warning", Status.ERROR: "failed"}
    return ", ".join(f"{counts.get(int(status), 0)} {name}" for status, name in names.items())


def _around(stamps: list[Window]) -> tuple[float, float, float, float]:
    """Region that holds all stamps and a margin (row0, row1, column0, column1)."""
    if not stamps:
        return 0.0, 0.0, 0.0, 0.0
    return (
        min(stamp.row0 for stamp in stamps) - NEIGHBOR_MARGIN,
        max(stamp.row1 for stamp in stamps) + NEIGHBOR_MARGIN,
        min(stamp.column0 for stamp in stamps) - NEIGHBOR_MARGIN,
        max(stamp.column1 for stamp in stamps) + NEIGHBOR_MARGIN,
    )
