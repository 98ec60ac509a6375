"""Images whose WCS points where those of the images around it do."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import PIXEL_SCALE_DEG

PIXEL = np.radians(PIXEL_SCALE_DEG)  # [rad] of sky that a pixel sees
MAX_OFF = 0.5  # [pixels] from the median of the images around
AROUND = 24  # images on each side that count, fewer at the ends
MIN_IMAGES = 3  # two that differ do not show which of them is wrong


def agrees_with_others(pointing: NDArray) -> NDArray:
    """Return which images point where most images around them in time do.

    Parameters
    ----------
    pointing : (n_images, n_positions, 3) array
        Directions of some positions of the CCD by each image's WCS, in time order; NaN
        for an image without one.

    Returns
    -------
    (n_images,) bool array
        False without a WCS. All that have one where fewer than `MIN_IMAGES` do, and where
        no image agrees with the others.
    """
    known = np.isfinite(pointing).all(axis=(1, 2))
    index = np.flatnonzero(known)
    if index.size < MIN_IMAGES:
        return known
    towards, result = pointing[index], np.zeros(len(pointing), dtype=bool)
    for position, image in enumerate(index):
        around = towards[max(position - AROUND, 0) : position + AROUND + 1]
        off = np.linalg.norm(towards[position] - np.median(around, axis=0), axis=-1)
        result[image] = off.max() < MAX_OFF * PIXEL
    return result if result.any() else known
