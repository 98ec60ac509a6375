"""Mean image of a CCD over its good cadences."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background import Mesh
from tessphot_lib.patches import Patches


def average_image(
    sums: Iterable[tuple[NDArray, NDArray]],
    backgrounds: NDArray,
    grid: Mesh | Patches,
) -> tuple[NDArray, NDArray]:
    """Average the images of a CCD from the sums of its blocks.

    Parameters
    ----------
    sums : iterable of (flux_sum, flux_count)
        Of each block: the sum of its averaged images [e-/s], and the number of
        images that each pixel got; (n_rows, n_columns) each. Sky is included
        where the backgrounds are those of a mesh; from patches, which may lack
        some images, it has been taken off.
    backgrounds : (n_images, ...) array
        Backgrounds of the images that are in the sums.
    grid : Mesh or Patches
        What the backgrounds are of.

    Returns
    -------
    average : (n_rows, n_columns) float64 array
        Mean of the background-subtracted images [e-/s]; NaN where a pixel has
        none. The background is linear in its nodes, so that the mean model
        is subtracted once; a pixel that is missing in some images is exact
        only as far as their background is alike.
    count : (n_rows, n_columns) int32 array
        Number of images of each pixel.

    Raises
    ------
    ValueError
        If no image is averaged.
    """
    total, count = np.zeros(grid.window.shape), np.zeros(grid.window.shape, dtype=np.int32)
    for flux_sum, flux_count in sums:
        total += flux_sum
        count += flux_count
    if len(backgrounds) == 0 or not count.any():
        raise ValueError("no good images to average")
    average = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    if isinstance(grid, Patches):
        return average, count
    mean_background = grid.evaluate(np.mean(backgrounds, axis=0, keepdims=True), grid.window)[0]
    return average - mean_background, count
