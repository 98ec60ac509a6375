"""Step: average image and catalog of a CCD -> its pixel response function."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.apertures import sky_noise
from tessphot_lib.config import PrfSettings
from tessphot_lib.io.catalog_sqlite import read_catalog
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.io.prf_fits import write_prf
from tessphot_lib.io.prf_spoc import find_spoc_prf, read_spoc_prf
from tessphot_lib.model import CcdId, Prf
from tessphot_lib.prf import DERIVATIVES, prf_from_samples
from tessphot_lib.prf_fit import StarField, choose_prf_stars, fit_prf, generic_prf
from tessphot_lib.provenance import provenance
from tessphot_lib.scene import scene_derivatives
from tessphot_lib.stages.average_places import average_places
from tessphot_lib.starmask import star_mask
from tessphot_lib.wings import RINGS, measure_wings

log = logging.getLogger(__name__)

FIRST_ROUNDS = 3  # of the fit before wings are measured anew
BRIGHT_SIGMAS = 30.0  # [of the sky's scatter] pixels so bright do not show wings beside cores
INNERMOST_WING = 5.0  # [pixels] rings beyond it are the wing, those within belong to the core


def run_prf(
    pixels: Path, catalog: Path, output: Path, ccd_id: CcdId, *, settings: Mapping[str, Any]
) -> None:
    """Take the PRF from the stars of the images, or from the mission's files.

    Parameters
    ----------
    pixels, catalog : Path
        ``pixels.hdf5``, ``catalog.sqlite``.
    output : Path
        ``prf.fits``.
    settings : mapping
        Section ``prf`` of the configuration.

    Raises
    ------
    InputDataError
        If the mission's files are asked for and not found, or cannot be read.
    """
    wanted = PrfSettings.from_mapping(settings)
    if wanted.source == "spoc":
        paths = find_spoc_prf(Path(str(wanted.folder)).expanduser(), ccd_id)
        read = read_spoc_prf(paths)
        source = f"spoc: {paths[0].name}"[:68]
        prf = prf_from_samples(read.row, read.column, read.samples, read.per_pixel, source=source)
    elif wanted.source == "generic":
        prf = generic_prf()
    else:
        prf = _from_data(pixels, catalog, wanted)
    log.info("%s: PRF from %s, zero point %.3f mag", ccd_id, prf.source, prf.zeropoint)
    write_prf(output, prf, ccd_id, attributes=provenance({"prf": dict(settings)}))


def _from_data(pixels: Path, catalog: Path, settings: PrfSettings) -> Prf:
    """Fit the PRF to the average image."""
    stars, _ = read_catalog(catalog)
    tmag = stars["tmag"].to_numpy(dtype=float)
    with PixelCube(pixels) as cube:
        window = cube.window
        image = cube.average_image(window).astype(float)
        row, column = average_places(cube, stars)
        scale = float(cube.attributes["mask_radius_scale"])
        errors = _typical_errors(cube)
    mask = star_mask(window, row, column, tmag, radius_scale=scale)
    _, scatter = sky_noise(image, ~mask)
    field = StarField(image, np.hypot(errors, scatter), window, row, column, tmag)
    chosen = choose_prf_stars(
        field,
        bright_limit=settings.bright_limit,
        faint_limit=settings.faint_limit,
        max_stars=settings.n_stars,
    )
    prf = fit_prf(field, chosen, **_wings(image, field, mask), n_rounds=FIRST_ROUNDS)
    # In a crowd wings can only be told from other stars once the cores of these are known.
    flux = 10 ** (0.4 * (prf.zeropoint - tmag))
    cores = scene_derivatives(
        prf, window, row, column, flux, orders=DERIVATIVES[:1], with_wings=False
    )[0]
    wings = _wings(image - cores, field, image > BRIGHT_SIGMAS * scatter)
    prf = fit_prf(field, chosen, **wings, start=prf)
    if prf.source == generic_prf().source:
        log.warning("%d stars do not show the PRF well enough: a generic one is taken", len(chosen))
    return prf


def _wings(image: NDArray, field: StarField, others: NDArray) -> dict[str, NDArray]:
    """Rings of the wing and the light in them, as `fit_prf` wants them; none if unknown."""
    shares = measure_wings(image, field.window, field.row, field.column, field.tmag, others)
    if shares is None:
        return {"wing_radius": np.zeros(0), "wing_share": np.zeros(0)}
    radius = 0.5 * (RINGS[:-1] + RINGS[1:])
    is_wing = radius > INNERMOST_WING
    return {"wing_radius": radius[is_wing], "wing_share": shares[is_wing]}


def _typical_errors(cube: PixelCube) -> NDArray:
    """Error of the average image's pixels from photons and read-out, (n_rows, n_columns)."""
    good = np.flatnonzero(cube.quality == 0)
    if good.size == 0:
        good = np.arange(cube.n_cadences)
    level = np.nan_to_num(cube.background_level[good])
    middle = int(good[np.argsort(level, kind="stable")[len(good) // 2]])
    errors = cube.read("flux_err", None, slice(middle, middle + 1))[0].astype(float)
    return np.nan_to_num(errors, nan=np.nanmedian(errors)) / np.sqrt(len(good))
