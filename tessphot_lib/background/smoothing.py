"""Backgrounds of neighboring images averaged in time, but for what really changes.

In real images the sky of a whole CCD changes by 0.03-0.3 e-/s per pixel from one to the next,
by far more than its mean over many pixels is uncertain.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.mesh_fit import ALIKE, ALIKE_SHARE
from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA, SECOND_DIFFERENCE

MIN_CHANGES = 12  # second differences that tell how much a background changes
VARIANCE_ERROR = 5.4  # n times the relative variance of a variance from n of them that overlap
MIN_PARTS = 4  # of which none has more changes of its own than is usual: they would be a star's
UNKNOWN_ERROR = 1e9  # stands for an error that is not known: nothing of a change is believed
OUTLIER = 3.0  # [sigma] what differs more from its neighbors is no noise


def smooth_in_time(
    models: NDArray, time: NDArray, good: NDArray, *, width: float
) -> tuple[NDArray, NDArray]:
    """Smooth background models in time, without mixing unlike images.

    Images are averaged with those within ``width / 2`` of them, each weighted
    by how alike their level is: an image beside one with strong scattered
    light keeps its own background, images across a gap do not meet.

    Parameters
    ----------
    models : (n_images, n_cell_rows, n_cell_columns) array
        NaN models are left as they are and do not count.
    time : (n_images,) array
        Increasing [BTJD].
    good : (n_images,) bool array
        Images that may be used to smooth others. Bad ones stay as they are.
    width : float
        Full width in time [d]; 0 leaves all as it is.

    Returns
    -------
    smoothed : array like ``models``
    gain : (n_images,) float array
        Effective number of images that each was averaged from, at least 1.
    """
    smoothed, gain = models.copy(), np.ones(len(models))
    if width <= 0 or len(models) == 0:
        return smoothed, gain
    usable = good & np.isfinite(models).all(axis=(1, 2))
    for index in np.flatnonzero(usable):
        first, last = np.searchsorted(time, [time[index] - width / 2, time[index] + width / 2])
        near = np.arange(first, last)
        near = near[usable[near]]
        difference = models[near] - models[index]
        allowed = ALIKE + ALIKE_SHARE * np.abs(np.median(models[index]))
        rms = np.sqrt((difference**2).mean(axis=(1, 2)))
        weight = np.exp(-0.5 * (rms / allowed) ** 2)
        smoothed[index] = np.tensordot(weight, models[near], axes=1) / weight.sum()
        gain[index] = weight.sum() ** 2 / (weight**2).sum()
    return smoothed, gain


def keep_changes(
    measured: NDArray, smoothed: NDArray, gain: NDArray, error: NDArray, good: NDArray
) -> tuple[NDArray, NDArray]:
    """Give smoothed levels back what changed from image to image beyond the error.

    The changes are what all parts of the CCD have in common, which is known best, and what
    each has besides. By their variance from image to image, less that of the errors, each is
    drawn towards the smoothed level as the best linear estimate is; outliers are kept whole.

    Parameters
    ----------
    measured, smoothed : (n_images, n_parts) arrays
        Levels before and after `smooth_in_time`; NaN stays.
    gain : (n_images,) array
        Number of images that each was averaged from; 1 where it was not smoothed.
    error : (n_images, n_parts) array
        1-sigma errors of ``measured``; what has none (NaN) keeps no change.
    good : (n_images,) bool array
        Images that may be compared with the ones before and after.

    Returns
    -------
    kept : (n_images, n_parts) float64 array
    own : (n_images, n_parts) float64 array
        Fraction of its own change, and thus of its own error, that each level has kept, 0 to 1.
    """
    measured, smoothed = measured.astype(float), smoothed.astype(float)
    known = good & np.isfinite(measured).all(axis=1) & np.isfinite(error).all(axis=1)
    middle = np.flatnonzero(known[:-2] & known[1:-1] & known[2:]) + 1
    own = np.where(gain > 1, 0.0, 1.0)[:, None] * np.ones(measured.shape)
    if middle.size < MIN_CHANGES:
        return smoothed, own
    error = np.where(np.isfinite(error), error, UNKNOWN_ERROR)
    variance = np.square(np.maximum(error, 1e-6).astype(float))
    weight = 1 / np.median(variance[known], axis=0)
    weight /= weight.sum()
    common = measured @ weight
    apart = measured - common[:, None]
    common_variance = variance @ weight**2
    change = measured - smoothed
    of_common = change @ weight
    of_apart = change - of_common[:, None]
    common_kept = _fraction_kept(
        common[:, None], common_variance[:, None], of_common[:, None], middle
    )
    apart_kept = _fraction_kept(apart, variance * (1 - weight), of_apart, middle)
    kept = smoothed + common_kept * of_common[:, None] + apart_kept * of_apart
    is_smoothed = (gain > 1)[:, None]
    own = np.where(is_smoothed, common_kept * weight + apart_kept * (1 - weight), own)
    return np.where(is_smoothed, kept, measured), own


def _fraction_kept(level: NDArray, variance: NDArray, change: NDArray, middle: NDArray) -> NDArray:
    """Fraction of the changes that is real, 0 to 1, (n_images, n_parts)."""
    second = level[middle - 1] - 2 * level[middle] + level[middle + 1]
    seen = (ROUNDED_MAD_TO_SIGMA * np.median(np.abs(second), axis=0)) ** 2 / SECOND_DIFFERENCE
    margin = 1 + np.sqrt(VARIANCE_ERROR / len(middle))
    expected = np.median(variance[middle], axis=0) * margin
    true = np.maximum(seen - expected, 0.0)
    if len(true) >= MIN_PARTS:
        true = np.minimum(true, np.median(true))
    usual = true / np.maximum(true + variance, 1e-300)
    return np.where(change**2 > OUTLIER**2 * (true + variance), 1.0, usual)
