"""Light of known stars beyond their masks: what it adds to the background, and how much it is.

The wings of the PRF are measured in the average image, from the medians in
rings about bright stars as a function of the stars' flux, and then spread
about all catalog stars. Their mean over the sky pixels of a cell is how much
its background is too high.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from tessphot_lib.constants import TMAG_ZEROPOINT
from tessphot_lib.model import Window

RINGS = np.array(
    [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 13.0, 17.0, 22.0, 28.0]
)  # [pixels] borders
BRIGHT_LIMIT, FAINT_LIMIT = 7.2, 11.0  # [Tmag] of the stars that the wings are measured about
MAX_STARS = 600
MIN_STARS = 10
CORE = 4.0  # [pixels] rings within it have few pixels, and show nothing but the star
MIN_PIXELS = 8  # of a ring outside the masks of other stars
REACH = 64  # [pixels] beyond which there is no light


def measure_wings(
    average_image: NDArray,
    window: Window,
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    others: NDArray,
) -> NDArray | None:
    """Measure the PRF in rings, as a share of the star's flux per pixel.

    Parameters
    ----------
    average_image : (n_rows, n_columns) array
        Background-subtracted, up to a constant [e-/s]; NaN pixels do not count.
    window : Window
    row, column, tmag : (n_stars,) arrays
        Catalog.
    others : (n_rows, n_columns) bool array
        True where some star is expected; the rings of a star use the pixels
        outside this mask, and those inside that are nearest to the star itself.

    Returns
    -------
    (n_rings,) float64 array or None
        Share of the flux per pixel in each of `RINGS`, not negative; None
        where there are not enough stars.
    """
    bright = np.flatnonzero((tmag >= BRIGHT_LIMIT) & (tmag <= FAINT_LIMIT))
    bright = bright[window.contains(row[bright], column[bright])]
    bright = bright[np.argsort(tmag[bright], kind="stable")][:MAX_STARS]
    if len(bright) < MIN_STARS:
        return None
    half = int(RINGS[-1]) + 1
    medians = np.full((len(bright), len(RINGS) - 1), np.nan)
    for index, star in enumerate(bright):
        stamp = window.intersect(_around(row[star], column[star], half))
        cut = stamp.slices_in(window)
        rows = np.arange(stamp.row0, stamp.row1)[:, None] - row[star]
        distance = np.hypot(rows, np.arange(stamp.column0, stamp.column1) - column[star])
        usable = np.isfinite(average_image[cut]) & ~(others[cut] & ~_own_mask(distance, tmag[star]))
        for ring, (inner, outer) in enumerate(pairwise(RINGS)):
            values = average_image[cut][usable & (distance >= inner) & (distance < outer)]
            if outer <= CORE and values.size:  # the star's own light, stronger than all else
                medians[index, ring] = np.mean(values)
            elif values.size >= MIN_PIXELS:
                medians[index, ring] = np.median(values)
    flux = 10 ** (0.4 * (TMAG_ZEROPOINT - tmag[bright]))
    shares = np.array([_robust_slope(flux, ring) for ring in medians.T])
    return np.clip(np.nan_to_num(shares), 0.0, None)


def wing_image(
    shares: NDArray, window: Window, row: NDArray, column: NDArray, tmag: NDArray
) -> NDArray:
    """Spread the wings about all known stars.

    Parameters
    ----------
    shares : (n_rings,) array
        From `measure_wings`.
    window : Window
    row, column, tmag : (n_stars,) arrays
        Catalog, also of the surroundings.

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s per pixel]; within the first ring of a star it is too low.
    """
    padded = np.zeros((window.shape[0] + 2 * REACH, window.shape[1] + 2 * REACH))
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(tmag)
    at_row = np.floor(row[known] + 0.5).astype(int) - window.row0 + REACH
    at_column = np.floor(column[known] + 0.5).astype(int) - window.column0 + REACH
    flux = 10 ** (0.4 * (TMAG_ZEROPOINT - tmag[known]))
    inside = (at_row >= 0) & (at_row < padded.shape[0])
    inside &= (at_column >= 0) & (at_column < padded.shape[1])
    np.add.at(padded, (at_row[inside], at_column[inside]), flux[inside])
    light = fftconvolve(padded, _kernel(shares), mode="same")
    return light[REACH:-REACH, REACH:-REACH]


def _around(row: float, column: float, half: int) -> Window:
    """Pixels around a position, as far as there are any."""
    centre_row, centre_column = round(float(row)), round(float(column))
    return Window(
        max(centre_row - half, 0),
        min(centre_row + half + 1, 2048),
        max(centre_column - half, 0),
        min(centre_column + half + 1, 2048),
    )


def _own_mask(distance: NDArray, tmag: float) -> NDArray:
    """Pixels that are masked because of this star itself."""
    return distance <= 1.5 * 10 ** (0.1 * (17.0 - tmag))


def _robust_slope(flux: NDArray, values: NDArray) -> float:
    """Slope of values over flux, outliers clipped; NaN with too few."""
    keep = np.isfinite(values)
    slope = np.nan
    for _ in range(5):
        if keep.sum() < MIN_STARS:
            return slope
        # The scatter about the line grows with flux: relative weights.
        weight = 1 / (1.0 + 0.02 * flux[keep] * 1e-3)
        design = np.column_stack([np.ones(keep.sum()), flux[keep]]) * weight[:, None]
        (start, slope), *_ = np.linalg.lstsq(design, values[keep] * weight, rcond=None)
        residual = np.abs(values - start - slope * flux) / (1.0 + 0.02 * flux * 1e-3)
        limit = 4 * 1.4826 * np.nanmedian(residual[keep])
        new = np.isfinite(values) & (np.nan_to_num(residual, nan=np.inf) <= max(limit, 1e-9))
        if np.array_equal(new, keep):
            break
        keep = new
    return float(slope)


def _kernel(shares: NDArray) -> NDArray:
    """Share of the flux by distance on a grid; falls with the cube of it beyond the rings."""
    offsets = np.arange(-REACH, REACH + 1)
    distance = np.hypot(offsets[:, None], offsets)
    middle = 0.5 * (RINGS[:-1] + RINGS[1:])
    positive = np.maximum(shares, 1e-12)
    kernel = np.exp(np.interp(np.log(np.maximum(distance, 1.0)), np.log(middle), np.log(positive)))
    last = distance > middle[-1]
    kernel[last] = positive[-1] * (middle[-1] / distance[last]) ** 3
    kernel[distance > REACH] = 0.0
    return kernel
