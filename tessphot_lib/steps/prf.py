"""Step: average image and catalog of a CCD -> its pixel response function."""

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.background.static_light import static_light_error
from tessphot_lib.core.constants import TMAG_ZEROPOINT, ZEROPOINT_WARNING
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrfSettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf, write_prf
from tessphot_lib.io.products.star_checks_ecsv import (
    CensusExtent,
    write_list_check,
    write_unlisted,
)
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.photometry.star_census import take_star_census
from tessphot_lib.prf.evaluate import prf_from_samples
from tessphot_lib.prf.fit import fit_field, fit_prf
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.stars import StarField, choose_prf_stars
from tessphot_lib.prf.zeropoint import choose_zeropoint_stars, with_zeropoint

log = logging.getLogger(__name__)


def run_prf(
    pixels: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    list_check: Path,
    unlisted: Path,
    settings: PrfSettings,
    of_images: Path | None = None,
) -> None:
    """Take the PRF from the stars of the images, or from the mission's files.

    With it the list of stars is compared with the average image.

    Parameters
    ----------
    pixels, catalog : Path
        ``pixels.hdf5``, ``catalog.sqlite``.
    output : Path
        ``prf.fits``.
    list_check, unlisted : Path
        ``list_check.ecsv``: stars of which not all is believed; ``unlisted.ecsv``: sources
        that the list lacks.
    settings : PrfSettings
    of_images : Path, optional
        ``prf.fits`` of the same CCD in full-frame images, whose many stars show it better than
        those of the target pixel files: it is taken as it is.

    Raises
    ------
    InputDataError
        If the mission's files are asked for and not found, or cannot be read.
    """
    stars, _ = read_catalog(catalog)
    if of_images is None:
        prf, inputs = _prf(_field(pixels, stars), ccd_id, settings)
        inputs = [pixels, catalog, *inputs]
    else:
        prf, inputs = read_prf(of_images), [of_images]
    zeropoint = f"{prf.zeropoint:.3f} +- {prf.zeropoint_error:.3f} mag"
    log.info(
        "%s: PRF from %s, zero point %s, %d stars",
        *(ccd_id, prf.source, zeropoint, prf.zeropoint_stars),
    )
    if abs(prf.zeropoint - TMAG_ZEROPOINT) > ZEROPOINT_WARNING:
        log.warning("zero point %s, %.2f expected", zeropoint, TMAG_ZEROPOINT)
    made_by = provenance({"prf": settings.as_mapping()}, inputs)
    write_prf(output, prf, ccd_id, attributes=made_by)
    with PixelCube(pixels) as cube:
        census = take_star_census(cube, stars, prf)
    made_by = provenance({"prf": settings.as_mapping()}, [pixels, catalog, output])
    extent = CensusExtent(census.n_suspicious, census.n_fitted)
    write_list_check(list_check, census.checks, ccd_id, made_by, extent)
    write_unlisted(unlisted, census.unlisted, ccd_id, made_by)


def _prf(field: StarField, ccd_id: CcdId, settings: PrfSettings) -> tuple[Prf, list[Path]]:
    """The PRF by ``prf.source``, with the zero point that the stars show; and files of its own."""
    inputs: list[Path] = []
    stars = choose_prf_stars(
        field,
        bright_limit=settings.bright_limit,
        faint_limit=settings.faint_limit,
        max_stars=settings.n_stars,
    )
    if settings.source == "spoc":
        from tessphot_lib.io.mission.prf_spoc import find_spoc_prf, read_spoc_prf  # heavy

        paths = find_spoc_prf(Path(str(settings.folder)).expanduser(), ccd_id)
        inputs, read = list(paths), read_spoc_prf(paths)
        source = f"spoc: {paths[0].name}"[:68]
        prf = prf_from_samples(read.row, read.column, read.samples, read.per_pixel, source=source)
    elif settings.source == "generic":
        prf = generic_prf()
    else:
        prf = _from_data(field, stars)
    limits = {"bright_limit": settings.bright_limit, "faint_limit": settings.faint_limit}
    prf = with_zeropoint(prf, field, choose_zeropoint_stars(field, **limits))
    return prf, inputs


def _field(pixels: Path, stars: pd.DataFrame) -> StarField:
    """The average image with the stars of the catalog."""
    with PixelCube(pixels) as cube:
        window, image = cube.window, cube.average_image(cube.window).astype(float)
        places = average_places(cube, stars)
        scale, static = float(cube.attributes["mask_radius_scale"]), cube.static_light
    tmag = stars["tmag"].to_numpy(dtype=float)
    field = StarField.of_image(image, window, *places, tmag, mask_radius_scale=scale)
    return field if static is None else field.on_light_known_to(static_light_error(static))


def _from_data(field: StarField, chosen: NDArray) -> Prf:
    """Fit the PRF to the average image."""
    fitted = fit_field(field, chosen)
    level = replace(field, image=field.image - fitted.sky)
    prf = fit_prf(level, chosen, start=fitted.prf, scene=fitted.scene)
    if prf.source == generic_prf().source:
        log.warning("%d stars do not show the PRF well enough: a generic one is taken", len(chosen))
    log.info("the sky between the stars is at %.2f e-/s per pixel", fitted.sky)
    return prf
