"""Step: sums of the blocks of a CCD -> its average image."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.average import average_image
from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.background.starlight import starlight_offset
from tessphot_lib.background.straps import fit_straps
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.mesh import Mesh, interpolation_matrix
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.products.average_fits import write_average_image
from tessphot_lib.io.products.background_grid import block_grid
from tessphot_lib.io.products.block_hdf5 import read_all_images, read_identity, read_sums
from tessphot_lib.io.products.jitter_ecsv import read_jitter
from tessphot_lib.io.stars.catalog_sqlite import read_catalog, read_catalog_settings
from tessphot_lib.preparation.averaged import averaged_images, light_of_images
from tessphot_lib.prf.fit import fit_field
from tessphot_lib.prf.stars import StarField, choose_prf_stars

BRIGHT_LIMIT, FAINT_LIMIT = 7.5, 12.5  # [Tmag] of the stars that show how far light reaches

log = logging.getLogger(__name__)


def run_average_image(
    blocks: list[Path],
    catalog: Path,
    jitter: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: PrepareSettings,
) -> None:
    """Average the good images of all blocks of a CCD, those that ``jitter`` flags left out.

    Of ``settings`` the sections ``background`` and ``average`` are used.

    Raises
    ------
    InputDataError
        If none of the images is good.
    """
    window = read_identity(blocks[0])["window"]
    box_size = settings.background.box_size
    grid = block_grid(blocks[0], window, box_size)
    names = ("is_averaged", "background", "background_error", "column_excess")
    images = read_all_images(blocks, names)
    quality = read_jitter(jitter)["quality"]
    if len(quality) != len(images["is_averaged"]):
        raise InputDataError(f"{jitter}: its images are not those of the blocks")
    averaged = averaged_images(images["is_averaged"], quality)
    if not averaged.any():
        raise InputDataError(
            f"{ccd_id}: all {averaged.size} images are flagged or brighter than "
            "prepare.average.max_background, none is left for the average image"
        )
    removed = images["is_averaged"].astype(bool) & ~averaged
    sums = _sums(blocks, removed, images["background"], grid, settings.average.max_background)
    average, count = average_image(sums)
    offset, straps = np.zeros(0), np.zeros(0)
    if grid.is_continuous:
        straps = _straps(images["column_excess"], images["background"], grid)
        mean_background = images["background"][averaged].mean(axis=0, dtype=float)
        average = average - grid.evaluate(mean_background, window) * straps
        error = np.median(images["background_error"][averaged], axis=0)
        offset = _sky_offset(average, grid, catalog, settings, error)
        average = average + grid.evaluate(offset, window)
        log.info("%s: backgrounds are lowered by %.2f e-/s/pixel", ccd_id, np.median(offset))
    log.info("%s: averaged %d of %d images", ccd_id, averaged.sum(), averaged.size)
    write_average_image(
        output,
        average,
        count,
        window,
        ccd_id,
        wcs=str(read_catalog_settings(catalog)["wcs"]),
        n_images=int(averaged.sum()),
        offset=offset,
        straps=straps,
        attributes=provenance(settings.as_mapping(), [*blocks, catalog, jitter]),
    )


def _sums(
    blocks: list[Path],
    removed: NDArray,
    backgrounds: NDArray,
    grid: BackgroundGrid,
    max_background: float,
) -> Iterator[tuple[NDArray, NDArray]]:
    """Sums of the blocks and their counts, without the images that are removed."""
    first = 0
    for block in blocks:
        flux_sum, flux_count = read_sums(block)
        last = first + int(read_identity(block)["n_images"])
        out = np.flatnonzero(removed[first:last])
        if out.size:
            models = backgrounds[first:last][out]
            less = light_of_images(block, out, models, grid, max_background=max_background)
            flux_sum, flux_count = flux_sum - less[0], flux_count - less[1]
        yield flux_sum, flux_count
        first = last


def _sky_offset(
    average: NDArray, mesh: Mesh, catalog: Path, settings: PrepareSettings, error: NDArray
) -> NDArray:
    """What the light of stars adds to the backgrounds, as nodes of the mesh; zero if unknown."""
    stars, _ = read_catalog(catalog, ("row", "column", "tmag"))
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    scale = settings.background.mask_radius_scale
    window = mesh.window
    field = StarField.of_image(average, window, row, column, tmag, mask_radius_scale=scale)
    chosen = choose_prf_stars(field, bright_limit=BRIGHT_LIMIT, faint_limit=FAINT_LIMIT)
    fitted = fit_field(field, chosen)
    log.info("PRF for the light of stars between stars: %s", fitted.prf.source)
    mask = star_mask(window, row, column, tmag, radius_scale=scale)
    return starlight_offset(average, fitted.scene, SkySampler.from_mask(mesh, mask), error)


def _straps(excess: NDArray, backgrounds: NDArray, mesh: Mesh) -> NDArray:
    """Response of the columns, (n_columns,); see `fit_straps`."""
    window = mesh.window
    rows = interpolation_matrix(mesh.row_edges, np.arange(window.row0, window.row1)).mean(axis=0)
    columns = interpolation_matrix(mesh.column_edges, np.arange(window.column0, window.column1))
    light = (rows @ backgrounds) @ columns.T
    straps = fit_straps(excess, light)
    seen = np.count_nonzero(np.abs(straps) > 1e-3)
    log.info("%d columns see over 0.1 %% more or less of the background", seen)
    return straps
