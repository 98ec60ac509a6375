"""Which images make the average image, once all images of a CCD have been compared.

The blocks of patches sum up what seems good image by image; what the comparison finds is
taken off the sums again.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.flags import CadenceFlag, PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.patches import Patches
from tessphot_lib.io.products.block_hdf5 import read_flags, read_flux

NOT_AVERAGED_IMAGES = int(CadenceFlag.COARSE_MEASURED | CadenceFlag.STARS_CHANGED)
NOT_AVERAGED_PIXELS = np.uint8(PixelFlag.BACKGROUND_ANOMALY | PixelFlag.MANUAL_EXCLUDE)
BAND_ROWS = 64  # that are read at once


def averaged_images(is_summed: NDArray, quality: NDArray) -> NDArray:
    """Return which images the average image is made from.

    Parameters
    ----------
    is_summed : (n_images,) bool or int array
        Those in the sums of the blocks.
    quality : (n_images,) int array
        `CadenceFlag` bits that the comparison of the images found.

    Returns
    -------
    (n_images,) bool array
        All of ``is_summed`` if the comparison leaves none.
    """
    summed = np.asarray(is_summed).astype(bool)
    good = summed & ((quality & NOT_AVERAGED_IMAGES) == 0)
    return good if good.any() else summed


def removed_images(is_good: NDArray, is_averaged: NDArray, quality: NDArray) -> NDArray:
    """Return which images are to be taken off the sums of patches.

    Parameters
    ----------
    is_good : (n_images,) bool array
        Those that the blocks summed up wherever a patch was dark enough: one with a bright
        sky elsewhere may be in the sums of some patches.
    is_averaged : (n_images,) bool array
        From `averaged_images`.
    quality : (n_images,) int array
        As there.

    Returns
    -------
    (n_images,) bool array
    """
    return is_good & ((quality & NOT_AVERAGED_IMAGES) != 0) & ~is_averaged


def light_of_images(
    block: Path,
    images: NDArray,
    backgrounds: NDArray,
    grid: Patches,
    *,
    max_background: float,
) -> tuple[NDArray, NDArray]:
    """Sum some images of a block as the block itself summed them.

    Parameters
    ----------
    block : Path
    images : (n,) int array
        Their numbers in the block, increasing.
    backgrounds : (n, n_patches, n_terms) array
        Models of their backgrounds.
    grid : Patches
        What these are of.
    max_background : float
        [e-/s per pixel] patches with a brighter background are not in the sums.

    Returns
    -------
    flux_sum : (n_rows, n_columns) float64 array
        [e-/s]
    flux_count : (n_rows, n_columns) int32 array
    """
    window = grid.window
    flux_sum, flux_count = np.zeros(window.shape), np.zeros(window.shape, dtype=np.int32)
    for number, part in enumerate(grid.windows):
        level = np.nan_to_num(grid.levels(backgrounds)[:, number], nan=np.inf)
        used = np.flatnonzero(level < max_background)
        if not used.size:
            continue
        for row in range(part.row0, part.row1, BAND_ROWS):
            band = Window(row, min(row + BAND_ROWS, part.row1), part.column0, part.column1)
            pixels = band.slices_in(window)
            light = read_flux(block, pixels, images[used]) - grid.evaluate(backgrounds[used], band)
            flags = read_flags(block, pixels, images[used])
            counts = np.isfinite(light) & ((flags & NOT_AVERAGED_PIXELS) == 0)
            counts &= grid.index[pixels] == number
            flux_sum[pixels] += np.where(counts, light, 0.0).sum(axis=0)
            flux_count[pixels] += counts.sum(axis=0, dtype=np.int32)
    return flux_sum, flux_count
