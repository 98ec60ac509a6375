"""Step: the pixels of a star of a run -> a target pixel file, as SPOC writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.aperture.selection import aperture_flags
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import MISSION_BITS
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.core.sphere import tangent_axes, unit_vector
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.io.products.tpf_fits import TargetPixels, write_target_pixels
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.photometry.left_background import subtract_as_in_run
from tessphot_lib.quality.light_curve_flags import star_pixel_quality, star_quality
from tessphot_lib.times.barycenter import star_time_correction

AROUND = 20.0  # [pixels] stars that show how the sky lies on the pixels
MIN_STARS = 4
MIN_SPREAD = 1.0  # [pixels] of these stars, in the direction in which they are closest together


def run_pixels(
    files: CcdFiles,
    ccd_id: CcdId,
    *,
    output: Path,
    tic_id: int,
    size: int,
    settings: PhotometrySettings,
) -> None:
    """Write the pixels around a star, their background off.

    Parameters
    ----------
    files : CcdFiles
        Pixels, catalog and todo list are read.
    ccd_id : CcdId
    output : Path
    tic_id : int
    size : int
        Rows and columns of the stamp; it holds the aperture in any case.
    settings : PhotometrySettings
        Of the run: they say which background is off.

    Raises
    ------
    InputDataError
        If the star is not on the todo list, or not on pixels of the run.
    """
    stars = read_todo(files.todo, tic_ids=[tic_id])
    if stars.empty:
        raise InputDataError(f"{files.todo}: TIC {tic_id} is not on the list of {ccd_id}")
    priority = int(stars["priority"].iloc[0])
    aperture = read_apertures(files.todo, [priority])[priority]
    known, _ = read_catalog(files.catalog)
    star = known[known["tic_id"] == tic_id].iloc[0].to_dict()
    with PixelCube(files.pixels) as cube:
        window = _window(star, aperture, cube.window, size)
        wide = _widened(aperture, window)
        subtract_as_in_run(cube, window, files, settings)
        stars_around = (known[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
        scale = float(cube.attributes["mask_radius_scale"])
        sky = ~star_mask(window, *stars_around, radius_scale=scale)
        background = cube.background_in(window)
        flux = cube.read("flux", window)
        error = cube.background_at(star["row"], star["column"])[1]
        at = np.array([star["ra"]]), np.array([star["dec"]])
        timecorr = star_time_correction(cube.observatory_position, *at)[0]
        moved_row, moved_column = cube.motion_at(star["row"], star["column"])
        light = aperture.light
        pixels = TargetPixels(
            ccd_id=ccd_id,
            window=window,
            star=star,
            time=cube.time - cube.timecorr + timecorr,
            timecorr=timecorr,
            time_shift=float(cube.attributes["time_shift"]),
            cadenceno=cube.cadenceno,
            quality=_quality(cube, wide, flux - background, background),
            flux=flux - background,
            flux_err=cube.read("flux_err", window),
            flux_bkg=np.where(np.isfinite(flux), background, np.nan),
            flux_bkg_err=np.broadcast_to(error[:, None, None], flux.shape),
            pos_corr_row=moved_row,
            pos_corr_column=moved_column,
            aperture=aperture_flags(wide, cube.average_image(window), sky),
            matrix=_matrix(known, star, str(cube.attributes["wcs"])),
            cadence_seconds=float(cube.attributes["cadence_seconds"]),
            image_header=json.loads(str(cube.attributes["image_header"])),
            cards={} if light is None else {"CROWDSAP": light.crowdsap, "FLFRCSAP": light.flfrcsap},
        )
    write_target_pixels(output, pixels)


def _window(star: dict[str, Any], aperture: Aperture, limits: Window, size: int) -> Window:
    """Pixels around a star, with all of its aperture."""
    rows, columns = (np.flatnonzero(aperture.mask.any(axis=axis)) for axis in (1, 0))
    first = aperture.window.row0, aperture.window.column0
    row0, column0 = (
        min(round(star[name]) - size // 2, start + int(inside[0]))
        for name, start, inside in zip(("row", "column"), first, (rows, columns), strict=True)
    )
    row1, column1 = (
        max(round(star[name]) - size // 2 + size, start + int(inside[-1]) + 1)
        for name, start, inside in zip(("row", "column"), first, (rows, columns), strict=True)
    )
    return Window(
        max(row0, limits.row0),
        min(row1, limits.row1),
        max(column0, limits.column0),
        min(column1, limits.column1),
    )


def _quality(cube: PixelCube, aperture: Aperture, flux: NDArray, background: NDArray) -> NDArray:
    """Bits of the mission for the images, and where the star is bad by others, the closest ones.

    They are those of PIXEL_QUALITY in light curves: programs that read target pixel files
    know no others.
    """
    if not aperture.mask.any():
        return cube.quality & MISSION_BITS
    of_aperture = cube.read("pixel_flags", aperture.window)[:, aperture.mask]
    flags = np.bitwise_or.reduce(of_aperture, axis=1)
    quality = star_quality(
        cube.quality.astype(np.int32),
        flags[np.newaxis],
        flux[:, aperture.mask].sum(axis=1)[np.newaxis],
        background[:, aperture.mask].mean(axis=1)[np.newaxis],
        bad_quality=int(cube.attributes["bad_quality"]),
        straylight_factor=float(
            json.loads(str(cube.attributes["settings"]))["flags"]["straylight_factor"]
        ),
    )[0]
    return star_pixel_quality(cube.quality, flags, quality) & MISSION_BITS


def _widened(aperture: Aperture, window: Window) -> Aperture:
    """The same aperture in another stamp, which holds it."""
    mask = np.zeros(window.shape, dtype=bool)
    common = aperture.window.intersect(window)
    if common is not None:
        mask[common.slices_in(window)] = aperture.mask[common.slices_in(aperture.window)]
    return Aperture(window, mask)


def _matrix(known: pd.DataFrame, star: dict[str, Any], wcs: str) -> NDArray:
    """Degrees to the east and north by pixels along the row and the column, (2, 2).

    As the stars around have them: cutouts have WCS of their own, and that of the CCD is off by
    some percent far from the one it is of. That of the CCD where there are too few.
    """
    d_column, d_row = (
        known[name].to_numpy(dtype=float) - float(star[name]) for name in ("column", "row")
    )
    near = np.hypot(d_column, d_row) <= AROUND
    axes = np.stack(tangent_axes(np.array(star["ra"]), np.array(star["dec"])))
    if near.sum() >= MIN_STARS:
        pixels = np.stack([d_column[near], d_row[near]], axis=1)
        spread = np.linalg.svd(pixels, compute_uv=False) / np.sqrt(len(pixels))
        if spread[-1] >= MIN_SPREAD:
            at = (known[name].to_numpy(dtype=float)[near] for name in ("ra", "dec"))
            sky = np.degrees(unit_vector(*at) @ axes.T)
            return np.linalg.lstsq(pixels, sky, rcond=None)[0].T
    steps = np.array([[0.0, 0.0, 0.5, -0.5], [0.5, -0.5, 0.0, 0.0]])
    row, column = star["row"] + steps[0], star["column"] + steps[1]
    towards = unit_vector(*pixel_to_sky(ffi_wcs(wcs), row, column))
    moved = np.stack([towards[0] - towards[1], towards[2] - towards[3]])
    return np.degrees(axes @ moved.T)
