"""Step: sums of the blocks of a CCD -> its average image."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.average import average_image
from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.background.starlight import starlight_offset
from tessphot_lib.background.straps import fit_straps
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.mesh import Mesh, interpolation_matrix
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.products.average_fits import write_average_image
from tessphot_lib.io.products.background_grid import block_grid
from tessphot_lib.io.products.block_hdf5 import read_all_images, read_identity, read_sums
from tessphot_lib.io.stars.catalog_sqlite import read_catalog, read_catalog_settings
from tessphot_lib.prf.fit import fit_field
from tessphot_lib.prf.stars import StarField, choose_prf_stars

BRIGHT_LIMIT, FAINT_LIMIT = 7.5, 12.5  # [Tmag] of the stars that show how far light reaches

log = logging.getLogger(__name__)


def run_average_image(
    blocks: list[Path], catalog: Path, output: Path, ccd_id: CcdId, *, settings: PrepareSettings
) -> None:
    """Average the good images of all blocks of a CCD.

    Of ``settings`` section ``background`` is used.

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
    averaged = images["is_averaged"].astype(bool)
    if not averaged.any():
        raise InputDataError(
            f"{ccd_id}: all {averaged.size} images are flagged or brighter than "
            "prepare.average.max_background, none is left for the average image"
        )
    average, count = average_image(read_sums(block) for block in blocks)
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
        attributes=provenance(settings.as_mapping(), [*blocks, catalog]),
    )


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
