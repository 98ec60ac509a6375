"""CCDs of which only some patches are known: cutouts, alone or overlapping.

The background of a patch is a polynomial in row and column, of a degree that
its size allows, with coefficients for each image, times the response of each
column: the straps behind the silicon make some columns more sensitive to
scattered light, by several percent. What changes in time is taken from all
pixels, each against its own median, so that stars do not matter; the level
comes from the faintest pixels.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.patches import N_TERMS, polynomial_terms

DEGREE_BY_SIDE = ((0, 0), (7, 1), (40, 2))  # (smallest side [pixels], degree)
TERMS_OF_DEGREE = (1, 3, 6)

FAINT_FRACTION = 0.10  # of a patch's pixels are fainter than its sky, or as faint
DARK_FRACTION = 0.30  # of the pixels at least, those with the least starlight, show the sky
DARK_LIGHT = 1.0  # [e-/s] of expected starlight that does no harm
FIRST_QUANTILE = 0.25  # quantile that gives the first guess of the level of an image
STAR_NOISE = 0.02  # of a pixel's starlight is taken as its noise from jitter and variability
CLIP = 5.0  # [sigma]
NEGATIVE_SKY = 5.0  # [e-/s] below 0: more than the expected starlight may be off by
UNSEEN_SKY = 50.0  # [e-/s] the least zodiacal light (Sullivan et al. 2015), where none is seen
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): error of a median in units of that of the mean
MIN_PIXELS = 6
MEDIAN_IMAGES = 2048  # at most, spread evenly, that the median of each pixel is taken from
STRAP_IMAGES = 512  # those with the most scattered light, which tell the response of the columns
N_STRAP_ROUNDS = 3
SCATTER_IMAGES, MIN_SCATTER_IMAGES = 512, 12  # good ones that the scatter of pixels is taken from
STRAP_SPREAD = 0.03  # expected scatter of the response of columns
SPREAD_PIXELS = 1000  # that the scatter of an image about its background is taken from
AT_ONCE = 1_000_000  # pixels of all images that are fitted at once
USUALLY_SEEN = 0.5  # fraction of the images with a pixel, or with all of these


def fit_patch_background(
    flux: NDArray, window: Window, starlight: NDArray, good: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Fit the background of a patch in all images.

    Parameters
    ----------
    flux : (n_images, n_rows, n_columns) array
        Sky included [e-/s per pixel]; NaN pixels do not count.
    window : Window
        Where the patch is.
    starlight : (n_rows, n_columns) array
        What catalog stars are expected to give [e-/s].
    good : (n_images,) bool array
        Images that the median of each pixel is taken from.

    Returns
    -------
    model : (n_images, N_TERMS) float64 array
        Coefficients; NaN for images without enough pixels.
    error : (n_images,) float64 array
        1-sigma error of the level [e-/s per pixel].
    straps : (n_columns,) float64 array
        By how much more than the others each column sees of the background,
        as a fraction of it; zero where there is no scattered light to tell.
    """
    n_images = len(flux)
    model, error = np.zeros((n_images, N_TERMS)), np.full(n_images, np.nan)
    straps = np.zeros(window.shape[1])
    pixels = flux.reshape(n_images, -1)
    enough = np.array([np.isfinite(image).sum() >= MIN_PIXELS for image in pixels], dtype=bool)
    usable = enough & good if (enough & good).any() else enough
    if not usable.any():
        return np.full((n_images, N_TERMS), np.nan), error, straps
    # Changes are counted from the median of each pixel, so that stars, which stay, drop out.
    # Where they are bright, jitter and their variability count as noise.
    median, noise = _medians(pixels, np.flatnonzero(usable))
    bright = np.nan_to_num(median - np.nanmin(median), nan=np.inf)
    weight = 1 / (max(noise, 1e-3) ** 2 + (STAR_NOISE * bright) ** 2)
    # One polynomial over the patch for the change of each image.
    n_terms = TERMS_OF_DEGREE[_degree(window)]
    rows, columns = (axis.ravel() for axis in np.indices(window.shape))
    terms = polynomial_terms(window, rows + window.row0, columns + window.column0)[:, :n_terms]
    fitted, _ = _fit_images(pixels, median, weight, terms)
    # The images that differ most from the median show the response of the columns; it and
    # their polynomials are fitted in turn.
    excess = np.abs(np.where(enough, fitted[:, 0], 0.0))
    brightest = np.sort(np.argsort(-excess, kind="stable")[:STRAP_IMAGES])
    brightest = brightest[excess[brightest] > 0]
    for _ in range(N_STRAP_ROUNDS):
        some = pixels[brightest] - median
        of_some, _ = _fit_images(pixels[brightest], median, weight, _strapped(terms, straps))
        straps = _strap_response(some, of_some @ terms.T, weight, noise, columns)
    # With that known, all images again; then the level of the median is put on top.
    strapped = _strapped(terms, straps)
    fitted, error = _fit_images(pixels, median, weight, strapped)
    some = _middle_ones(np.flatnonzero(usable), SCATTER_IMAGES)
    error *= _error_factor(pixels[some] - median, fitted[some], weight, strapped)
    response = np.tile(1 + straps, window.shape[0])
    noise_of_median = MEDIAN_ERROR * noise / np.sqrt(min(usable.sum(), MEDIAN_IMAGES))
    model[:, :n_terms] = fitted
    level = _sky_level(median / response, starlight.ravel(), noise_of_median)
    # Changes are seen even where the sky itself is not: then its faintest image is dark.
    model[:, 0] += UNSEEN_SKY - fitted[usable, 0].min() if level is None else level
    model[~enough], error[~enough] = np.nan, np.nan
    return model, error, straps


