"""How far the stars of an image are from where the catalog has them.

The bright stars vote for a displacement of all; their measured positions then give an
affine transformation (translation, rotation, scale, shear).
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_from_points, displacement
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.stamps import cut_stamps, nearest_pixel
from tessphot_lib.motion.star_positions import HALF_STAMP, measure_positions, select_motion_stars

SEARCH = 15  # [pixels] largest displacement that is looked for, per axis
VOTERS = 300  # stars at most
PEAK_FRACTION = 0.15  # of a star's light, at least, that its brightest pixel has
CLEAR_VOTE = 0.5  # of the stars must find light where the displacement takes them
MIN_STARS = 8
CLIP = 4.0  # [sigma]
MIN_SPREAD = 0.02  # [pixels]


@dataclass(frozen=True)
class CatalogOffset:
    """Where an image has the stars, against the catalog.

    Attributes
    ----------
    motion : (6,) float64 array
        Affine displacement, see `tessphot_lib.core.affine`.
    largest : float
        Largest displacement in the middle and the corners of the window [pixels].
    d_row, d_column : float
        Displacement in the middle of the window [pixels].
    n_stars : int
        Stars that it is from.
    """

    motion: NDArray
    largest: float
    d_row: float
    d_column: float
    n_stars: int


def catalog_offset(
    image: NDArray,
    window: Window,
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    *,
    zeropoint: float,
    bright_limit: float,
    faint_limit: float,
) -> CatalogOffset | None:
    """Measure the displacement of the stars of an image.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Background-subtracted [e-/s]; NaN without data.
    window : Window
        The pixels that it covers.
    row, column, tmag : (n_stars,) arrays
        The catalog [science pixels, mag].
    zeropoint : float
        [mag]
    bright_limit, faint_limit : float
        [Tmag] of the stars that are used.

    Returns
    -------
    CatalogOffset or None
        None where fewer than `MIN_STARS` show it, or no displacement up to `SEARCH` does.
    """
    limits = {"bright_limit": bright_limit, "faint_limit": faint_limit}
    chosen = select_motion_stars(row, column, tmag, window, n_stars=VOTERS, **limits)
    row, column, tmag = row[chosen], column[chosen], tmag[chosen]
    if len(chosen) < MIN_STARS or not np.isfinite(image).any():
        return None
    vote = _vote(image, window, row, column, PEAK_FRACTION * flux_of(tmag, zeropoint))
    if vote is None:
        return None
    motion = np.array([vote[0], 0.0, 0.0, vote[1], 0.0, 0.0])
    for _ in range(3):
        motion, n_used = _refine(image, window, row, column, motion)
        if n_used < MIN_STARS:
            return None
    corners = np.array(window.as_list(), dtype=float) - [0, 1, 0, 1]
    middle = window.middle
    at_row = np.array([middle[0], *corners[[0, 0, 1, 1]]])
    at_column = np.array([middle[1], *corners[[2, 3, 2, 3]]])
    d_row, d_column = (one[0] for one in displacement(motion[None], at_row, at_column))
    largest = float(np.hypot(d_row, d_column).max())
    return CatalogOffset(motion, largest, float(d_row[0]), float(d_column[0]), n_used)


def _vote(
    image: NDArray, window: Window, row: NDArray, column: NDArray, least: NDArray
) -> tuple[int, int] | None:
    """Whole pixels by which most stars find their light; None if no displacement is clear."""
    dark = float(np.nanmin(image))
    brightest = scipy.ndimage.maximum_filter(np.nan_to_num(image, nan=dark), size=3)
    first_row = nearest_pixel(row) - SEARCH - window.row0
    first_column = nearest_pixel(column) - SEARCH - window.column0
    side = 2 * SEARCH + 1
    found = cut_stamps(brightest, first_row, first_column, (side, side)) > least[:, None, None]
    votes = found.mean(axis=0)
    best = votes.max()
    if best < CLEAR_VOTE:
        return None
    # The middle of the displacements that are nearly as good: light covers some pixels.
    rows, columns = np.nonzero(votes >= best - 0.02)
    return round(rows.mean()) - SEARCH, round(columns.mean()) - SEARCH


def _refine(
    image: NDArray, window: Window, row: NDArray, column: NDArray, motion: NDArray
) -> tuple[NDArray, int]:
    """Affine motion by the positions that are measured where a first one expects the stars."""
    d_row, d_column = (one[0] for one in displacement(motion[None], row, column))
    at_row, at_column = row + d_row, column + d_column
    inside = (at_row >= window.row0 + HALF_STAMP) & (at_row <= window.row1 - 1 - HALF_STAMP)
    inside &= at_column >= window.column0 + HALF_STAMP
    inside &= at_column <= window.column1 - 1 - HALF_STAMP
    row, column, at_row, at_column = (one[inside] for one in (row, column, at_row, at_column))
    found = measure_positions(image, window, at_row, at_column, np.zeros(len(row)))
    used = np.isfinite(found[0])
    for _ in range(4):
        if used.sum() < MIN_STARS:
            return motion, int(used.sum())
        motion = affine_from_points(*(one[used] for one in (row, column, *found)))
        moved = displacement(motion[None], row, column)
        off = np.hypot(found[0] - row - moved[0][0], found[1] - column - moved[1][0])
        spread = max(float(np.median(off[used])), MIN_SPREAD)
        with np.errstate(invalid="ignore"):
            used = off < CLIP * spread
    return motion, int(used.sum())
