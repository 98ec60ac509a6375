"""Images in which the stars look unlike those of the other images.

A star may change its own brightness, a change that all stars share is the instrument's:
images that are dimmer, blurred, displaced, or without stars. Each star is compared with
itself in the images around, and in all images; what counts is the weighted median over
the stars. One star alone shows by its sharpness and its position, not by its light: of these
what its own variation does, in the constant light of its neighbors, is taken off.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.medians import medians_of_known

BASELINE = 0.5  # [d] over which the usual value of a star is taken
SHIFT_BASELINE = 3.0  # [d] the same for positions, which drift more slowly than stars vary
SIGNIFICANT = 5.0  # [sigma] that a change must stand out
LASTING = 5.0  # times the limits, that a change against the whole sector must exceed
MIN_STARS_FOR_LIGHT = 3  # fewer may vary together
USUALLY = 0.7  # of the images, in which a star must be found, to be missed elsewhere
LARGEST_BLEND = 0.5  # of the light around a star: more light of others explains no change
MOST_MISSED = 0.5  # of these stars, without which an image is without stars
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): error of a median in units of that of the mean
LEAST_SCATTER = 1e-4  # relative, or [pixels], of a star: none is better
MOSTLY_SLOW = 0.1  # fraction of the variance of a star within half a day, below which it lasts
N_CLIPS = 4  # rounds in which points far from a line are left out
DENSEST = 0.45  # of the images, at most half, show what is usual
NEAR = 4.0  # times half the range that these take: within it others count, too
MANY_STARS = 10  # whose disagreement says how well the median is known
AT_ONCE = 500  # images that are looked at together: what is made of them stays in the cache
MIN_AROUND = 8  # images, at least, that the usual value around an image is from


@dataclass(frozen=True)
class SharedChange:
    """What all stars do together; all (n_images,) float64 arrays.

    Attributes
    ----------
    change : array
        Against the images around, as a fraction (or in pixels); NaN without stars.
    error : array
        1-sigma error of it, as the stars agree.
    lasting : array
        Change against the whole sector.
    noise : array
        1-sigma error by what the stars usually scatter. Stars need not agree on how much
        they lose by a large displacement.
    n_stars : int array
        Stars that were compared.
    """

    change: NDArray
    error: NDArray
    lasting: NDArray
    noise: NDArray
    n_stars: NDArray

    def exceeds(self, limit: float, lasting: float) -> NDArray:
        """Return which images changed by more than a limit, and clearly so, (n_images,) bool."""
        with np.errstate(invalid="ignore"):
            clear = np.maximum(limit, SIGNIFICANT * self.error)
            long_clear = np.maximum(lasting, SIGNIFICANT * self.noise)
            return (np.abs(self.change) > clear) | (np.abs(self.lasting) > long_clear)


def shared_change(
    values: NDArray,
    time: NDArray,
    *,
    relative: bool,
    outlying: float,
    by_many: bool = False,
    baseline: float = BASELINE,
) -> SharedChange:
    """Find what the values of all stars do together.

    Parameters
    ----------
    values : (n_images, n_stars) array
        One quantity of each star; NaN where it is unknown.
    time : (n_images,) array
        Increasing [d].
    relative : bool
        Whether changes are fractions of a star's usual value, or differences from it.
    outlying : float
        Images that change by more against the sector do not count for what is usual around.
    by_many : bool
        Whether no star counts more than the median star: for light, and for positions in
        blends, which a single star may change by itself, however quiet it is at other times.
    baseline : float
        [d] that the images around extend over.

    Returns
    -------
    SharedChange
        Stars count by their scatter. The error is from how much the stars disagree, and not
        below what the change usually scatters by.
    """
    usual = medians_of_known(values)
    with np.errstate(invalid="ignore"):
        useful = np.isfinite(usual) & ((usual > 0) | (not relative))
    values, usual = values[:, useful], usual[useful]
    unit = usual if relative else np.ones_like(usual)
    off = (values - usual) / unit
    # Between two halves of a sector with two pointings there may be no image at the median:
    # what is usual is where most images are.
    first, *_ = _common(off, _scatter(off, by_many), by_many)
    with np.errstate(invalid="ignore"):
        is_calm = ~(np.abs(first - _densest(first)) > outlying)
    off = off - np.nan_to_num(medians_of_known(off[is_calm]))
    around = _around(np.where(is_calm[:, None], off, np.nan), time, baseline)
    scatter = _scatter((off - around)[is_calm], by_many)
    change, error, noise = _common(off - around, scatter, by_many)
    slow, *_ = _common(np.where(np.isfinite(off), around, np.nan), scatter, by_many)
    calm = change[is_calm, None]
    typical = medians_of_known(np.abs(calm - medians_of_known(calm)))
    usual_error = MAD_TO_SIGMA * float(np.nan_to_num(typical)[0])
    n_stars = np.isfinite(off).sum(axis=1)
    error, noise = np.maximum(error, usual_error), np.maximum(noise, usual_error)
    return SharedChange(change, error, change + slow, noise, n_stars)


def without_own_light(sharpness: NDArray, light: NDArray, time: NDArray) -> NDArray:
    """Take off what the variation of a star does to its sharpness.

    Beside a star that is eclipsed the light of its neighbors stays, so that the fraction in its
    core changes, too: linearly with the inverse of the light. Of three and more stars it is the
    median that counts, so that they are left as they are.

    Parameters
    ----------
    sharpness, light : (n_images, n_stars) arrays
        NaN where unknown.
    time : (n_images,) array
        Increasing [d].

    Returns
    -------
    (n_images, n_stars) array
    """
    if sharpness.shape[1] >= MIN_STARS_FOR_LIGHT:
        return sharpness
    result = np.array(sharpness, dtype=float)
    for star in range(result.shape[1]):
        known = np.isfinite(result[:, star]) & (light[:, star] > 0)
        if not known.any():
            continue
        usual, value = np.median(result[known, star]), result[known, star]
        inverse = np.median(light[known, star]) / light[known, star] - 1.0
        # A change of the focus that lasts is no change of the star, if that varies within hours.
        both = np.column_stack([inverse, value])
        fast = both - _around(both, time[known], BASELINE)
        slow = np.var(fast[:, 0]) < MOSTLY_SLOW * np.var(inverse)
        slope, most = _slope(*(both if slow else fast).T), LARGEST_BLEND * abs(usual)
        result[known, star] -= np.clip(slope, -most, most) * inverse
    return result


def _slope(x: NDArray, y: NDArray) -> float:
    """Slope of the line through points, without those far from it."""
    slope, use = 0.0, np.ones(len(x), dtype=bool)
    for _ in range(N_CLIPS):
        off_x, off_y = x - x[use].mean(), y - y[use].mean()
        if not np.any(off_x[use]):
            return 0.0
        slope = float(off_x[use] @ off_y[use] / (off_x[use] @ off_x[use]))
        rest = np.abs(off_y - slope * off_x)
        use = rest <= max(SIGNIFICANT * MAD_TO_SIGMA * np.median(rest[use]), np.finfo(float).eps)
    return slope


def _scatter(off: NDArray, by_many: bool) -> NDArray:
    """Usual scatter of each star about zero; of no star less than that of the median star."""
    typical = medians_of_known(np.abs(off)).astype(float)
    scatter = np.maximum(MAD_TO_SIGMA * typical, LEAST_SCATTER)
    known = np.isfinite(scatter)
    return np.maximum(scatter, np.median(scatter[known])) if by_many and known.any() else scatter


def _common(off: NDArray, scatter: NDArray, by_many: bool) -> tuple[NDArray, NDArray, NDArray]:
    """Weighted median over the stars in each image, its error and noise, (n_images,) each."""
    parts = [
        _common_of(off[first : first + AT_ONCE], scatter, by_many)
        for first in range(0, len(off), AT_ONCE)
    ]
    change, error, noise = (np.concatenate(values) for values in zip(*parts, strict=True))
    return change, error, noise


def _common_of(off: NDArray, scatter: NDArray, by_many: bool) -> tuple[NDArray, NDArray, NDArray]:
    """`_common` of some images."""
    known = np.isfinite(off) & np.isfinite(scatter)
    n_known = known.sum(axis=1)
    weight = np.where(known, 1 / scatter**2, 0.0)
    change = _weighted_median(np.where(known, off, np.inf).astype(off.dtype), weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where(n_known > 0, MEDIAN_ERROR / np.sqrt(weight.sum(axis=1)), np.nan)
        disagree = np.where(known, np.abs(off - change[:, None]) * np.sqrt(weight), np.nan)
    spread = MAD_TO_SIGMA * medians_of_known(disagree.T)
    counts = (n_known > 0) & (by_many | (n_known >= MANY_STARS))
    return change, noise * np.maximum(1.0, np.where(counts, spread, 0.0)), noise


def lacks_stars(is_found: NDArray, is_measured: NDArray) -> NDArray:
    """Return which images lack most of the stars that the other images show.

    Parameters
    ----------
    is_found, is_measured : (n_images, n_stars) bool arrays
        Where a star was found, and where its pixels have data.

    Returns
    -------
    (n_images,) bool array
        False for images without data.
    """
    often = is_found.sum(axis=0) > USUALLY * np.maximum(is_measured.sum(axis=0), 1)
    looked_for = is_measured[:, often].sum(axis=1)
    missed = (is_measured & ~is_found)[:, often].sum(axis=1)
    return missed > MOST_MISSED * np.maximum(looked_for, 1)


def is_unlike(
    light: SharedChange,
    sharpness: SharedChange,
    shift: tuple[SharedChange, SharedChange],
    *,
    light_limit: float,
    sharpness_limit: float,
    shift_limit: float,
    jump_limit: float | NDArray,
) -> NDArray:
    """Return which images show stars that are dimmer, brighter, blurred, sharper or displaced.

    Parameters
    ----------
    light, sharpness : SharedChange
        Relative.
    shift : (SharedChange, SharedChange)
        Rows and columns [pixels].
    light_limit, sharpness_limit : float
        Fractions, against the images around; `LASTING` times as much against the sector.
    shift_limit : float
        [pixels] against the sector.
    jump_limit : float or (n_images,) array
        [pixels] against the images around; a slow drift exceeds `shift_limit` only.

    Returns
    -------
    (n_images,) bool array
    """
    # Stars that disagree vary by themselves.
    dim = replace(light, noise=light.error).exceeds(light_limit, LASTING * light_limit)
    dim &= light.n_stars >= MIN_STARS_FOR_LIGHT
    result = dim | sharpness.exceeds(sharpness_limit, LASTING * sharpness_limit)
    drift, jump = (
        np.hypot(*(getattr(axis, name) for axis in shift)) for name in ("lasting", "change")
    )
    error = SIGNIFICANT * np.hypot(shift[0].noise, shift[1].noise)
    with np.errstate(invalid="ignore"):
        result |= drift > np.maximum(shift_limit, error)
        return result | (jump > np.maximum(jump_limit, error))


def _around(off: NDArray, time: NDArray, baseline: float) -> NDArray:
    """Usual value of each star around each image: medians of ``baseline`` days, interpolated.

    They are taken each `BASELINE`, which is the least ``baseline``; 0 for a star that is
    never known.
    """
    n_images = len(off)
    step = float(np.median(np.diff(time))) if n_images > 1 else baseline
    at_once = max(MIN_AROUND, round(BASELINE / step))
    margin = max(0, round(0.5 * (baseline - BASELINE) / step))
    parts = np.array_split(np.arange(n_images), max(1, n_images // at_once))
    middle = np.array([time[part].mean() for part in parts])
    near = [slice(max(0, part[0] - margin), part[-1] + 1 + margin) for part in parts]
    medians = np.array([medians_of_known(off[images]) for images in near])
    around = np.zeros(off.shape, dtype=off.dtype)
    for star, of_star in enumerate(medians.T):
        known = np.isfinite(of_star)
        if known.any():
            around[:, star] = np.interp(time, middle[known], of_star[known])
    return around


def _densest(values: NDArray) -> float:
    """Median of the values about the densest part of a distribution; NaN without any."""
    known = np.sort(values[np.isfinite(values)])
    if not known.size:
        return np.nan
    n_dense = max(1, int(DENSEST * known.size))
    width = known[n_dense - 1 :] - known[: known.size - n_dense + 1]
    first = int(np.argmin(width))
    middle, half = known[first] + 0.5 * width[first], 0.5 * width[first]
    near = np.abs(known - middle) <= max(NEAR * half, float(np.spacing(abs(middle))))
    return float(np.median(known[near]))


def _weighted_median(values: NDArray, weight: NDArray) -> NDArray:
    """Weighted median of each row, NaN without weight; of two that qualify the one nearer to zero.

    Values without weight must be infinite.
    """
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    order = np.argsort(values, axis=1)  # a stable sort, five times as slow, gives the same
    n_known = np.count_nonzero(weight, axis=1)
    rows = np.arange(len(values))
    total = np.cumsum(weight.ravel()[order + rows[:, None] * weight.shape[1]], axis=1)
    half = 0.5 * total[:, -1:]
    # The first whose sum reaches half of all, and the first that exceeds it.
    at = (
        np.count_nonzero(total < half * (1 - 1e-9), axis=1),
        np.count_nonzero(total <= half * (1 + 1e-9), axis=1),
    )
    lower, upper = (
        values[rows, order[rows, np.clip(index, 0, np.maximum(n_known - 1, 0))]] for index in at
    )
    median = np.where(np.abs(lower) < np.abs(upper), lower, upper)
    return np.where(n_known > 0, median, np.nan)
