"""Which star each pixel belongs to: the one that is expected to give it the most light.

What a star is expected to give falls off with distance as a Moffat profile,
which is only there to divide pixels between stars; whose light an aperture
holds, and which pixels are the best, is decided with the PRF
(`tessphot_lib.aperture.crowding`).
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.aperture.sizes import reach
from tessphot_lib.catalog.saturation import MAX_MOVE, TRAIL_END
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.stamps import stamp_pixels

# Broader than the PRF: 47, 69 and 82 % of the light in the best 4, 9 and 16 pixels, where
# TESS's has some 60, 81 and 90-95 % (the mission's PRFs).
MOFFAT_RADIUS = 1.6  # [pixels]
MOFFAT_POWER = 2.6


def expected_light(tmag: NDArray, distance: NDArray) -> NDArray:
    """Light that a star is expected to give to a pixel [e-/s], by distance [pixels]."""
    flux = flux_of(tmag)
    peak = (MOFFAT_POWER - 1) / (np.pi * MOFFAT_RADIUS**2)
    return flux * peak * (1 + (distance / MOFFAT_RADIUS) ** 2) ** -MOFFAT_POWER


def expected_image(window: Window, row: NDArray, column: NDArray, tmag: NDArray) -> NDArray:
    """Light that stars are expected to give to the pixels of a window.

    Parameters
    ----------
    window : Window
    row, column, tmag : (n_stars,) arrays
        Stars in and around it [science pixels]; all finite.

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s], by `expected_light`.
    """
    rows = np.arange(window.row0, window.row1)[:, None]
    columns = np.arange(window.column0, window.column1)
    image = np.zeros(window.shape)
    for at_row, at_column, at_tmag in zip(row, column, tmag, strict=True):
        image += expected_light(at_tmag, np.hypot(rows - at_row, columns - at_column))
    return image


def pixel_owners(
    window: Window, row: NDArray, column: NDArray, tmag: NDArray, *, max_radius: float
) -> NDArray:
    """Find the star that gives each pixel the most light.

    Parameters
    ----------
    window : Window
    row, column, tmag : (n_stars,) arrays
        All known stars, also those that are not measured; NaN owns nothing.
    max_radius : float
        See `tessphot_lib.aperture.sizes.reach`.

    Returns
    -------
    (n_rows, n_columns) int32 array
        Index of the star; -1 where none reaches.
    """
    owner = np.full(window.shape, -1, dtype=np.int32)
    pixels, light, stars = _expected_pixels(window, row, column, tmag, max_radius)
    order = np.argsort(light, kind="stable")  # the brightest is written last and stays
    owner.ravel()[pixels[order]] = stars[order]
    return owner


def claim_bleeds(
    owner: NDArray, full: NDArray, window: Window, row: NDArray, column: NDArray, tmag: NDArray
) -> None:
    """Give full pixels that hang together with a saturated star's core to that star, in place.

    Where it bleeds, also what lies beyond the ends of its trails, which come and go
    with the motion of the image and the brightness of the star.

    Parameters
    ----------
    owner : (n_rows, n_columns) int array
        From `pixel_owners`; changed.
    full : (n_rows, n_columns) bool array
        Pixels that are full in the average image, or nearly so.
    window : Window
    row, column, tmag : (n_stars,) arrays
        All known stars; NaN claims nothing. Of two stars in the same trail the
        brighter one has it.
    """
    labels, _ = scipy.ndimage.label(full)
    boxes = scipy.ndimage.find_objects(labels)
    with np.errstate(invalid="ignore"):
        saturated = np.flatnonzero((tmag < SATURATION_TMAG + 0.5) & window.contains(row, column))
    for star in saturated[np.argsort(-tmag[saturated])]:  # the brightest last
        at_row, at_column = round(row[star]) - window.row0, round(column[star]) - window.column0
        around = labels[max(at_row - 1, 0) : at_row + 2, max(at_column - 1, 0) : at_column + 2]
        for label in np.unique(around[around > 0]):
            rows, columns = boxes[label - 1]
            box = slice(max(rows.start - MAX_MOVE, 0), rows.stop + MAX_MOVE), columns
            own = labels[box] == label
            if tmag[star] < SATURATION_TMAG:
                own = scipy.ndimage.binary_dilation(own, structure=TRAIL_END)
            owner[box][own] = star


def _expected_pixels(
    window: Window, row: NDArray, column: NDArray, tmag: NDArray, max_radius: float
) -> tuple[NDArray, NDArray, NDArray]:
    """All pairs of a pixel and a star that reaches it: flat pixel index, light [e-/s], star."""
    known = np.flatnonzero(np.isfinite(row) & np.isfinite(column) & np.isfinite(tmag))
    radius = reach(tmag[known], max_radius)
    size = np.ceil(radius).astype(int)
    pixels, light, stars = [], [], []
    for half in np.unique(size):
        same = known[size == half]
        first_row = np.round(row[same]).astype(int) - half
        first_column = np.round(column[same]).astype(int) - half
        stamp = (2 * half + 1, 2 * half + 1)
        flat, inside = stamp_pixels(
            first_row - window.row0, first_column - window.column0, stamp, window.shape
        )
        d_row = first_row[:, None] + np.arange(stamp[0]) - row[same, None]
        d_column = first_column[:, None] + np.arange(stamp[1]) - column[same, None]
        distance = np.hypot(d_row[:, :, None], d_column[:, None, :])
        inside &= distance <= radius[size == half][:, None, None]
        pixels.append(flat[inside])
        light.append(expected_light(tmag[same, None, None], distance)[inside])
        stars.append(np.broadcast_to(same[:, None, None], distance.shape)[inside])
    if not pixels:
        return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64)
    return np.concatenate(pixels), np.concatenate(light), np.concatenate(stars)
