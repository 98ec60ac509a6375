"""Measuring stars: what the steps `photometry`, `lightcurve` and `targets` share.

Each star is measured by its method (`tessphot_lib.photometry.methods`), and its light
curve is written as one FITS file (`tessphot_lib.photometry.products`).
"""

import logging
import time as clock
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarFluxes
from tessphot_lib.core.medians import median
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.io.products.diagnostics_ecsv import diagnostics_table
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import Status
from tessphot_lib.lightcurves.motion_error import flux_scatter, motion_error
from tessphot_lib.photometry.corrections import Correction
from tessphot_lib.photometry.extra_apertures import measure_extra_apertures
from tessphot_lib.photometry.left_background import subtract_left_background
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
    subtracted = None
    if settings.tpf_residual_background and cube.ccd_id.has_stamps:
        windows = [aperture.window for aperture in targets.apertures]
        subtracted = subtract_left_background(cube, windows, targets.neighbors, targets.prf)
    fluxes = measure_by_method(cube, targets, tile, settings)
    common = cube.noise.common if cube.noise is not None else 0.0
    targets = targets.as_measured(fluxes.notes)
    extra = measure_extra_apertures(cube, targets, tile, settings)
    shared = (clock.perf_counter() - start) / max(n_stars, 1)
    frame, quality = StarFrame.of(cube, targets.stars), quality_of(cube, targets, fluxes)
    products = Products(
        cube=cube,
        targets=targets,
        fluxes=with_motion_errors(fluxes, frame, quality, common=common),
        frame=frame,
        quality=quality,
        correction=correction,
        template=make_template(cube, output_settings, targets.prf),
        settings=settings,
        extra=extra,
        subtracted=subtracted,
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


def with_motion_errors(
    fluxes: StarFluxes, frame: StarFrame, quality: NDArray, *, common: float
) -> StarFluxes:
    """Add to the errors what pixels do not show, as far as a star's scatter has room for it.

    That is what the motion of the images still adds, by how the flux follows it (``ERRMOVE``),
    and what all stars of the CCD have in common, such as motion within images (``ERRREST``). No
    error becomes larger than the scatter of the flux by that. The motion is that without what
    each star contributes to it: a variable star would follow its own.

    Parameters
    ----------
    fluxes : StarFluxes
    frame : StarFrame
    quality : (n_stars, n_cadences) int array
        0 where a flux is good.
    common : float
        Noise that all stars have in common, relative to their flux.
    """
    flux_err, notes = fluxes.flux_err.copy(), list(fluxes.notes)
    for index, note in enumerate(notes):
        time, flux, good = frame.time[index], fluxes.flux[index], quality[index] == 0
        moved = motion_error(time, flux, good, frame.moved_row[index], frame.moved_column[index])
        scatter = flux_scatter(time, flux, good)
        room = 0.0
        errors = flux_err[index][good & np.isfinite(flux_err[index])]
        if np.isfinite(scatter) and errors.size:
            room = max(scatter**2 - median(errors) ** 2, 0.0)
        moved = min(moved, room**0.5)
        middle = abs(median(flux[good & np.isfinite(flux)])) if room > 0 else 0.0
        rest = min(common * middle, max(room - moved**2, 0.0) ** 0.5)
        flux_err[index] = np.sqrt(flux_err[index] ** 2 + moved**2 + rest**2)
        cards = {
            "ERRMOVE": (round(moved, 4), "[e-/s] added: flux still follows motion"),
            "ERRREST": (round(rest, 4), "[e-/s] added: noise common to all stars"),
        }
        notes[index] = replace(note, header={**note.header, **cards})
    return replace(fluxes, flux_err=flux_err, notes=tuple(notes))


def count_statuses(table: pd.DataFrame) -> str:
    """Words for how the stars of a table ended."""
    counts = table["status"].value_counts()
    names = {Status.OK: "measured", Status.WARNING: "with a warning", Status.ERROR: "failed"}
    return ", ".join(f"{counts.get(int(status), 0)} {name}" for status, name in names.items())
