"""Pixels that show the sky, also in a crowd, where masks over all stars would leave none.

Masks follow the crowding, cell by cell: where too little is left, the pixels with the least
light of known stars are the sky. What wings leave in them is taken off once the average
image is known (`tessphot_lib.background.starlight`).
"""

from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of

MIN_SKY = 0.04  # of a cell that is to be left: some 160 pixels
CELL = 64  # [pixels] side of the cells, aligned with the CCD
CORE_SIGMA = 1.1  # [pixels] of a Gaussian: light of a star that is near
WING_SIGMA, WING_FRACTION = 3.5, 0.15  # and farther away


def sky_mask(
    window: Window,
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    *,
    radius_scale: float = 1.0,
) -> NDArray:
    """Mark the pixels that known stars outshine most.

    Parameters as those of `star_mask`.

    Returns
    -------
    (n_rows, n_columns) bool array
        That of `star_mask` in cells in which it leaves `MIN_SKY` of the pixels; all but the
        darkest in others.
    """
    mask = star_mask(window, row, column, tmag, radius_scale=radius_scale)
    crowded = [cell for cell in _cells(window) if _sky(mask[cell]) < MIN_SKY]
    if crowded:
        light = _light(window, row, column, tmag)
        for cell in crowded:
            mask[cell] = light[cell] > np.quantile(light[cell], MIN_SKY)
    return mask


def _sky(mask: NDArray) -> float:
    return 1.0 - float(mask.mean())


def _cells(window: Window) -> list[tuple[slice, slice]]:
    rows, columns = (
        np.unique(np.clip(np.arange(first // CELL, last // CELL + 2) * CELL, first, last)) - first
        for first, last in ((window.row0, window.row1), (window.column0, window.column1))
    )
    return [
        (slice(row0, row1), slice(column0, column1))
        for row0, row1 in pairwise(rows)
        for column0, column1 in pairwise(columns)
    ]


def _light(window: Window, row: NDArray, column: NDArray, tmag: NDArray) -> NDArray:
    """Roughly what stars give each pixel [e-/s]."""
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(tmag)
    pixel = [
        np.round(position[known]).astype(int) - first
        for position, first in ((row, window.row0), (column, window.column0))
    ]
    margin = int(4 * WING_SIGMA)
    shape = window.shape[0] + 2 * margin, window.shape[1] + 2 * margin
    at = pixel[0] + margin, pixel[1] + margin
    inside = (at[0] >= 0) & (at[0] < shape[0]) & (at[1] >= 0) & (at[1] < shape[1])
    points = np.zeros(shape)
    np.add.at(points, (at[0][inside], at[1][inside]), flux_of(tmag[known][inside]))
    light = (1 - WING_FRACTION) * scipy.ndimage.gaussian_filter(points, CORE_SIGMA)
    light += WING_FRACTION * scipy.ndimage.gaussian_filter(points, WING_SIGMA)
    return np.asarray(light[margin:-margin, margin:-margin])
