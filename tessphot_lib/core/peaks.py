"""Peaks of an image, and the pixels on their slopes."""

import numpy as np
from numpy.typing import NDArray

STEPS = [(d_row, d_column) for d_row in (-1, 0, 1) for d_column in (-1, 0, 1)]


def peaks_of(image: NDArray, pixels: NDArray | None = None) -> NDArray:
    """Find the peak at which the way uphill from each pixel ends.

    Each step goes to the highest of the 3 x 3 pixels around; of several that are equally high,
    to the first by row and column.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Without NaN.
    pixels : (n,) int array, optional
        Flat indices of the pixels to begin at; all if left out.

    Returns
    -------
    (n,) int array
        Flat indices of the peaks. A pixel that none of those around it exceeds is its own.
    """
    n_rows, n_columns = image.shape
    padded = np.pad(image, 1, constant_values=-np.inf)
    best, way = image.copy(), np.full(image.shape, len(STEPS) // 2, dtype=np.int8)
    for number, (d_row, d_column) in enumerate(STEPS):
        beside = padded[1 + d_row : 1 + d_row + n_rows, 1 + d_column : 1 + d_column + n_columns]
        np.copyto(way, np.int8(number), where=beside > best)
        np.maximum(best, beside, out=best)
    steps = np.array([d_row * n_columns + d_column for d_row, d_column in STEPS])
    top = np.arange(image.size) if pixels is None else np.asarray(pixels)
    while True:
        higher_up = top + steps[way.ravel()[top]]
        if np.array_equal(higher_up, top):
            return top
        top = higher_up
