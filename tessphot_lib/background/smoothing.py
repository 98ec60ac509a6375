"""Backgrounds of neighboring images averaged in time."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.mesh_fit import ALIKE, ALIKE_SHARE


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