def _medians(pixels: NDArray, usable: NDArray) -> tuple[NDArray, float]:
    """Median of each pixel in the usable images, sky of a quiet image included, and their noise."""
    step = -(-len(usable) // MEDIAN_IMAGES)
    some = pixels[usable[::step]].astype(np.float64)
    # One image with a hole (rows that were never filled) must not cost all images these pixels.
    finite = np.isfinite(some)
    seen = finite.mean(axis=0) > USUALLY_SEEN
    whole = finite[:, seen].all(axis=1)
    if seen.any() and whole.mean() > USUALLY_SEEN:
        some = some[whole]
    else:
        seen = finite.all(axis=0) if finite.all(axis=0).any() else finite.any(axis=0)
    first = np.nanquantile(some, FIRST_QUANTILE, axis=1)
    median = np.full(pixels.shape[1], np.nan)
    changes = some[:, seen] - first[:, None]
    median[seen] = np.nanmedian(changes, axis=0) + np.median(first)
    noise = 1.0
    if len(some) > 2:
        steps = float(np.nanmedian(np.abs(np.diff(changes, axis=0))))
        noise = ROUNDED_MAD_TO_SIGMA * steps / np.sqrt(2)
    return median, noise


def _fit_images(
    pixels: NDArray, median: NDArray, weight: NDArray, terms: NDArray
) -> tuple[NDArray, NDArray]:
    """Fit terms to what each image has more than the median, outliers left out; some at once."""
    fitted, error = np.zeros((len(pixels), terms.shape[1])), np.zeros(len(pixels))
    at_once = max(1, AT_ONCE // len(median))
    for first in range(0, len(pixels), at_once):
        images = slice(first, first + at_once)
        change = pixels[images] - median
        finite = np.isfinite(change)
        keep = finite
        for _ in range(3):
            fitted[images], error[images] = _weighted_fit(change, terms, weight, keep)
            residual = (change - fitted[images] @ terms.T) * np.sqrt(weight)
            spread = np.ones(len(change))
            some = np.where(keep, np.abs(residual), np.nan)[:, :: 1 + len(median) // SPREAD_PIXELS]
            known = np.isfinite(some).any(axis=1)
            spread[known] = ROUNDED_MAD_TO_SIGMA * np.nanmedian(some[known], axis=1)
            with np.errstate(invalid="ignore"):
                keep = finite & (np.abs(residual) <= CLIP * np.maximum(spread, 1)[:, None])
    return fitted, error


def _middle_ones(images: NDArray, maximum: int) -> NDArray:
    """At most so many of some images, those in the middle."""
    first = max(0, (len(images) - maximum) // 2)
    return images[first : first + maximum]


def _error_factor(change: NDArray, fitted: NDArray, weight: NDArray, terms: NDArray) -> float:
    """True errors of the level over those by the weights, from what pixels scatter by.

    ``change`` (n, n_pixels) and ``fitted`` (n, n_terms) are of successive good images. Near
    stars weights allow for more than changes from image to image; see `STAR_NOISE`.
    """
    if len(change) < MIN_SCATTER_IMAGES:
        return 1.0
    second = np.diff(change - fitted @ terms.T, 2, axis=0)
    known = (np.isfinite(second).sum(axis=0) >= MIN_SCATTER_IMAGES // 2) & (weight > 0)
    if known.sum() < MIN_PIXELS:
        return 1.0
    scatter = ROUNDED_MAD_TO_SIGMA * np.nanmedian(np.abs(second[:, known]), axis=0) / 6**0.5
    weighted = terms[known] * weight[known, None]
    normal = weighted.T @ terms[known] + 1e-12 * np.eye(terms.shape[1])
    gain = np.linalg.solve(normal, weighted.T)[0]
    variance = float(np.sum((gain * scatter) ** 2)), float(np.linalg.inv(normal)[0, 0])
    return float(np.sqrt(variance[0] / variance[1]))


def _strapped(terms: NDArray, straps: NDArray) -> NDArray:
    """Terms of all pixels, row by row, as the columns see them."""
    return terms * np.tile(1 + straps, len(terms) // len(straps))[:, None]


def _strap_response(
    change: NDArray, excess: NDArray, weight: NDArray, noise: float, columns: NDArray
) -> NDArray:
    """How much more each column has of the excess light of some images, (n_columns,).

    The weighted median of its pixels' slopes, those of bright stars, which
    move, counting little; drawn to zero as far as it is uncertain.
    """
    change = np.where(np.isfinite(change), change, excess)
    power = (excess**2).sum(axis=0)
    n_columns = int(columns.max()) + 1
    if not power.all():
        return np.zeros(n_columns)
    slope = (excess * change).sum(axis=0) / power - 1
    typical = (excess**4).sum(axis=0) / power  # square of the excess where there is much of it
    with np.errstate(divide="ignore"):
        variance = noise**2 / power + np.maximum(1 / weight - noise**2, 0.0) / typical
    straps = np.zeros(n_columns)
    for column in range(n_columns):
        here = np.flatnonzero((columns == column) & (weight > 0))
        if here.size == 0:
            continue
        here = here[np.argsort(slope[here], kind="stable")]
        total = np.cumsum(1 / variance[here])
        middle = slope[here[np.searchsorted(total, 0.5 * total[-1])]]
        # Between the median and zero, by its variance and that of straps.
        straps[column] = middle / (1 + 1.57 / total[-1] / STRAP_SPREAD**2)
    return straps


def _weighted_fit(
    change: NDArray, terms: NDArray, weight: NDArray, keep: NDArray
) -> tuple[NDArray, NDArray]:
    """Weighted least squares of all images at once; coefficients and error of the level."""
    n_terms = terms.shape[1]
    weights = np.where(keep, weight, 0.0)
    values = np.where(keep, change, 0.0)
    products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
    normal = (weights @ products).reshape(-1, n_terms, n_terms)
    normal += 1e-12 * np.eye(n_terms) * (1 + normal[:, :1, :1])
    right = (weights * values) @ terms
    fitted = np.linalg.solve(normal, right[..., None])[..., 0]
    return fitted, np.sqrt(np.linalg.inv(normal)[:, 0, 0])


def _sky_level(image: NDArray, starlight: NDArray, noise: float) -> float | None:
    """Level of the sky in a median image: that of its faintest pixels; None: not to be seen.

    The expected starlight tells where to look; near a star it is too rough to
    be taken off. Where unknown stars shine there, the faintest pixels of all
    are darker. ``noise`` is what pixels scatter by [e-/s].
    """
    finite = np.isfinite(image)
    image, starlight = image[finite], starlight[finite]
    if image.size == 0:
        return 0.0
    dark = starlight <= max(DARK_LIGHT, np.quantile(starlight, DARK_FRACTION))
    fraction = min(FAINT_FRACTION / dark.mean(), 0.5)
    level = np.quantile((image - starlight)[dark], fraction) - scipy.special.ndtri(fraction) * noise
    of_all = np.quantile(image, FAINT_FRACTION) - scipy.special.ndtri(FAINT_FRACTION) * noise
    found = float(min(level, of_all))
    # Under a star that lights all pixels more starlight is expected than there is light.
    return None if found < -NEGATIVE_SKY else found


def _degree(window: Window) -> int:
    """Degree of the polynomial that a patch allows."""
    return max(degree for side, degree in DEGREE_BY_SIDE if min(window.shape) >= side)
