"""CCDs of which only some patches are known: cutouts, alone or overlapping.

The background of a patch is a polynomial in row and column, of a degree that
its size allows, with coefficients for each image, times the response of each
column: the straps behind the silicon make some columns more sensitive to
scattered light, by several percent. What changes in time is taken from all
pixels, each against its own median, so that stars do not matter; the level
comes from the faintest pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from tessphot_lib.model import Window

N_TERMS = 6  # 1, r, c, r^2, r c, c^2 with r, c from -1 to 1 over the patch
DEGREE_BY_SIDE = ((0, 0), (7, 1), (40, 2))  # (smallest side [pixels], degree)
TERMS_OF_DEGREE = (1, 3, 6)
MAX_SIDE = 128  # [pixels] cutouts that hang together over more are divided into several patches
FAINT_SHARE = 0.10  # of a patch's pixels are fainter than its sky, or as faint
DARK_SHARE = 0.30  # of the pixels at least, those with the least expected starlight, show the sky
DARK_LIGHT = 1.0  # [e-/s] of expected starlight that does no harm
FIRST_SHARE = 0.25  # quantile that gives the first guess of the level of an image
STAR_NOISE = 0.02  # of a pixel's starlight is taken as its noise from jitter and variability
CLIP = 5.0  # [sigma]
MIN_PIXELS = 6
MEDIAN_IMAGES = 2048  # at the most, spread evenly, that the median of each pixel is taken from
STRAP_IMAGES = 512  # those with the most scattered light, which tell the response of the columns
STRAP_SPREAD = 0.03  # expected scatter of the response of columns
SPREAD_PIXELS = 1000  # that the scatter of an image about its background is taken from
AT_ONCE = 1_000_000  # pixels of all images that are fitted at once


@dataclass(frozen=True)
class Patches:
    """The pixels of a CCD that are known.

    Attributes
    ----------
    window : Window
        Smallest window that holds all patches.
    windows : list of Window
        Smallest window around each patch.
    index : (n_rows, n_columns) int32 array
        Over ``window``: number of the patch of each pixel, -1 for none.
    straps : (n_patches, n) float array, or None
        Response of the columns of each patch, see `fit_patch_background`; zeros
        beyond its last column. None: all alike.
    """

    window: Window
    windows: list[Window]
    index: NDArray
    straps: NDArray | None = None

    @classmethod
    def of(cls, windows: list[Window]) -> "Patches":
        """Join windows that overlap or touch to patches, in the order of the CCD.

        More than `MAX_SIDE` pixels that hang together are divided again by the
        places of the windows, so that patches stay small and their sky smooth.
        """
        if not windows:
            raise ValueError("no windows")
        outer = _bounding(windows)
        covered = np.zeros(outer.shape, dtype=bool)
        for one in windows:
            covered[one.slices_in(outer)] = True
        labels, n_labels = ndimage.label(covered)
        members: list[list[Window]] = [[] for _ in range(n_labels)]
        for one in windows:
            members[labels[one.row0 - outer.row0, one.column0 - outer.column0] - 1].append(one)
        index = np.full(outer.shape, -1, dtype=np.int32)
        boxes = []
        for together in members:
            for group in _divided(together):
                for one in group:
                    cut = index[one.slices_in(outer)]
                    cut[cut < 0] = len(boxes)
                boxes.append(_bounding(group))
        return cls(outer, boxes, index)

    def evaluate(self, model: NDArray, region: Window) -> NDArray:
        """Evaluate backgrounds in a region.

        Parameters
        ----------
        model : (n_images, n_patches, N_TERMS) array
        region : Window
            Inside ``window``.

        Returns
        -------
        (n_images, n_rows, n_columns) float64 array
            [e-/s per pixel]; NaN outside of the patches.
        """
        index = self.index[region.slices_in(self.window)]
        result = np.full((len(model), *region.shape), np.nan)
        for patch in np.unique(index[index >= 0]):
            row, column = np.nonzero(index == patch)
            terms = self._terms(patch, row + region.row0, column + region.column0)
            result[:, row, column] = np.asarray(model[:, patch], dtype=float) @ terms.T
        return result

    def evaluate_at(self, model: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Evaluate backgrounds at positions, (n_images, n); NaN off the patches."""
        result = np.full((len(model), len(row)), np.nan)
        for position, patch in enumerate(self.patch_at(row, column)):
            if patch >= 0:
                at = row[position : position + 1], column[position : position + 1]
                terms = self._terms(patch, *at)
                result[:, position] = (np.asarray(model[:, patch], dtype=float) @ terms.T)[:, 0]
        return result

    def error_at(self, error: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Pick the errors (n_images, n_patches) of the patches at positions, (n_images, n)."""
        patch = self.patch_at(row, column)
        picked = np.asarray(error, dtype=float)[:, patch]
        picked[:, patch < 0] = np.nan
        return picked

    def patch_at(self, row: NDArray, column: NDArray) -> NDArray:
        """Number of the patch at positions [science pixels], -1 for none; (n,) int."""
        with np.errstate(invalid="ignore"):
            inside = self.window.contains(row, column)
        result = np.full(len(row), -1, dtype=np.int64)
        rows = np.round(row[inside]).astype(int) - self.window.row0
        columns = np.round(column[inside]).astype(int) - self.window.column0
        last_row, last_column = np.array(self.index.shape) - 1
        result[inside] = self.index[np.minimum(rows, last_row), np.minimum(columns, last_column)]
        return result

    def _terms(self, patch: int, row: NDArray, column: NDArray) -> NDArray:
        """Terms of the background of a patch at positions on it, (n, N_TERMS)."""
        terms = polynomial_terms(self.windows[patch], row, column)
        if self.straps is None:
            return terms
        number = np.round(np.asarray(column)).astype(int) - self.windows[patch].column0
        number = np.clip(number, 0, self.windows[patch].shape[1] - 1)
        return terms * (1 + np.asarray(self.straps[patch], dtype=float)[number])[:, None]


def polynomial_terms(window: Window, row: NDArray, column: NDArray) -> NDArray:
    """Terms of the polynomial of a patch at positions, (n, N_TERMS)."""
    half_rows, half_columns = (max((size - 1) / 2, 0.5) for size in window.shape)
    r = (np.asarray(row, dtype=float) - (window.row0 + window.row1 - 1) / 2) / half_rows
    c = (np.asarray(column, dtype=float) - (window.column0 + window.column1 - 1) / 2) / half_columns
    return np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], axis=-1)


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
        as a share of it; zero where there is no scattered light to tell.
    """
    n_images = len(flux)
    model, error = np.zeros((n_images, N_TERMS)), np.full(n_images, np.nan)
    straps = np.zeros(window.shape[1])
    pixels = flux.reshape(n_images, -1)
    enough = np.array([np.isfinite(image).sum() >= MIN_PIXELS for image in pixels], dtype=bool)
    usable = enough & good if (enough & good).any() else enough
    if not usable.any():
        return np.full((n_images, N_TERMS), np.nan), error, straps
    median, noise = _medians(pixels, np.flatnonzero(usable))
    bright = np.nan_to_num(median - np.nanmin(median), nan=np.inf)
    weight = 1 / (max(noise, 1e-3) ** 2 + (STAR_NOISE * bright) ** 2)
    n_terms = TERMS_OF_DEGREE[_degree(window)]
    rows, columns = (axis.ravel() for axis in np.indices(window.shape))
    terms = polynomial_terms(window, rows + window.row0, columns + window.column0)[:, :n_terms]
    fitted, _ = _fit_images(pixels, median, weight, terms)
    excess = np.abs(np.where(enough, fitted[:, 0], 0.0))
    brightest = np.sort(np.argsort(-excess, kind="stable")[:STRAP_IMAGES])
    brightest = brightest[excess[brightest] > 0]
    for _ in range(3):
        some = pixels[brightest] - median
        of_some, _ = _fit_images(pixels[brightest], median, weight, _strapped(terms, straps))
        straps = _strap_response(some, of_some @ terms.T, weight, noise, columns)
    fitted, error = _fit_images(pixels, median, weight, _strapped(terms, straps))
    response = np.tile(1 + straps, window.shape[0])
    noise_of_median = 1.2533 * noise / np.sqrt(min(usable.sum(), MEDIAN_IMAGES))
    model[:, :n_terms] = fitted
    model[:, 0] += _sky_level(median / response, starlight.ravel(), noise_of_median)
    model[~enough], error[~enough] = np.nan, np.nan
    return model, error, straps


def _medians(pixels: NDArray, usable: NDArray) -> tuple[NDArray, float]:
    """Median of each pixel in the usable images, sky of a quiet image included, and their noise."""
    step = -(-len(usable) // MEDIAN_IMAGES)
    some = pixels[usable[::step]].astype(np.float64)
    finite = np.isfinite(some)
    seen = finite.all(axis=0) if finite.all(axis=0).any() else finite.any(axis=0)
    first = np.nanquantile(some, FIRST_SHARE, axis=1)
    median = np.full(pixels.shape[1], np.nan)
    changes = some[:, seen] - first[:, None]
    median[seen] = np.nanmedian(changes, axis=0) + np.median(first)
    noise = 1.0
    if len(some) > 2:
        noise = 1.4826 * float(np.nanmedian(np.abs(np.diff(changes, axis=0)))) / np.sqrt(2)
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
            spread[known] = 1.4826 * np.nanmedian(some[known], axis=1)
            with np.errstate(invalid="ignore"):
                keep = finite & (np.abs(residual) <= CLIP * np.maximum(spread, 1)[:, None])
    return fitted, error


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
        share = np.cumsum(1 / variance[here])
        middle = slope[here[np.searchsorted(share, 0.5 * share[-1])]]
        straps[column] = middle / (1 + 1.57 / share[-1] / STRAP_SPREAD**2)
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


def _sky_level(image: NDArray, starlight: NDArray, noise: float) -> float:
    """Level of the sky in a median image: that of its faintest pixels.

    The expected starlight tells where to look; near a star it is too rough to
    be taken off. Where unknown stars shine there, the faintest pixels of all
    are darker. ``noise`` is what pixels scatter by [e-/s].
    """
    finite = np.isfinite(image)
    image, starlight = image[finite], starlight[finite]
    if image.size == 0:
        return 0.0
    dark = starlight <= max(DARK_LIGHT, np.quantile(starlight, DARK_SHARE))
    share = min(FAINT_SHARE / dark.mean(), 0.5)
    level = np.quantile((image - starlight)[dark], share) - ndtri(share) * noise
    of_all = np.quantile(image, FAINT_SHARE) - ndtri(FAINT_SHARE) * noise
    return float(min(level, of_all))


def _degree(window: Window) -> int:
    """Degree of the polynomial that a patch allows."""
    return max(degree for side, degree in DEGREE_BY_SIDE if min(window.shape) >= side)


def _bounding(windows: list[Window]) -> Window:
    """Smallest window that holds some windows."""
    return Window(
        min(one.row0 for one in windows),
        max(one.row1 for one in windows),
        min(one.column0 for one in windows),
        max(one.column1 for one in windows),
    )


def _divided(windows: list[Window]) -> list[list[Window]]:
    """Divide windows that hang together by the cells of a grid that their middles lie in."""
    box = _bounding(windows)
    n_rows, n_columns = (-(-side // MAX_SIDE) for side in box.shape)
    groups: dict[tuple[int, int], list[Window]] = {}
    for one in windows:
        row = (0.5 * (one.row0 + one.row1) - box.row0) * n_rows // box.shape[0]
        column = (0.5 * (one.column0 + one.column1) - box.column0) * n_columns // box.shape[1]
        groups.setdefault((int(row), int(column)), []).append(one)
    return [groups[cell] for cell in sorted(groups)]
