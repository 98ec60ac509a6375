"""Pixels that known stars outshine, so that the rest shows the sky."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import bleed_half_length
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import stamp_pixels

# Radius of the mask: 1.5 px at Tmag 17, growing so that the wing of the PRF beyond it
# stays below about 1 e-/s/pixel; never larger than the reflections of the brightest stars.
RADIUS_AT_17 = 1.5  # [pixels]
MAX_RADIUS = 60.0  # [pixels]
STARS_AT_ONCE = 20000  # painted in one step, so that memory stays small
BLEED_HALF_WIDTH = 2  # [pixels] columns on each side of a saturated star that may bleed


def star_mask(
    window: Window,
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    *,
    radius_scale: float = 1.0,
) -> NDArray:
    """Mark the pixels around known stars, bleed trails included.

    Parameters
    ----------
    window : Window
        Science pixels that the mask covers.
    row, column : (n_stars,) arrays
        Positions [science pixels], on or off the window; NaN positions are ignored.
    tmag : (n_stars,) array
        TESS magnitudes; NaN is ignored.
    radius_scale : float
        Multiplies all radii.

    Returns
    -------
    (n_rows, n_columns) bool array
        True where a star's light must be expected. All False without stars.
    """
    mask = np.zeros(window.shape, dtype=bool)
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(tmag)
    row, column, tmag = row[known], column[known], tmag[known]
    radius = np.minimum(mask_radius(tmag) * radius_scale, MAX_RADIUS)
    near = (
        (row > window.row0 - radius - 1)
        & (row < window.row1 + radius)
        & (column > window.column0 - radius - 1)
        & (column < window.column1 + radius)
    )
    local_row, local_column = row[near] - window.row0, column[near] - window.column0
    _paint_disks(mask, local_row, local_column, radius[near])
    saturated = tmag < SATURATION_TMAG
    _paint_bleeds(
        mask,
        row[saturated] - window.row0,
        column[saturated] - window.column0,
        bleed_half_length(tmag[saturated]) * radius_scale,
    )
    return mask


def mask_radius(tmag: NDArray) -> NDArray:
    """Radius around a star of some magnitude that is not sky [pixels]."""
    return np.minimum(RADIUS_AT_17 * 10 ** (0.1 * (17.0 - np.asarray(tmag))), MAX_RADIUS)


def _paint_disks(mask: NDArray, row: NDArray, column: NDArray, radius: NDArray) -> None:
    """Set pixels whose centre is within the radius; vectorised over stars of alike radius."""
    size = np.ceil(radius).astype(int)
    centre_row, centre_column = np.round(row).astype(int), np.round(column).astype(int)
    for reach in np.unique(size):
        stars, side = np.flatnonzero(size == reach), 2 * reach + 1
        for some in np.array_split(stars, len(stars) // STARS_AT_ONCE + 1):
            first_row, first_column = centre_row[some] - reach, centre_column[some] - reach
            flat, inside = stamp_pixels(first_row, first_column, (side, side), mask.shape)
            d_row = first_row[:, None] + np.arange(side) - row[some, None]
            d_column = first_column[:, None] + np.arange(side) - column[some, None]
            squared = d_row[:, :, None] ** 2 + d_column[:, None, :] ** 2
            mask.ravel()[flat[inside & (squared <= radius[some, None, None] ** 2)]] = True


def _paint_bleeds(mask: NDArray, row: NDArray, column: NDArray, half_length: NDArray) -> None:
    """Set the columns of saturated stars as far as they may bleed."""
    n_rows, n_columns = mask.shape
    for star_row, star_column, reach in zip(row, column, half_length, strict=True):
        first, last = star_row - reach, star_row + reach
        left, right = star_column - BLEED_HALF_WIDTH, star_column + BLEED_HALF_WIDTH
        rows = slice(max(round(first), 0), min(max(round(last) + 1, 0), n_rows))
        columns = slice(max(round(left), 0), min(max(round(right) + 1, 0), n_columns))
        mask[rows, columns] = True
