"""What the motion of the image does to the pixels around a star, taken off.

Each pixel sees the motion in its own way, and all of them see the star vary. The
two are told apart: what a pixel has beyond the mean of all is motion and noise,
and what the mean has is fitted so that a transit, or a pulsation, does not take
part in it.
"""

from math import comb

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA

IMAGES_PER_TERM = 20  # good ones, that the effect of motion on a pixel is fitted with
ORDERS = (1, 2, 3)  # of the differences in time: the higher, the less slow variations count
BETTER = 0.5  # of the error: so much less must come of higher differences for them to be used
CLIP, N_CLIPS = 3.0, 5  # [sigma] changes of the mean beyond are the star's


def without_motion(
    light: NDArray,
    level: NDArray,
    noise: NDArray,
    good: NDArray,
    d_row: NDArray,
    d_column: NDArray,
) -> NDArray:
    """Take off what the motion of the image does to each pixel of a star.

    A polynomial of second order in the displacement is fitted to the changes of
    the pixel from one good cadence to the next.

    Parameters
    ----------
    light : (n_cadences, n_pixels) array
        [e-/s]
    level, noise : (n_pixels,) arrays
        Typical light and its error in one image, positive [e-/s].
    good : (n_cadences,) bool array
        All their pixels must be finite.
    d_row, d_column : (n_cadences,) arrays
        Displacement at the star [pixels]; NaN (unknown) is not corrected.

    Returns
    -------
    Same kind as ``light``
        A new array; the same light where the motion does not vary, or where there
        are fewer than `IMAGES_PER_TERM` good cadences per term of the polynomial.
    """
    known = good & np.isfinite(d_row) & np.isfinite(d_column)
    if known.sum() < IMAGES_PER_TERM * 5:
        return light
    # The polynomial of the displacement, its terms scaled alike.
    row = np.nan_to_num(d_row - np.median(d_row[known]))
    column = np.nan_to_num(d_column - np.median(d_column[known]))
    terms = np.stack([row, column, row**2, row * column, column**2], axis=1)
    scale = terms[known].std(axis=0)
    terms = terms[:, scale > 0] / scale[scale > 0]
    if terms.shape[1] == 0:
        return light.copy()
    # What each pixel has beyond the mean of all, weighted by signal to noise, is not the star's:
    # it is fitted by differences from image to image, which slow changes hardly enter.
    weight = (level / noise) ** 2
    mean = (light / level) @ (weight / weight.sum())
    beyond = np.diff(light[known] / level - mean[known, None], axis=0)
    slopes = np.linalg.lstsq(np.diff(terms[known], axis=0), beyond, rcond=None)[0]
    # The mean has both: here what stands out is the star's.
    of_mean = _slopes_of_mean(mean[known], terms[known])
    # What motion does is in proportion to the light that the star has at the time.
    moved = terms @ of_mean
    still = mean - moved
    star = np.nan_to_num(mean / (np.median(still[known]) + moved), nan=1.0)
    effect = (terms @ (slopes + of_mean[:, None])) * star[:, None]
    return light - (effect * level).astype(light.dtype)


def _slopes_of_mean(mean: NDArray, terms: NDArray) -> NDArray:
    """Fit the mean of a star's pixels (n,) by terms (n, n_terms): their factors, (n_terms,).

    Changes that stand out are the star's. A star that varies smoothly, but fast, is fitted
    by differences of higher order, which hardly see it.
    """
    best, smallest = np.zeros(terms.shape[1]), np.inf
    for order in ORDERS:
        scale = np.sqrt(comb(2 * order, order))  # white noise stays as it is
        values, design = np.diff(mean, n=order) / scale, np.diff(terms, n=order, axis=0) / scale
        kept = np.ones(len(values), dtype=bool)
        for _ in range(N_CLIPS):
            found = np.linalg.lstsq(design[kept], values[kept], rcond=None)[0]
            residual = np.abs(values - design @ found)
            sigma = ROUNDED_MAD_TO_SIGMA * np.median(residual)
            kept = residual <= CLIP * sigma
        # The error of the effect, as it is over all images, decides between the orders.
        covariance = sigma**2 * np.linalg.pinv(design[kept].T @ design[kept])
        error = np.sqrt(np.einsum("ni,ij,nj->n", terms, covariance, terms).mean())
        if error < BETTER * smallest:
            best, smallest = found, error
    return best
