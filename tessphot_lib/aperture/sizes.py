"""How large apertures and stamps are, by the brightness of the star."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import bleed_half_length
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.geometry import Window

# Sizes that data validation accepts of TASOC.
SMALLEST_TMAG = np.array([4.0, 5.5, 6.8, 7.6, 8.4, 9.1, 10.0, 10.5, 11.0, 11.5, 11.6])
SMALLEST_SIZE = np.array([30, 29, 27, 26, 23, 21, 16, 12, 9, 6, 5])
LARGEST_TMAG = np.array([2.0, 3.5, 4.8, 6.8, 7.6, 8.4, 9.1, 10.0, 11.0, 12.0, 13.3, 14.5, 16.0])
LARGEST_SIZE = np.array([3200, 1400, 900, 470, 260, 200, 170, 130, 100, 86, 67, 54, 50])
MAX_STAMP_HALF = 1024  # [pixels]
BRIGHTENING, MAX_RESERVE = 1.0, 24  # [mag] by which a saturated star may brighten, [pixels]
# Half sizes of a stamp by Tmag (rows, columns), as TASOC has them, halved.
STAMP_TMAG = np.array([0.0, 1.05, 2.1, 3.2, 4.2, 5.3, 6.3, 8.0, 10.0])
STAMP_HALF_ROWS = np.array([416, 172, 74, 34, 18, 12, 9, 8, 7])
STAMP_HALF_COLUMNS = np.array([79, 50, 33, 23, 17, 12, 9, 8, 7])


def reach(tmag: NDArray, max_radius: float) -> NDArray:
    """Largest distance of an aperture's pixel from its star [pixels].

    Three pixels for the faintest, growing by a tenth of a dex per magnitude;
    ``max_radius`` at Tmag 5, and beyond it for brighter stars.
    """
    return np.maximum(3.0, max_radius * 10 ** (0.1 * (5.0 - np.asarray(tmag))))


def size_limits(tmag: float) -> tuple[int, int]:
    """Smallest and largest number of pixels that downstream validation accepts at a Tmag."""
    smallest = np.interp(tmag, SMALLEST_TMAG, SMALLEST_SIZE)
    largest = 10 ** np.interp(tmag, LARGEST_TMAG, np.log10(LARGEST_SIZE))
    return int(np.ceil(smallest)), int(largest)


def stamp_window(
    row: float, column: float, tmag: float, window: Window, max_radius: float
) -> Window:
    """Pixels around a star that are looked at and kept in its file, cut at the window."""
    at = (np.array([value], dtype=float) for value in (row, column, tmag))
    return stamp_windows(*at, window, max_radius)[0]


def stamp_windows(
    row: NDArray, column: NDArray, tmag: NDArray, window: Window, max_radius: float
) -> list[Window]:
    """Return the `stamp_window` of each of some stars, (n_stars,) arrays."""
    radius = np.ceil(reach(tmag, max_radius))
    bleed = np.where(tmag < SATURATION_TMAG, bleed_half_length(tmag), 0.0)
    # The stamp also holds the trail of a brighter star.
    brighter = np.minimum(bleed_half_length(tmag - BRIGHTENING), bleed + MAX_RESERVE)
    bleed = np.ceil(np.where(bleed > 0, brighter, 0.0))
    half_rows = np.maximum.reduce([np.interp(tmag, STAMP_TMAG, STAMP_HALF_ROWS), radius, bleed])
    half_columns = np.maximum(np.interp(tmag, STAMP_TMAG, STAMP_HALF_COLUMNS), radius)
    half_rows = np.minimum(half_rows, MAX_STAMP_HALF)
    numbers = (np.round(row), np.round(column), np.floor(half_rows), np.floor(half_columns))
    return [
        Window.around(at_row, at_column, (down, along), window)
        for at_row, at_column, down, along in zip(
            *(values.astype(int).tolist() for values in numbers), strict=True
        )
    ]
