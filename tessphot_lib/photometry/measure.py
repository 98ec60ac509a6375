"""Measuring stars: what the steps `photometry`, `lightcurve` and `targets` share.

Each star is measured by its method (`tessphot_lib.photometry.methods`), and its light
curve is written as one FITS file (`tessphot_lib.photometry.products`).
"""

import logging
import time as clock
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.io.products.diagnostics_ecsv import diagnostics_table
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import Status
from tessphot_lib.photometry.corrections import Correction
from tessphot_lib.photometry.extra_apertures import measure_extra_apertures
from tessphot_lib.photometry.methods import measure_by_method
from tessphot_lib.photometry.products import (
    Products,
    StarFrame,
    make_template,
    quality_of,
    sky_lookup,
)
from tessphot_lib.photometry.targets import StarList

log = logging.getLogger(__name__)

TOLD_EVERY = 200  # stars


def measure_stars(
    cube: PixelCube,
    targets: StarList,
    tile: Window | None,
    *,
    settings: PhotometrySettings,
    output_settings: OutputSettings,
    path_of: Callable[[str, int], Path],
    trends: Path | None = None,
) -> pd.DataFrame:
    """Measure stars and write their light curves.

    Parameters
    ----------
    cube : PixelCube
    targets : StarList
    tile : Window or None
        Where most of the stars lie: its pixels are read once for all of them.
        None: each star's pixels are read by themselves.
    settings : PhotometrySettings
    output_settings : OutputSettings
        ``version`` and ``origin`` of them.
    path_of : callable
        Path of a light curve from its standard name and the TIC number.
    trends : Path, optional
        ``trends.hdf5`` of the CCD; needed if the settings ask for that correction.

    Returns
    -------
    DataFrame
        Diagnostics, one row per star in the order of ``targets``; a star that
        failed has status 2 and the reason in ``errors``.
    """
    correction = Correction.of(cube, settings, trends)
    n_stars = len(targets)
    log.info("%s: %d stars, %d images", cube.ccd_id, n_stars, cube.n_cadences)
    start = clock.perf_counter()
    fluxes = measure_by_method(cube, targets, tile, settings)
    targets = targets.as_measured(fluxes.notes)
    extra = measure_extra_apertures(cube, targets, tile, settings)
    shared = (clock.perf_counter() - start) / max(n_stars, 1)
    products = Products(
        cube=cube,
        targets=targets,
        fluxes=fluxes,
        frame=StarFrame.of(cube, targets.stars),
        quality=quality_of(cube, targets, fluxes),
        correction=correction,
        template=make_template(cube, output_settings, targets.prf),
        settings=settings,
        extra=extra,
        sky_of=sky_lookup(cube, targets.neighbors, tile),
        path_of=path_of,
    )
    rows = []
    for index in range(n_stars):
        begin = clock.perf_counter()
        row = products.write(index)
        rows.append(row | {"elaptime": shared + clock.perf_counter() - begin})
        if (index + 1) % TOLD_EVERY == 0 or index + 1 == n_stars:
            rate = (index + 1) / (clock.perf_counter() - start)
            log.info("%s: %d of %d stars, %.1f per second", cube.ccd_id, index + 1, n_stars, rate)
    return diagnostics_table(rows)


def count_statuses(table: pd.DataFrame) -> str:
    """Words for how the stars of a table ended."""
    counts = table["status"].value_counts()
    names = {Status.OK: "measured", Status.WARNING: "with a warning", Status.ERROR: "failed"}
    return ", ".join(f"{counts.get(int(status), 0)} {name}" for status, name in names.items())
