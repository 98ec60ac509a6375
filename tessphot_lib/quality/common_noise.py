"""Noise that all stars of a CCD share, relative to their flux.

Pointing that jitters within images takes light out of the apertures of all stars. On real images
of half an hour it is 0 to 0.25 per mille of the flux, often more in sectors 1 and 3, and makes
stars brighter than Tmag 12 noisier than their pixels are. It is seen in what the second
differences of the stars' light have in common, of which nothing is a star's own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA, SECOND_DIFFERENCE
from tessphot_lib.core.medians import medians_of_known
from tessphot_lib.quality.pixel_noise import MIN_IMAGES

CLIP = 4.0  # [sigma] of a star's second differences
OVERLAP = 2.3  # n of them tell as much as n / 2.3 independent ones
# What is expected in images of so many seconds, and as uncertain: stars of Tmag 9.5-11.5 in
# sectors 1, 3, 8, 9 and 19 show 1.8e-4 to 3.8e-4 beyond the noise of their pixels, in 7 none.
PRIOR, PRIOR_SECONDS = 2.5e-4, 1800.0
STAR_SPREAD = 1.0  # of the variance: by so much pairs of stars differ in it


class CommonNoise(NamedTuple):
    """Variance of what stars have in common, relative to their flux, and its 1-sigma error.

    ``n_stars`` is the effective number of stars that tell.
    """

    variance: float
    error: float
    n_stars: float


NOTHING_SEEN = CommonNoise(float("nan"), float("inf"), 0.0)


def common_variance(second: NDArray, patch: NDArray) -> CommonNoise:
    """Measure the variance that stars have in common.

    Parameters
    ----------
    second : (n_stars, n_images) array
        Second differences of the light of each star, relative to its mean; NaN does not count.
    patch : (n_stars,) int array
        Where each star is: those of one patch share the error of its sky, and are not compared.

    Returns
    -------
    CommonNoise
        Of single images; NaN with an infinite error without stars in different patches. It may
        be negative, by its error.
    """
    usable = np.isfinite(second).sum(axis=1) >= MIN_IMAGES
    second, patch = second[usable].astype(float), patch[usable]
    if not len(second):
        return NOTHING_SEEN
    sigma = ROUNDED_MAD_TO_SIGMA * medians_of_known(np.abs(second).T)
    seen = sigma > 0
    second, patch, sigma = second[seen], patch[seen], sigma[seen, None]
    if len(np.unique(patch)) < 2:
        return NOTHING_SEEN
    known = np.isfinite(second)
    clipped = np.clip(np.where(known, second, 0.0), -CLIP * sigma, CLIP * sigma)
    weight = known / sigma**2
    product, pairs = _of_pairs(weight * clipped, patch), _of_pairs(weight, patch)
    total = max(float(pairs.sum()), 1e-300)
    mean = float(product.sum()) / total
    error = np.sqrt(OVERLAP * float(np.sum((product - mean * pairs) ** 2))) / total
    by_patch = np.array([weight[patch == one].sum() for one in np.unique(patch)])
    n_stars = float(by_patch.sum() ** 2 / np.sum(by_patch**2))
    return CommonNoise(mean / SECOND_DIFFERENCE, error / SECOND_DIFFERENCE, n_stars)


def _of_pairs(values: NDArray, patch: NDArray) -> NDArray:
    """Sum of the products of all pairs of stars that are in different patches, (n_images,)."""
    sums = np.array([values[patch == one].sum(axis=0) for one in np.unique(patch)])
    return sums.sum(axis=0) ** 2 - (sums**2).sum(axis=0)


def believed_noise(seen: CommonNoise, seconds: float) -> float:
    """Weigh what stars show with what is expected.

    Parameters
    ----------
    seen : CommonNoise
    seconds : float
        Length of an image [s]; jitter averages out.

    Returns
    -------
    float
        1-sigma noise of each star relative to its flux; that of the prior where nothing is seen.
    """
    prior = PRIOR**2 * PRIOR_SECONDS / seconds
    if not np.isfinite(seen.error) or seen.n_stars <= 1:
        return float(np.sqrt(prior))
    of_stars = STAR_SPREAD * max(seen.variance, 0.0) / np.sqrt(seen.n_stars - 1)
    weights = np.array([seen.error**2 + of_stars**2, prior**2]) ** -1.0
    return float(np.sqrt(max(np.average([seen.variance, prior], weights=weights), 0.0)))
