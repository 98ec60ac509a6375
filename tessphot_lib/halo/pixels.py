"""Which pixels and images halo photometry uses, and how pixels are put together."""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.geometry import Window

FULL_SHARE = 0.7  # of a full well in the average image, from which a pixel is the core's
AROUND_CORE = np.ones((7, 1), dtype=bool)  # pixels beside the core that its charge may reach
OWN_SHARE = 0.8  # of the known light in a pixel must be the star's
LEAST_SIGNAL = 3.0  # of a pixel's light over its noise in one image
MISSING_SHARE = 0.02  # of the good images that may lack a pixel, or have it full
BRIGHT_SKY = 2.0  # times the usual: scattered light, of which backgrounds miss a little
LIT_SHARES = (0.0, 0.02, 0.1, 0.3, 1.0)  # of the good images with a reflection on a pixel
MIN_CLEAN = 0.3  # of the good images must be without it, for the others not to count
N_SECTORS = 8  # around the star; a group of pixels lies in one of them


def halo_mask(
    window: Window,
    average_image: NDArray,
    row: float,
    column: float,
    *,
    radius: float,
    target: NDArray,
    known: NDArray,
    often_full: NDArray,
) -> NDArray:
    """Mark the pixels of a star's halo.

    Parameters
    ----------
    window : Window
        Pixels that the images cover.
    average_image : (n_rows, n_columns) array
        Background subtracted [e-/s]; NaN: no pixel.
    row, column : float
        Where the star is [science pixels].
    radius : float
        How far from it the halo reaches [pixels].
    target, known : (n_rows, n_columns) arrays
        Expected light of the star, and of all known stars, this one among them [e-/s].
    often_full : (n_rows, n_columns) bool array
        Pixels that are saturated in more than single images.

    Returns
    -------
    (n_rows, n_columns) bool array
        Pixels within the radius that have data, are neither full nor beside a
        full one, and whose light is the star's but for `OWN_SHARE`.
    """
    rows = np.arange(window.row0, window.row1)[:, None] - row
    columns = np.arange(window.column0, window.column1) - column
    finite = np.isfinite(average_image)
    full = often_full | (np.nan_to_num(average_image) > FULL_SHARE * FULL_WELL_RATE)
    return (
        (rows**2 + columns**2 <= radius**2)
        & finite
        & ~scipy.ndimage.binary_dilation(full, structure=AROUND_CORE)
        & (target > 0)
        & (target >= OWN_SHARE * known)
    )


def without_reflections(
    affected: NDArray, information: NDArray, good: NDArray
) -> tuple[NDArray, NDArray]:
    """Leave out pixels, or images, with reflections: what costs the least.

    Pixels that are often lit go, and then the images in which others are; how often
    is often is decided so that the most is left, pixels times images.

    Parameters
    ----------
    affected : (n_cadences, n_pixels) bool array
        Where a reflection or the like is.
    information : (n_pixels,) array
        Squared signal to noise of each.
    good : (n_cadences,) bool array

    Returns
    -------
    kept : (n_pixels,) bool array
    good : (n_cadences,) bool array
        Those without any reflection on the pixels that are kept.
    """
    often = affected[good].mean(axis=0) if good.any() else np.zeros(len(information))
    best, most = (np.ones(len(information), dtype=bool), good), -1.0
    for fraction in LIT_SHARES:
        kept = often <= fraction
        clean = good & ~affected[:, kept].any(axis=1)
        left = information[kept].sum() * clean.sum()
        if left > most:
            best, most = (kept, clean), left
    return best


def without_bright_sky(sky: NDArray, good: NDArray) -> NDArray:
    """Leave images with scattered light out of the good ones.

    Parameters
    ----------
    sky : (n_cadences,) array
        Background at the star [e-/s]; NaN where unknown.
    good : (n_cadences,) bool array

    Returns
    -------
    (n_cadences,) bool array
        ``good`` itself where less than `MIN_CLEAN` of them would be left.
    """
    if not good.any():
        return good
    with np.errstate(invalid="ignore"):
        clean = good & ~(sky > BRIGHT_SKY * np.nanmedian(sky[good]))
    return clean if clean.sum() >= MIN_CLEAN * good.sum() else good


def pixel_weights(level: NDArray, noise: NDArray, sky_error: float) -> NDArray:
    """Weights for the least noise of the weighted sum of pixels, none of them negative.

    Parameters
    ----------
    level, noise : (n_pixels,) arrays
        Typical light of each pixel and its own error, positive [e-/s].
    sky_error : float
        Error that all pixels have in common [e-/s].

    Returns
    -------
    (n_pixels,) float64 array
        ``(level - limit) / noise**2``, the best for these errors (generalized least
        squares), and 0 for pixels fainter than the limit: they would have more of the
        common error than of the star. Without that error the limit is 0.
    """
    used = np.ones(len(level), dtype=bool)
    while True:
        weight = 1 / noise[used] ** 2
        limit = sky_error**2 * (level[used] @ weight) / (1 + sky_error**2 * weight.sum())
        brighter = level > limit
        if (used <= brighter).all():
            return np.where(used, (level - limit) / noise**2, 0.0)
        used &= brighter


def pixel_groups(row: NDArray, column: NDArray, information: NDArray, n_groups: int) -> NDArray:
    """Put pixels into groups that share a weight: sectors around the star, cut into rings.

    Parameters
    ----------
    row, column : (n_pixels,) arrays
        Distances from the star [pixels].
    information : (n_pixels,) array
        Squared signal to noise of each.
    n_groups : int
        Wanted; at least one for each of `N_SECTORS`.

    Returns
    -------
    (n_pixels,) int array
        Numbers from 0 without gaps. The groups of a sector hold about the same
        information, so that bright pixels stay alone and faint ones do not.
        Each pixel is its own group where as many are wanted.
    """
    n_pixels = len(row)
    if n_groups >= n_pixels:
        return np.arange(n_pixels)
    n_rings = max(1, n_groups // N_SECTORS)
    angle = np.arctan2(row, column) / (2 * np.pi) + 0.5 / N_SECTORS
    sector = np.floor((angle % 1.0) * N_SECTORS).astype(int) % N_SECTORS
    order = np.lexsort((column, row, row**2 + column**2, sector))
    group = np.zeros(n_pixels, dtype=int)
    for number in range(N_SECTORS):
        members = order[sector[order] == number]
        before = np.cumsum(information[members]) - 0.5 * information[members]
        fraction = before / max(information[members].sum(), 1e-300)
        group[members] = number * n_rings + np.minimum(
            (fraction * n_rings).astype(int), n_rings - 1
        )
    return np.unique(group, return_inverse=True)[1]
