"""Light and sharpness of stars in one image, to compare it with the other images.

Both are sums under Gaussian windows that follow the star, so that a small motion does
not change them; the median of the outermost pixels of the stamp is taken off, so that
an error of the background does not either.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import cut_stamps
from tessphot_lib.motion.star_positions import HALF_STAMP, measure_stamps

WIDE_SIGMA = 2.0  # [pixels] of the window that collects nearly all light
NARROW_SIGMA = 1.0  # [pixels] of the one that collects the core


class StarMeasures(NamedTuple):
    """What one image shows of some stars; all (n_stars,) float64 arrays.

    Attributes
    ----------
    row, column : arrays
        Measured positions; NaN where the star was not found.
    light : array
        Sum under the wide window [e-/s]; NaN where a pixel is missing. Of a star that was not
        found: where it is expected.
    sharpness : array
        Sum under the narrow window as a fraction of ``light``; NaN without positive light.
    """

    row: NDArray
    column: NDArray
    light: NDArray
    sharpness: NDArray


def measure_stars(
    image: NDArray, window: Window, row: NDArray, column: NDArray, background: NDArray
) -> StarMeasures:
    """Measure positions, light and sharpness of stars in one image.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Sky included [e-/s].
    window : Window
        The pixels that the image covers.
    row, column : (n_stars,) arrays
        Where the stars are expected [science pixels], at least
        `tessphot_lib.motion.star_positions.HALF_STAMP` from the edge of the window.
    background : (n_stars,) array
        Background at each star [e-/s per pixel].
    """
    side = 2 * HALF_STAMP + 1
    first_row = np.round(row).astype(int) - HALF_STAMP
    first_column = np.round(column).astype(int) - HALF_STAMP
    first = first_row - window.row0, first_column - window.column0
    stamps = cut_stamps(image, *first, (side, side)) - background[:, None, None]
    found = measure_star_stamps(stamps, row - first_row, column - first_column)
    return found._replace(row=found.row + first_row, column=found.column + first_column)


def measure_star_stamps(stamps: NDArray, row: NDArray, column: NDArray) -> StarMeasures:
    """Measure stars in stamps of their own, in pixels of the stamp; see `measure_stars`."""
    found_row, found_column = measure_stamps(stamps, row, column)
    is_found = np.isfinite(found_row)
    at_row, at_column = np.where(is_found, found_row, row), np.where(is_found, found_column, column)
    outermost = np.ones(stamps.shape[1:], dtype=bool)
    outermost[1:-1, 1:-1] = False
    light_of = stamps - np.median(stamps[:, outermost], axis=1)[:, None, None]
    offsets = np.arange(stamps.shape[1])

    def sum_under(sigma: float) -> NDArray:
        by_row = np.exp(-0.5 * ((offsets - at_row[:, None]) / sigma) ** 2)
        by_column = np.exp(-0.5 * ((offsets - at_column[:, None]) / sigma) ** 2)
        return np.einsum("src,sr,sc->s", light_of, by_row, by_column)

    light, core = sum_under(WIDE_SIGMA), sum_under(NARROW_SIGMA)
    with np.errstate(invalid="ignore", divide="ignore"):
        sharpness = np.where(light > 0, core / light, np.nan)
    return StarMeasures(found_row, found_column, light, sharpness)
