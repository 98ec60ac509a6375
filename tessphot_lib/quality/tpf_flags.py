"""Quality bits of target pixel files: what they tell of their CCD, and of full-frame images.

Full-frame images carry few bits of their own; target pixel files have them for
every 120 or 20 s. Only bits that say something about the whole CCD count; one that is set
for single targets counts where more than half of the files have it, of at least three. All
times are at the spacecraft: those of a target pixel file are barycentric for its
own star, minutes off those of the image.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.flags import CadenceFlag

BORROWED_BITS = (
    CadenceFlag.ATTITUDE_TWEAK,
    CadenceFlag.SAFE_MODE,
    CadenceFlag.COARSE_POINT,
    CadenceFlag.EARTH_POINT,
    CadenceFlag.MOMENTUM_DUMP,
    CadenceFlag.STRAYLIGHT_BODY,
    CadenceFlag.SCATTERED_LIGHT,
)
# Set for each target by itself since data release 30 (scattered light in its own aperture).
BITS_OF_TARGETS = CadenceFlag.SCATTERED_LIGHT
MIN_FILES = 3  # that fewer files agree says nothing about the CCD

# What befell the pixels of one star, and says nothing of others on the CCD.
OF_ONE_STAR = (
    CadenceFlag.COSMIC_RAY_APERTURE,
    CadenceFlag.IMPULSIVE_OUTLIER,
    CadenceFlag.COSMIC_RAY_COLLATERAL,
)


def common_quality(
    cadenceno: NDArray, numbers: Sequence[NDArray], quality: Sequence[NDArray]
) -> NDArray:
    """Find the bits of the cadences of a CCD: those that half of some target pixel files have.

    Parameters
    ----------
    cadenceno : (n,) int array
        Increasing.
    numbers, quality : sequences of (n_file,) int arrays
        Cadences of each file, increasing, and their bits.

    Returns
    -------
    (n,) int64 array
        Bits that at least half of the files have which have the cadence, those of
        `OF_ONE_STAR` left out; of `BITS_OF_TARGETS` those that more than half of at least
        `MIN_FILES` have, as in `join_borrowed`. Zero where no file has the cadence.
    """
    counts, votes = np.zeros(len(cadenceno), dtype=int), np.zeros((32, len(cadenceno)), dtype=int)
    for number, bits in zip(numbers, quality, strict=True):
        _, here, there = np.intersect1d(cadenceno, number, return_indices=True)
        counts[here] += 1
        for bit in range(32):
            votes[bit, here] += (bits[there] >> bit) & 1
    result = np.zeros(len(cadenceno), dtype=np.int64)
    for bit in range(32):
        if 1 << bit in OF_ONE_STAR:
            continue
        if 1 << bit & BITS_OF_TARGETS:
            of_ccd = _is_of_ccd(votes[bit], counts)
        else:
            of_ccd = (2 * votes[bit] >= counts) & (votes[bit] > 0)
        result[of_ccd] |= 1 << bit
    return result


def _is_of_ccd(n_agreeing: NDArray, n_covering: NDArray) -> NDArray:
    """Whether a bit of single targets is in so many files that it is one of the CCD."""
    return (n_covering >= MIN_FILES) & (2 * n_agreeing > n_covering)


def spacecraft_time(time: NDArray, timecorr: NDArray, cadenceno: NDArray) -> NDArray:
    """Mid-times at the spacecraft of the cadences of a target pixel file.

    Parameters
    ----------
    time, timecorr : (n,) arrays
        Barycentric mid-times [BTJD] and the correction in them [d]; NaN where
        the mission gives none, as in many cadences with bad quality.
    cadenceno : (n,) array
        Numbers of the cadences: the missing times follow from them.

    Returns
    -------
    (n,) float64 array
        NaN everywhere where fewer than two cadences have a time.
    """
    moment = np.asarray(time, dtype=float) - np.asarray(timecorr, dtype=float)
    known = np.isfinite(moment)
    if known.all():
        return moment
    number = np.asarray(cadenceno, dtype=float)
    if known.sum() < 2:
        return np.full(moment.shape, np.nan)
    first = np.flatnonzero(known)[0]
    # The clock runs evenly: between known times, and on beyond them.
    steps = np.diff(moment[known]) / np.diff(number[known])
    step = np.median(steps)
    drift = moment[known] - moment[first] - step * (number[known] - number[first])
    whole = moment[first] + step * (number - number[first])
    return np.where(known, moment, whole + np.interp(number, number[known], drift))


def borrow_quality(start: NDArray, stop: NDArray, moment: NDArray, quality: NDArray) -> NDArray:
    """Collect the bits of all cadences whose middle falls into an exposure.

    Parameters
    ----------
    start, stop : (n_images,) arrays
        Of the exposures, at the spacecraft [BTJD]; NaN gets no bit.
    moment : (n,) array
        Mid-times of the cadences at the spacecraft, in any order; NaN falls nowhere.
    quality : (n,) integer array
        Their bits.

    Returns
    -------
    (n_images,) int64 array
        Those of `BORROWED_BITS` that any cadence inside has.
    """
    known = np.isfinite(moment)
    order = np.argsort(moment[known], kind="stable")
    times, bits = moment[known][order], np.asarray(quality)[known][order]
    first, last = np.searchsorted(times, start), np.searchsorted(times, stop)
    last = np.where(np.isfinite(start) & np.isfinite(stop), np.maximum(last, first), first)
    borrowed = np.zeros(np.shape(start), dtype=np.int64)
    for flag in BORROWED_BITS:
        so_far = np.concatenate([[0], np.cumsum(bits & int(flag) != 0)])
        borrowed[so_far[last] > so_far[first]] |= int(flag)
    return borrowed


def join_borrowed(borrowed: NDArray, covered: NDArray) -> NDArray:
    """Join what several target pixel files say of the images of their CCD.

    Parameters
    ----------
    borrowed : (n_files, n_images) int array
        From `borrow_quality`, one row per file.
    covered : (n_files, n_images) bool array
        Whether the file has any cadence during the image.

    Returns
    -------
    (n_images,) int64 array
        Bits that any file has; of `BITS_OF_TARGETS` those that more than half of the files
        have that cover the image, at least `MIN_FILES`.
    """
    borrowed = np.asarray(borrowed, dtype=np.int64)
    n_covering = np.count_nonzero(covered, axis=0)
    n_agreeing = np.count_nonzero(borrowed & int(BITS_OF_TARGETS), axis=0)
    joined = np.bitwise_or.reduce(borrowed & ~int(BITS_OF_TARGETS), axis=0)
    return np.where(_is_of_ccd(n_agreeing, n_covering), joined | int(BITS_OF_TARGETS), joined)


def is_covered(start: NDArray, stop: NDArray, moment: NDArray) -> NDArray:
    """Return which exposures contain the middle of any cadence, (n_images,) bool.

    Parameters as those of `borrow_quality`.
    """
    times = np.sort(moment[np.isfinite(moment)])
    with np.errstate(invalid="ignore"):
        return np.searchsorted(times, stop) > np.searchsorted(times, start)
