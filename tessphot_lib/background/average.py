"""Mean image of a CCD over its good cadences."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def average_image(sums: Iterable[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """Average the images of a CCD from the sums of its blocks.

    Parameters
    ----------
    sums : iterable of (flux_sum, flux_count)
        Of each block: the sum of its averaged images, each without its own
        background [e-/s], and the number of images that each pixel got;
        (n_rows, n_columns) each.

    Returns
    -------
    average : (n_rows, n_columns) float64 array
        Mean of the background-subtracted images [e-/s]; NaN where a pixel has
        none.
    count : (n_rows, n_columns) int32 array
        Number of images of each pixel.

    Raises
    ------
    ValueError
        If no image is averaged.
    """
    total = count = None
    for flux_sum, flux_count in sums:
        if total is None:
            total, count = np.zeros(flux_sum.shape), np.zeros(flux_sum.shape, dtype=np.int32)
        total += flux_sum
        count += flux_count
    if total is None or not count.any():
        raise ValueError("no good images to average")
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0), count
