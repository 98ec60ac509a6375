"""How crowded a field is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import PIXEL_SCALE_DEG
from tessphot_lib.core.geometry import Window

CROWD_TMAG = 17.0  # [mag] of the faintest stars that count: star lists have them
SQUARE = 64  # [pixels] side of the squares in which they are counted
CROWDED_PART = 0.9  # of the squares have fewer stars


def star_density(windows: Sequence[Window], row: NDArray, column: NDArray, tmag: NDArray) -> float:
    """Count the stars of the most crowded tenth of some pixels.

    Parameters
    ----------
    windows : sequence of Window
        The pixels: all of a CCD, or patches of it.
    row, column, tmag : (n_stars,) arrays
        Known stars [science pixels, mag]; NaN does not count.

    Returns
    -------
    float
        Stars to `CROWD_TMAG` per square degree, of the square that `CROWDED_PART` of the squares
        have less than; 0 without any pixels.
    """
    with np.errstate(invalid="ignore"):
        counts = (tmag <= CROWD_TMAG) & np.isfinite(row) & np.isfinite(column)
    row, column = row[counts], column[counts]
    density = []
    for window in windows:
        edges = [
            np.append(np.arange(first, max(last - SQUARE // 2, first + 1), SQUARE), last) - 0.5
            for first, last in ((window.row0, window.row1), (window.column0, window.column1))
        ]
        number, *_ = np.histogram2d(row, column, bins=edges)
        area = np.outer(*(np.diff(one) for one in edges)) * PIXEL_SCALE_DEG**2
        density.append((number / area).ravel())
    if not density:
        return 0.0
    return float(np.quantile(np.concatenate(density), CROWDED_PART))
