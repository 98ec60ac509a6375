"""Halo photometry of saturated stars: weighted sums of the pixels around their full cores.

The charge of a saturated star fills its core and runs along columns. Around
the core the pixels respond as usual, and all of them show the star's relative
changes; what they do not have in common is noise and the motion of the image.
The weights, none of them negative, are those whose weighted sum has the least
total variation: White et al. 2017, MNRAS 471, 2882; Pope et al. 2019, ApJS
245, 8.

What is looked for are the fractions, of sum 1, of pixels or groups of them in the
relative flux of the star: each pixel by its typical light has the same relative
changes. The weights of the pixels themselves follow.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.halo.pixels import pixel_groups, pixel_weights

SMOOTHNESS = 1e-5  # relative changes well below count by their square, and not by their size
MAX_ITERATIONS = 500
TOLERANCE = 1e-9  # of the objective, at which it is taken to have converged
NEGLIGIBLE = 0.01  # of the mean fraction of a group, below which it is left out
IMAGES_PER_WEIGHT = 30  # good ones; with more weights a star's own changes are fitted away


@dataclass(frozen=True)
class HaloWeights:
    """Weights of the pixels in each segment of time.

    Attributes
    ----------
    segments : list of slice
        Of the cadences; together they cover all, without overlap.
    weights : (n_segments, n_pixels) array
        Not negative [1/(e-/s)]: the weighted sum of the pixels is the relative flux.
    objective : (n_segments,) array
        Mean absolute change of the relative flux from one good cadence to the next.
    """

    segments: list[slice]
    weights: NDArray
    objective: NDArray


def time_segments(time: NDArray, good: NDArray, *, gap: float, min_length: int) -> list[slice]:
    """Cut a series at the large gaps between its good points.

    Parameters
    ----------
    time : (n,) array
        [d]; ascending where ``good``.
    good : (n,) bool array
    gap : float
        [d] a longer time without good points is a cut.
    min_length : int
        Good points that a segment needs; one with fewer is joined to the
        shorter of its neighbors.

    Returns
    -------
    list of slice
        They cover all points; a cut is before the first good point after a
        gap. One slice where there are no good points.
    """
    index = np.flatnonzero(good)
    cuts = (1 + np.flatnonzero(np.diff(time[index]) > gap)).tolist()
    bounds = [0, *cuts, len(index)]  # in good points
    while len(bounds) > 2 and min(np.diff(bounds)) < min_length:
        sizes = np.diff(bounds)
        smallest = int(np.argmin(sizes))
        left = sizes[smallest - 1] if smallest > 0 else np.inf
        right = sizes[smallest + 1] if smallest + 1 < len(sizes) else np.inf
        del bounds[smallest if left <= right else smallest + 1]
    edges = [0, *(int(index[bound]) for bound in bounds[1:-1]), len(time)]
    return [slice(first, last) for first, last in pairwise(edges)]


def total_variation(fractions: NDArray, changes: NDArray) -> tuple[float, NDArray]:
    """Mean absolute change of a weighted sum, and its gradient.

    Parameters
    ----------
    fractions : (n_pixels,) array
    changes : (n_changes, n_pixels) array
        Of each pixel's relative light from one cadence to the next.

    Returns
    -------
    value : float
        Mean of ``sqrt(u**2 + SMOOTHNESS**2) - SMOOTHNESS`` with
        ``u = changes @ fractions``.
    gradient : (n_pixels,) array
    """
    change = changes @ fractions
    size = np.sqrt(change**2 + SMOOTHNESS**2)
    gradient = (change / size) @ changes / len(changes)
    return float(np.mean(size - SMOOTHNESS)), gradient


def softmax_objective(parameters: NDArray, changes: NDArray) -> tuple[float, NDArray]:
    """`total_variation` by parameters without bounds, ``fractions = softmax(parameters)``."""
    fractions = _softmax(parameters)
    value, gradient = total_variation(fractions, changes)
    return value, fractions * (gradient - fractions @ gradient)


def least_variation(changes: NDArray, start: NDArray) -> tuple[NDArray, float]:
    """Find the fractions, not negative and of sum 1, with the least total variation.

    Parameters
    ----------
    changes : (n_changes, n_pixels) array
        Of each pixel's relative light.
    start : (n_pixels,) array
        Positive fractions to begin with; their sum does not matter.

    Returns
    -------
    fractions : (n_pixels,) array
        Zero where negligible.
    value : float
        `total_variation` of them.
    """
    scale = max(softmax_objective(np.log(start), changes)[0], SMOOTHNESS)

    def objective(parameters: NDArray) -> tuple[float, NDArray]:
        value, gradient = softmax_objective(parameters, changes)
        return value / scale, gradient / scale

    found = scipy.optimize.minimize(
        objective,
        np.log(start / start.sum()),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS, "ftol": TOLERANCE, "gtol": 1e-12, "maxcor": 30},
    )
    fractions = _softmax(found.x)
    fractions[fractions < NEGLIGIBLE / len(fractions)] = 0.0
    fractions /= fractions.sum()
    return fractions, total_variation(fractions, changes)[0]


def fit_halo(
    light: NDArray,
    time: NDArray,
    good: NDArray,
    level: NDArray,
    noise: NDArray,
    position: tuple[NDArray, NDArray],
    *,
    gap: float,
    min_length: int,
    sky_error: float = 0.0,
) -> HaloWeights:
    """Find the weights of a star's halo.

    Parameters
    ----------
    light : (n_cadences, n_pixels) array
        Background and other stars subtracted [e-/s].
    time : (n_cadences,) array
        [d]
    good : (n_cadences,) bool array
        Cadences that count; all their pixels must be finite.
    level, noise : (n_pixels,) arrays
        Typical light of each pixel and its error in one image, positive [e-/s].
    position : (row, column), (n_pixels,) arrays
        Distances from the star [pixels].
    gap, min_length : float, int
        See `time_segments`.
    sky_error : float
        By which the background may be off from image to image, for all pixels alike [e-/s].

    Notes
    -----
    Pixels of a group (`pixel_groups`, one for `IMAGES_PER_WEIGHT` images) are
    summed with the weights that are best for their noise (`pixel_weights`);
    what is found is the fraction of each group.

    The weights of each segment are scaled so that its median is that of a sum
    with the same weights, the mean of all segments', for all: a step between
    segments is then the star's, or motion's, not one of the weights.
    """
    segments = time_segments(time, good, gap=gap, min_length=min_length)
    weights = np.zeros((len(segments), len(level)))
    objective = np.zeros(len(segments))
    weight = pixel_weights(level, noise, sky_error)
    used = np.flatnonzero(weight > 0)
    row, column = position
    information = (weight * level)[used]
    for number, segment in enumerate(segments):
        chosen = light[segment][good[segment]]
        n_groups = len(chosen) // IMAGES_PER_WEIGHT
        group = pixel_groups(row[used], column[used], information, n_groups)
        of_group = np.bincount(group, weights=information)
        collect = np.zeros((len(level), len(of_group)))  # pixels to relative light of groups
        collect[used, group] = weight[used] / of_group[group]
        changes = np.diff(chosen @ collect, axis=0)
        fractions, objective[number] = least_variation(changes, of_group)
        weights[number] = collect @ fractions
    if len(segments) > 1:
        common = light @ weights.mean(axis=0)
        for own, segment in zip(weights, segments, strict=True):
            is_good = good[segment]
            own *= np.median(common[segment][is_good]) / np.median(light[segment][is_good] @ own)
    return HaloWeights(segments, weights, objective)


def weighted_sum(halo: HaloWeights, values: NDArray, *, power: int = 1) -> NDArray:
    """Sum pixels with the weights of each segment, or a power of them.

    Parameters
    ----------
    halo : HaloWeights
    values : (n_cadences, n_pixels) array
        A NaN pixel gives NaN, unless its weight is zero.
    power : int
        2 for variances.

    Returns
    -------
    (n_cadences,) array
    """
    result = np.empty(len(values))
    for segment, weights in zip(halo.segments, halo.weights, strict=True):
        used = weights > 0
        result[segment] = values[segment][:, used] @ weights[used] ** power
    return result


def _softmax(parameters: NDArray) -> NDArray:
    """Positive numbers of sum 1."""
    fractions = np.exp(parameters - parameters.max())
    return fractions / fractions.sum()
