"""Motion of images against their average, from all pixels of a few small windows.

For cutouts with too few single stars for positions of stars. What an image has more than the
average image is, to first order, the motion times the slopes of the average image, beside what
each star has changed in brightness, and an offset of the sky. All that is fitted at once, so
that variable stars are not taken for motion.

Pointing that jitters within an image makes all stars wider by as much: to first order the
curvatures of the average image, times by how much variances are more than usual. They are fitted
in the same way, beside the motion.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.medians import medians_of_known
from tessphot_lib.core.peaks import peaks_of
from tessphot_lib.core.slopes import image_curvatures, image_slopes

MODEL_ERROR = 0.001  # of a pixel's light counts as its noise: the slopes are not exact
MIN_PEAK = 10.0  # [sigma of a pixel] of a star whose brightness is fitted
MAX_STARS = 40  # the brightest
CLIP = 6.0  # [sigma] pixels that are off by more do not count
N_ROUNDS = 6
LEAST_FREE = 0.05  # of a pixel's weight: one that is fitted by itself cannot be judged
MIN_USUAL = 12  # images, from which it is seen by how much a pixel usually is off
MAX_HITS = 4  # pixels of an image that cosmic rays are in
AS_BAD = 0.7  # of what the worst pixel is off by, from which others are left out with it
AT_ONCE = 4_000_000  # pixels of images that are fitted together


class ShiftInformation(NamedTuple):
    """What one window tells of the motion, or of the blur, star by star.

    Attributes
    ----------
    normal : (n_images, n_stars + 1, n, n) array
        Inverse of the covariance of the motion by row and column [pixels**-2], n = 2, or of the
        blur [pixels**-4], n = 3; 0 for images of which pixels are missing. The last one is of
        the pixels of no star.
    right : (n_images, n_stars + 1, n) array
        Its product with the motion or the blur.
    """

    normal: NDArray
    right: NDArray


def shift_information(
    change: NDArray,
    average: NDArray,
    noise: NDArray,
    areas: NDArray,
    known: NDArray | None = None,
) -> ShiftInformation:
    """Find what the pixels of a window tell of the motion of each image.

    Parameters
    ----------
    change : (n_images, n_rows, n_columns) array
        Images without background, less the average image [e-/s].
    average : (n_rows, n_columns) array
        Average image, without background [e-/s].
    noise : (n_rows, n_columns) array
        1-sigma errors of the pixels of one image [e-/s]; NaN pixels do not count.
    areas : (n_stars, n_rows, n_columns) bool array
        Pixels of each star, of `star_areas`.
    known : (3, n_rows, n_columns) array, optional
        Light of stars whose shape is known, and its derivatives by their row and column
        [e-/s, e-/s/pixel]: the slopes of the rest are from differences of pixels, which of the
        images of stars show 0.6 to 0.8 of the motion.

    Returns
    -------
    ShiftInformation
        Zeros, nothing, without stars, or with too few pixels.
    """
    return _information(change, noise, areas, _terms(average, noise, areas, known), 2)


def blur_information(
    change: NDArray, average: NDArray, noise: NDArray, areas: NDArray
) -> ShiftInformation:
    """Find by how much each image is blurred more than the average is.

    Parameters
    ----------
    As of `shift_information`.

    Returns
    -------
    ShiftInformation
        Of the variance by row, the covariance, and the variance by column [pixels**2].
    """
    terms = _terms(average, noise, areas)
    if terms is not None:
        used, design, sigma = terms
        inside = np.where(np.isfinite(noise), average, np.nan)
        curved = np.stack([one[used] for one in image_curvatures(inside)], axis=1)
        slopes = design[:, :2] / np.maximum(np.abs(design[:, :2]).max(axis=0), 1e-300)
        parts = [curved / sigma[:, None], slopes, design[:, 2:]]
        terms = used, np.concatenate(parts, axis=1), sigma
    return _information(change, noise, areas, terms, 3)


def _information(
    change: NDArray,
    noise: NDArray,
    areas: NDArray,
    terms: tuple[NDArray, NDArray, NDArray] | None,
    n_wanted: int,
) -> ShiftInformation:
    """What the pixels tell of the first terms, beside the others."""
    if terms is None:
        shape = len(change), len(areas) + 1, n_wanted
        return ShiftInformation(np.zeros((*shape, n_wanted)), np.zeros(shape))
    used, design, sigma = terms
    data, residual, spread, is_whole = _fitted(change, used, design, sigma)
    spread = np.maximum(spread, 1.0)
    # The part of the wanted terms that nothing else looks like.
    rest, _ = np.linalg.qr(design[:, n_wanted:])
    wanted = design[:, :n_wanted]
    alone = wanted - rest @ (rest.T @ wanted)
    data = data - (data @ rest) @ rest.T
    # Of the noise itself, without what the terms are wrong by, which stays the same.
    fraction = np.square(noise[used] / sigma)[:, None]
    of_noise = float(np.sum(alone**2 * fraction) / max(float(np.sum(alone**2)), 1e-300))
    weight = is_whole / (_excess(residual, spread, is_whole) ** 2 * max(of_noise, 1e-9))
    inside = [area[used] for area in (*areas, ~areas.any(axis=0))]
    normal = np.array([alone[one].T @ alone[one] for one in inside])
    right = np.stack([data[:, one] @ alone[one] for one in inside], axis=1)
    return ShiftInformation(weight[:, None, None, None] * normal, weight[:, None, None] * right)


def residual_spread(change: NDArray, average: NDArray, noise: NDArray, areas: NDArray) -> NDArray:
    """Scatter of the pixels of each image about everything that stars can do.

    These may move and change in brightness: what is left is noise, or light that has structure,
    as scattered light has.

    Parameters
    ----------
    As of `shift_information`.

    Returns
    -------
    (n_images,) array
        In units of ``noise``; NaN of images of which pixels are missing, or without any stars.
    """
    terms = _terms(average, noise, areas)
    if terms is None:
        return np.full(len(change), np.nan)
    spread = np.full(len(change), np.nan)
    at_once = max(1, AT_ONCE // average.size)
    for first in range(0, len(change), at_once):
        some = slice(first, first + at_once)
        _, _, found, is_whole = _fitted(change[some], *terms)
        spread[some] = np.where(is_whole, found, np.nan)
    return spread


def _terms(
    average: NDArray, noise: NDArray, areas: NDArray, known: NDArray | None = None
) -> tuple[NDArray, NDArray, NDArray] | None:
    """Which pixels are used, what they may change by over their errors, and these."""
    used = np.isfinite(average) & np.isfinite(noise) & (noise > 0)
    if not len(areas) or used.sum() < len(areas) + 4:
        return None
    light = np.nan_to_num(average)
    # Not from charge that stays, where others are beside a pixel: two pixels from a full one it
    # would be most of the slope.
    known = np.zeros((3, *light.shape)) if known is None else known
    rest = light - known[0]
    slopes = image_slopes(np.where(np.isfinite(noise) & np.isfinite(average), rest, np.nan))
    slopes = np.where(slopes == 0, image_slopes(rest), slopes)
    terms = [*(known[1:] - slopes), *(light * area for area in areas), np.ones(light.shape)]
    sigma = np.hypot(noise, MODEL_ERROR * light)[used]
    design = np.stack([term[used] for term in terms], axis=1) / sigma[:, None]
    design[:, 2:] /= np.maximum(np.abs(design[:, 2:]).max(axis=0), 1e-300)
    return used, design, sigma


def _fitted(
    change: NDArray, used: NDArray, design: NDArray, sigma: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Fit the terms to all images.

    Returns the data without outliers and what the fit leaves, (n_images, n_used), the scatter of
    the latter, (n_images,), and which images have all pixels.
    """
    data = change[:, used].astype(float) / sigma
    is_whole = np.isfinite(data).all(axis=1)
    data = np.where(is_whole[:, None], data, 0.0)
    scale = np.maximum(np.abs(design).max(axis=0), 1e-300)
    solver = np.linalg.pinv(design / scale, rcond=1e-9) / scale[:, None]
    # A pixel that is fitted by itself, as the brightest ones nearly are, hides what is wrong
    # with it: what counts is how far it lies from what the others alone have there.
    free = np.maximum(1.0 - np.sum(design * solver.T, axis=1), LEAST_FREE)
    clipped, residual, spread, n_off = _without_outliers(data, design, solver, free)
    many = n_off > MAX_HITS  # no cosmic rays: stars that are elsewhere
    if many.any():
        clipped[many], residual[many], spread[many], _ = _without_outliers(
            data[many], design, solver, np.ones(len(free)), n_rounds=3, as_bad=0.0
        )
    return clipped, residual, spread, is_whole


