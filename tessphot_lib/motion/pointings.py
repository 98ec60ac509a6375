"""Steps of the pointing: which images are displaced for hours, and by how much."""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.pointing import Pointing

SMOOTHED = 5  # images, whose median tells a step from single images that are displaced
LONGEST = 0.5  # of the limit, that stars may move by between two such medians within a pointing
MIN_IMAGES, MIN_DAYS = 8, 0.2  # [d] that a pointing lasts; shorter ones count for the one before
ALIKE = 0.1  # [pixels] within which positions on the pixels are those of the usual pointing


def find_pointings(off: NDArray, time: NDArray, is_good: NDArray, *, limit: float) -> Pointing:
    """Divide images by where they point.

    Parameters
    ----------
    off : (n_images, 2) array
        What the stars are off the star list by row and column [pixels]; NaN where unknown.
    time : (n_images,) array
        Increasing [d].
    is_good : (n_images,) bool array
        Images that count for which pointing is the usual one.
    limit : float
        [pixels] pointings that differ by less are one.

    Returns
    -------
    Pointing
        Against the one that is nearest to the star list.
    """
    known = np.flatnonzero(np.isfinite(off).all(axis=1))
    if len(known) < 2 * MIN_IMAGES:
        return Pointing.single(len(off))
    calm = scipy.ndimage.median_filter(off[known], size=(SMOOTHED, 1), mode="nearest")
    is_step = np.hypot(*np.diff(calm, axis=0).T) > LONGEST * limit
    run = np.concatenate([[0], np.cumsum(is_step)])
    lasting = [
        images
        for images in (known[run == number] for number in range(int(run[-1]) + 1))
        if len(images) >= MIN_IMAGES and np.ptp(time[images]) >= MIN_DAYS
    ]
    lasting = _joined(lasting, off, limit)
    groups = _groups([np.median(off[images], axis=0) for images in lasting], limit)
    if len(set(groups)) < 2:
        return Pointing.single(len(off))
    members = [
        np.concatenate([images for images, one in zip(lasting, groups, strict=True) if one == n])
        for n in range(max(groups) + 1)
    ]
    middles = np.array([np.median(off[images], axis=0) for images in members])
    displacement = middles - middles[np.argmin(np.hypot(*middles.T))]
    rest = displacement - np.rint(displacement)
    most = int(np.argmax([np.count_nonzero(is_good[images]) for images in members]))
    is_usual = np.hypot(*(rest - rest[most]).T) < ALIKE
    starts = [images[0] for images in lasting]
    starts[0] = 0
    of_image = np.array(groups)[np.searchsorted(starts, np.arange(len(off)), side="right") - 1]
    return Pointing(displacement[of_image], is_usual[of_image])


def _joined(runs: list[NDArray], off: NDArray, limit: float) -> list[NDArray]:
    """Join runs between which the stars have stayed: what divided them was something else."""
    joined: list[NDArray] = []
    for images in runs:
        if joined:
            before, after = off[joined[-1][-MIN_IMAGES:]], off[images[:MIN_IMAGES]]
            if np.hypot(*(np.median(after, axis=0) - np.median(before, axis=0))) <= limit:
                joined[-1] = np.concatenate([joined[-1], images])
                continue
        joined.append(images)
    return joined


def _groups(middles: list[NDArray], limit: float) -> list[int]:
    """Number of the pointing of each run: those within the limit of its first run belong to it."""
    firsts: list[NDArray] = []
    groups = []
    for middle in middles:
        near = [n for n, first in enumerate(firsts) if np.hypot(*(middle - first)) <= limit]
        if not near:
            firsts.append(middle)
        groups.append(near[0] if near else len(firsts) - 1)
    return groups
