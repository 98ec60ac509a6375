"""Sources in what is left of an image when the known stars are taken off.

A source has the shape of the PRF, beside a constant in the pixels around it: smoother light,
as of nebulae and galaxies, is none. Local maxima of the signal to noise are those that
``photutils.detection.find_peaks`` finds in boxes of 3 pixels, which takes 1 s to import.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import prf_stamps

HALF = 2  # [pixels] 5 x 5 pixels decide about a source
MIN_PIXELS = 15  # of them must be there
PHASES = (-1 / 3, 0.0, 1 / 3)  # [pixels] of a source in its pixel, that are tried
MIN_LIKENESS = 0.68  # of the variance in them that a source must explain: 7 sigma of what it leaves


def find_sources(
    prf: Prf, window: Window, residual: NDArray, noise: NDArray, *, min_snr: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Find what stands out of a residual with the shape of the PRF.

    Parameters
    ----------
    prf : Prf
        That of the middle of the window is looked for.
    window : Window
    residual, noise : (n_rows, n_columns) arrays
        What is left and its error [e-/s]; NaN where there is no pixel.
    min_snr : float
        Signal to noise of a source, and, by `MIN_LIKENESS`, to what it leaves of the residual.

    Returns
    -------
    row, column, flux : (n_sources,) arrays
        [science pixels], [e-/s]; empty without any.
    """
    flux, snr, likeness = matched_filter(prf, window, residual, noise)
    snr = np.where(np.isfinite(residual) & (likeness > MIN_LIKENESS), snr, 0.0)
    if not (snr > min_snr).any():
        return np.zeros(0), np.zeros(0), np.zeros(0)
    highest = scipy.ndimage.maximum_filter(snr, 3, mode="constant")
    row, column = np.nonzero((snr == highest) & (snr > min_snr))
    d_row, d_column = _centroid(residual, row, column)
    return window.row0 + row + d_row, window.column0 + column + d_column, flux[row, column]


def matched_filter(
    prf: Prf,
    window: Window,
    residual: NDArray,
    noise: NDArray,
    *,
    phases: Sequence[float] = PHASES,
) -> tuple[NDArray, NDArray, NDArray]:
    """Fit a star and a constant to the pixels around each pixel.

    Parameters as those of `find_sources`; ``phases`` are the offsets of the star from the
    middle of the pixel that are tried along rows and columns.

    Returns
    -------
    flux, snr, likeness : (n_rows, n_columns) arrays
        Flux of the star [e-/s], its signal to noise, and the fraction of the variance of the
        pixels that it explains, for the offset with the most of that; the last two 0 where
        there are too few pixels.
    """
    side = 2 * HALF + 1
    middle = np.array([window.middle]).T.round()
    corner = middle.astype(int) - HALF
    usable = np.isfinite(residual) & np.isfinite(noise)
    mask, light = usable.astype(float), np.where(usable, residual, 0.0)
    ones = np.ones((side, side))
    count, sum_light = _total(mask, ones), _total(light, ones)
    squares = _total(light**2, ones) - sum_light**2 / np.maximum(count, 1)
    variance = _total(np.where(usable, noise**2, 0.0), ones) / np.maximum(count, 1)
    best = [np.zeros(window.shape) for _ in range(3)]
    offsets = np.array(list(product(phases, phases))).T
    corners = np.broadcast_to(corner, offsets.shape)
    for kernel in prf_stamps(prf, *(middle + offsets), *corners, (side, side)):
        with np.errstate(invalid="ignore", divide="ignore"):
            sum_prf = _total(mask, kernel)
            power = _total(mask, kernel**2) - sum_prf**2 / count
            flux = (_total(light, kernel) - sum_prf * sum_light / count) / power
            likeness, snr = flux**2 * power / squares, flux * np.sqrt(power / variance)
        good = (count >= MIN_PIXELS) & np.isfinite(snr) & (flux > 0) & (likeness > best[2])
        for kept, values in zip(best, (flux, snr, likeness), strict=True):
            kept[good] = values[good]
    return best[0], best[1], best[2]


def _total(values: NDArray, weights: NDArray) -> NDArray:
    """Weighted sum of the pixels around each pixel."""
    return scipy.ndimage.correlate(values, weights, mode="constant")


def _centroid(residual: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Offsets of sources from their brightest pixels, by the light beside these [pixels]."""
    light = np.pad(np.maximum(np.nan_to_num(residual), 0.0), 1)
    beside = (-1, 0, 1)
    near = np.array(
        [[light[row + 1 + down, column + 1 + along] for along in beside] for down in beside]
    )
    total = np.maximum(near.sum(axis=(0, 1)), 1e-30)
    d_row = (near[2] - near[0]).sum(axis=0) / total
    d_column = (near[:, 2] - near[:, 0]).sum(axis=0) / total
    return np.clip(d_row, -0.5, 0.5), np.clip(d_column, -0.5, 0.5)