def _without_outliers(
    given: NDArray,
    design: NDArray,
    solver: NDArray,
    free: NDArray,
    *,
    n_rounds: int = N_ROUNDS,
    as_bad: float = AS_BAD,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Replace pixels that lie off by what the others have there.

    ``free`` (n_used,): the fraction of the weight of each pixel that the fit leaves it. A pixel
    that the fit does not describe in most images, such as the core of a bright star that drifts,
    lies off where it is unusual for this pixel. Returns the data, what the fit leaves of them,
    the scatter of that, and the number of outliers.
    """
    residual, by_others, spread = _about_fit(given, design, solver, free)
    off = np.abs(given - by_others) * np.sqrt(free)
    seen = len(off) >= MIN_USUAL
    usual = ROUNDED_MAD_TO_SIGMA * medians_of_known(off) if seen else np.zeros(len(free))
    is_off = _far_off(off, spread, usual, np.zeros(given.shape, dtype=bool), as_bad)
    data, n_off = given.copy(), np.zeros(len(given), dtype=int)
    # Most images have none: they stay as they are.
    some = np.flatnonzero(is_off.any(axis=1))
    there, is_off, by_others = given[some], is_off[some], by_others[some]
    clipped = np.where(is_off, by_others, there)
    for _ in range(n_rounds - 1):
        residual[some], by_others, spread[some] = _about_fit(clipped, design, solver, free)
        off = np.abs(there - by_others) * np.sqrt(free)
        is_off = _far_off(off, spread[some], usual, is_off, as_bad)
        clipped = np.where(is_off, by_others, there)
    data[some], n_off[some] = clipped, is_off.sum(axis=1)
    return data, residual, spread, n_off


def _about_fit(
    data: NDArray, design: NDArray, solver: NDArray, free: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """What a fit leaves, what it would be at each pixel without that pixel, and the scatter."""
    residual = data - (data @ solver.T) @ design.T
    spread = ROUNDED_MAD_TO_SIGMA * medians_of_known(np.abs(residual).T)
    return residual, data - residual / free, spread


def _far_off(
    off: NDArray, spread: NDArray, usual: NDArray, is_off: NDArray, as_bad: float
) -> NDArray:
    """Return which pixels lie off, the worst first: it may be why others are off."""
    worst = np.where(is_off, 0.0, off).max(axis=1, keepdims=True)
    limit = CLIP * np.maximum(np.maximum(spread, 1.0)[:, None], usual)
    return (off > limit) & (is_off | (off > as_bad * worst))


def _excess(residual: NDArray, spread: NDArray, is_whole: NDArray) -> NDArray:
    """Noise of each image over what is expected of the pixels, at least 1, (n_images,).

    From changes from image to image: what the fit lacks over the sector, such as a change of
    focus, is in all images alike. An image that is noisier than others counts less.
    """
    if is_whole.sum() < 3:
        return np.maximum(spread, 1.0)
    second = np.diff(residual[is_whole], 2, axis=0)
    fast = ROUNDED_MAD_TO_SIGMA * float(np.median(np.abs(second))) / 6**0.5
    usual = float(np.median(spread[is_whole]))
    return max(fast, 1.0) * np.maximum(spread / usual, 1.0)


def star_areas(average: NDArray, noise: NDArray) -> NDArray:
    """Pixels of each bright peak of an image, to the valleys, (n_stars, n_rows, n_columns) bool.

    None where no pixel has a ``noise``.
    """
    light = np.where(np.isfinite(average), average, -np.inf)
    top, known = peaks_of(light), noise[np.isfinite(noise)]
    is_bright = light.ravel()[top] > MIN_PEAK * (np.median(known) if known.size else np.inf)
    peaks = np.unique(top[is_bright])
    peaks = peaks[np.argsort(-light.ravel()[peaks], kind="stable")][:MAX_STARS]
    return (top == peaks[:, None]).reshape(-1, *light.shape)


def joined_shift(seen: ShiftInformation) -> tuple[NDArray, NDArray]:
    """Motion of the images by all stars together.

    Returns
    -------
    shift : (n_images, 2) array
        By row and column against the average image [pixels]; NaN where nothing is known.
    error : (n_images,) array
        1-sigma, per axis [pixels].
    """
    return _per_axis(*solved(seen.normal.sum(axis=1), seen.right.sum(axis=1)))


def shift_by_others(seen: ShiftInformation, star: int) -> tuple[NDArray, NDArray]:
    """As `joined_shift`, without one of the stars."""
    normal, right = (one.sum(axis=1) - one[:, star] for one in seen)
    return _per_axis(*solved(normal, right))


def _per_axis(shift: NDArray, variance: NDArray) -> tuple[NDArray, NDArray]:
    """The motion, and its error per axis."""
    return shift, np.sqrt(variance.mean(axis=1))


def solved(normal: NDArray, right: NDArray) -> tuple[NDArray, NDArray]:
    """Solve the normal equations of each image.

    Parameters
    ----------
    normal, right : (n_images, n, n), (n_images, n) arrays
        As in `ShiftInformation`.

    Returns
    -------
    values, variance : (n_images, n) arrays
        NaN where they are singular.
    """
    size = np.trace(normal, axis1=1, axis2=2)
    known = np.linalg.det(normal) > 1e-6 * size ** normal.shape[1]
    values, variance = np.full((2, *right.shape), np.nan)
    covariance = np.linalg.inv(normal[known])
    values[known] = np.einsum("nij,nj->ni", covariance, right[known])
    variance[known] = np.diagonal(covariance, axis1=1, axis2=2)
    return values, variance
