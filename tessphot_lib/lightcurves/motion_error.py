"""What image motion adds to the noise of a star, by how its flux follows the motion.

Corrections for motion are as good as the PRF, the star list and the average image are. By how
much a light curve still changes with the motion is seen in second differences of consecutive
images, in which variable stars change little. It says nothing of noise from other causes, and
thus nothing of the star's own variations, unless they happen to go with the pointing.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA, SECOND_DIFFERENCE
from tessphot_lib.core.medians import median

OVERLAP = 2.3  # n of them tell as much of a slope as n / 2.3 independent ones
MIN_IMAGES = 40
SIGNIFICANT = 16.0  # chi2 of two slopes: a probability of 3e-4 by chance
REGULAR = 0.2  # by which the distance of images may differ from the usual one, relative
HUBER = 2.0  # [sigma] from which a difference counts less
N_ROUNDS = 6
SCATTER_ERROR = 1.5  # relative error of a scatter from n images, times sqrt(n)


def motion_error(
    time: NDArray, flux: NDArray, good: NDArray, d_row: NDArray, d_column: NDArray
) -> float:
    """Find what image motion adds to a star's noise from one image to the next.

    Parameters
    ----------
    time : (n_images,) array
        [d]
    flux : (n_images,) array
        [e-/s]; NaN does not count.
    good : (n_images,) bool array
    d_row, d_column : (n_images,) arrays
        Motion of the images at the star [pixels]; NaN does not count.

    Returns
    -------
    float
        1-sigma error of the flux through motion [e-/s]; 0 if the flux does not follow the
        motion, or there are fewer than `MIN_IMAGES`.
    """
    differences = _second_differences(time, flux, good, d_row, d_column)
    if differences is None or not (differences[2] > 0).all():
        return 0.0
    change, moves, spread = differences
    slopes, covariance = _robust_slopes(change, moves)
    if slopes @ np.linalg.solve(covariance, slopes) < SIGNIFICANT:
        return 0.0
    clipped = np.clip(moves, -3 * spread[1:], 3 * spread[1:])
    motion = clipped.T @ clipped / len(clipped) / SECOND_DIFFERENCE
    variance = slopes @ motion @ slopes - np.trace(motion @ covariance)
    return float(np.sqrt(max(variance, 0.0)))


def flux_scatter(time: NDArray, flux: NDArray, good: NDArray) -> float:
    """All noise of a flux from image to image, by its second differences [e-/s].

    Parameters as of `motion_error`; NaN with fewer than `MIN_IMAGES`.
    """
    middle = _middle(time, good & np.isfinite(flux))
    if len(middle) < MIN_IMAGES:
        return float("nan")
    second = flux[middle - 1].astype(float) - 2 * flux[middle] + flux[middle + 1]
    return float(ROUNDED_MAD_TO_SIGMA * median(np.abs(second)) / np.sqrt(SECOND_DIFFERENCE))


def with_motion_within_scatter(
    time: NDArray, flux: NDArray, flux_err: NDArray, more: NDArray, good: NDArray
) -> NDArray:
    """Add errors through motion to those of fluxes, as far as the scatter has room for them.

    How far images move unseen is known of the CCD as a whole, and the slopes of a star's light
    not well where others overlap with it: the flux itself tells when that is too much.

    Parameters
    ----------
    time : (n_images,) array
        [d]
    flux, flux_err : (n_stars, n_images) arrays
        [e-/s]
    more : (n_stars, n_images) or (n_stars, 1) array
        Errors through motion [e-/s].
    good : (n_images,) bool array

    Returns
    -------
    (n_stars, n_images) array
        With fewer than `MIN_IMAGES` all is added.
    """
    more = np.broadcast_to(more, flux.shape).copy()
    for index, values in enumerate(flux):
        used = good & np.isfinite(values) & np.isfinite(flux_err[index]) & np.isfinite(more[index])
        scatter = flux_scatter(time, values, used)
        if not np.isfinite(scatter):
            continue
        limit = scatter * (1 + SCATTER_ERROR / np.sqrt(used.sum()))
        room = limit**2 - median(flux_err[index][used]) ** 2
        size = median(more[index][used])
        if size > 0 and size**2 > room:
            more[index] *= np.sqrt(max(room, 0.0)) / size
    return np.hypot(flux_err, more)


def believed_slopes(
    time: NDArray,
    flux: NDArray,
    good: NDArray,
    d_row: NDArray,
    d_column: NDArray,
    *,
    expected: NDArray,
    sigma: float,
) -> tuple[NDArray, NDArray]:
    """Slopes of a flux by motion, from what is expected and what its changes show.

    Parameters
    ----------
    time, flux, good, d_row, d_column
        As of `motion_error`.
    expected : (2,) array
        By row and column [e-/s/pixel].
    sigma : float
        By how much each may be off [e-/s/pixel]; 0: they are right.

    Returns
    -------
    slopes, error : (2,) float64 arrays
        Weighted mean of both, and its 1-sigma errors; the expected ones with fewer than
        `MIN_IMAGES`.
    """
    differences = _second_differences(time, flux, good, d_row, d_column)
    if differences is None or not (differences[2] > 0).all() or not sigma > 0:
        return np.array(expected, dtype=float), np.full(2, sigma)
    seen, covariance = _robust_slopes(*differences[:2])
    gain = sigma**2 * np.linalg.inv(covariance + sigma**2 * np.eye(2))
    return expected + gain @ (seen - expected), np.sqrt(np.diag(gain @ covariance))


def _second_differences(
    time: NDArray, flux: NDArray, good: NDArray, d_row: NDArray, d_column: NDArray
) -> tuple[NDArray, NDArray, NDArray] | None:
    """Of the flux (n,) and the motion (n, 2), and their scatter (3,); None of too few images."""
    values = np.stack([flux, d_row, d_column]).astype(float)
    middle = _middle(time, good & np.isfinite(values).all(axis=0))
    if len(middle) < MIN_IMAGES:
        return None
    second = values[:, middle - 1] - 2 * values[:, middle] + values[:, middle + 1]
    spread = ROUNDED_MAD_TO_SIGMA * np.array([median(one) for one in np.abs(second)])
    return second[0], second[1:].T, spread


def _middle(time: NDArray, usable: NDArray) -> NDArray:
    """Images that may be compared with the ones right before and after them."""
    if len(time) < 3:
        return np.zeros(0, dtype=int)
    steps = np.diff(time)
    known = steps[np.isfinite(steps)]
    regular = np.abs(steps / (median(known) if known.size else np.nan) - 1) <= REGULAR
    three = usable[:-2] & usable[1:-1] & usable[2:] & regular[:-1] & regular[1:]
    return np.flatnonzero(three) + 1


def _robust_slopes(change: NDArray, moves: NDArray) -> tuple[NDArray, NDArray]:
    """Slopes of a flux by motion, outliers counting little, and their covariance."""
    rows, columns = np.ascontiguousarray(moves.T)
    products = np.stack(
        [rows * rows, rows * columns, columns * columns, rows * change, columns * change]
    )
    weight = np.ones(len(change))
    for _ in range(N_ROUNDS):
        of_rows, of_both, of_columns, *right = products @ weight
        normal = np.array([[of_rows, of_both], [of_both, of_columns]])
        normal += 1e-12 * np.trace(normal) * np.eye(2)
        slopes = np.linalg.solve(normal, np.array(right))
        off = np.abs(change - slopes[0] * rows - slopes[1] * columns)
        sigma = max(ROUNDED_MAD_TO_SIGMA * median(off), 1e-300)
        weight = np.minimum(1.0, HUBER * sigma / np.maximum(off, 1e-300))
    return slopes, np.linalg.inv(normal) * sigma**2 * OVERLAP
