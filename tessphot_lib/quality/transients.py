"""Transients: light that appears in the images where no star is known, and stays there.

The detections are those of moving objects (`tessphot_lib.quality.moving_objects`); a transient
is in several images at the same position.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.quality.moving_objects import Detections

RADIUS = 1.0  # [pixels] within which detections are of one source
AROUND = 3.0  # [pixels] within which an object may pass that is detected there, too
MIN_DETECTIONS, WITHIN = 3, 5  # detections, in a row of so many images
MAX_RMS = 0.45  # [pixels] of the positions, per axis: a slow asteroid spreads farther
MAX_WEIGHT, MIN_ERROR = 50.0, 0.02  # signal to noise, [pixels]: positions are no better
MIN_SCATTER = 0.12  # [pixels] of the positions of bright detections
DRIFT, DRIFT_SIGMA = 0.4, 4.0  # [pixels] from the first to the last, sigma: it moves


@dataclass(frozen=True)
class Source:
    """Detections at one position.

    Attributes
    ----------
    row, column : float
        [science pixels]
    error : float
        1-sigma error of the position, per axis [pixels].
    members : (n,) int array
        Detections, by image; one of each image.
    """

    row: float
    column: float
    error: float
    members: NDArray


def stationary_sources(found: Detections) -> list[Source]:
    """Group detections that stay where they are.

    Parameters
    ----------
    found : Detections
        With the numbers of good images without gaps, and positions without the motion of the
        images.

    Returns
    -------
    list of Source
        The one with the most significant detection first; without those that are in too few
        images, or move. Empty without detections.
    """
    if not len(found.image):
        return []
    at = np.column_stack([found.row, found.column])
    tree = scipy.spatial.cKDTree(at)
    is_free = np.ones(len(at), dtype=bool)
    sources = []
    for seed in np.argsort(-found.snr, kind="stable"):
        if not is_free[seed]:
            continue
        around = np.array(tree.query_ball_point(at[seed], AROUND), dtype=int)
        near = around[is_free[around]]
        near = near[np.hypot(*(at[near] - at[seed]).T) <= RADIUS]
        is_free[near] = False
        source = _source(found, _one_per_image(found, near), around)
        if source is not None:
            sources.append(source)
    return sources


def _one_per_image(found: Detections, members: NDArray) -> NDArray:
    """The most significant detection of each image, in order of the images."""
    order = members[np.lexsort((-found.snr[members], found.image[members]))]
    _, first = np.unique(found.image[order], return_index=True)
    return order[first]


def _source(found: Detections, members: NDArray, around: NDArray) -> Source | None:
    """What some detections at a position are; None if they are too few, or move."""
    image = found.image[members]
    if len(members) < MIN_DETECTIONS:
        return None
    if (image[MIN_DETECTIONS - 1 :] - image[: 1 - MIN_DETECTIONS]).min() >= WITHIN:
        return None
    weight = np.minimum(found.snr[members], MAX_WEIGHT)
    middles, spread = [], []
    for axis in (found.row, found.column):
        middle = np.average(axis[members], weights=weight)
        middles.append(float(middle))
        rms = np.sqrt(np.average((axis[members] - middle) ** 2, weights=weight))
        spread.append(float(rms))
    first, last = int(image[0]) - WITHIN, int(image[-1]) + WITHIN
    passing = around[(found.image[around] >= first) & (found.image[around] <= last)]
    if max(spread) > MAX_RMS or _drifts(found, passing):
        return None
    error = max(float(np.hypot(*spread)) / np.sqrt(2 * len(members)), MIN_ERROR)
    return Source(*middles, error, members)


def _drifts(found: Detections, members: NDArray) -> bool:
    """Whether the positions of detections change with time."""
    sigma = np.hypot(MIN_SCATTER, 1.0 / found.snr[members])
    weight = 1.0 / sigma**2
    since = found.image[members] - np.average(found.image[members], weights=weight)
    span, power = float(np.ptp(since)), float(np.sum(weight * since**2))
    drift = chi2 = 0.0
    for axis in (found.row, found.column):
        values = axis[members] - np.average(axis[members], weights=weight)
        slope = float(np.sum(weight * since * values)) / power
        drift = np.hypot(drift, slope * span)
        chi2 += float(np.sum(weight * (values - slope * since) ** 2))
    error = span / np.sqrt(power) * np.sqrt(max(chi2 / (2 * len(members)), 1.0))
    return bool(drift > max(DRIFT, DRIFT_SIGMA * error))
