"""CCDs of which only some patches are known: cutouts, alone or overlapping.

The background of a patch is a polynomial in row and column, of a degree that
its size allows, with coefficients for each image. What changes in time is
taken from all pixels, each against its own median, so that stars do not
matter; the level comes from the faintest pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tessphot_lib.model import Window

N_TERMS = 6  # 1, r, c, r^2, r c, c^2 with r, c from -1 to 1 over the patch
DEGREE_BY_SIDE = ((0, 0), (7, 1), (40, 2))  # (smallest side [pixels], degree)
TERMS_OF_DEGREE = (1, 3, 6)
FAINT_SHARE = 0.10  # quantile of a patch's pixels that shows the sky
FIRST_SHARE = 0.25  # quantile that gives the first guess of the level of an image
STAR_NOISE = 0.02  # of a pixel's starlight is taken as its noise from jitter and variability
CLIP = 5.0  # [sigma]
MIN_PIXELS = 6


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
    """

    window: Window
    windows: list[Window]
    index: NDArray

    @classmethod
    def of(cls, windows: list[Window]) -> "Patches":
        """Join windows that overlap or touch to patches, in the order of the CCD."""
        if not windows:
            raise ValueError("no windows")
        outer = Window(
            min(one.row0 for one in windows),
            max(one.row1 for one in windows),
            min(one.column0 for one in windows),
            max(one.column1 for one in windows),
        )
        covered = np.zeros(outer.shape, dtype=bool)
        for one in windows:
            covered[one.slices_in(outer)] = True
        labels, _ = ndimage.label(covered)
        boxes = [
            Window(
                outer.row0 + rows.start,
                outer.row0 + rows.stop,
                outer.column0 + columns.start,
                outer.column0 + columns.stop,
            )
            for rows, columns in ndimage.find_objects(labels)
        ]
        return cls(outer, boxes, labels.astype(np.int32) - 1)

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
            terms = polynomial_terms(
                self.windows[patch], row + region.row0, column + region.column0
            )
            result[:, row, column] = np.asarray(model[:, patch], dtype=float) @ terms.T
        return result

    def evaluate_at(self, model: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Evaluate backgrounds at positions, (n_images, n); NaN off the patches."""
        result = np.full((len(model), len(row)), np.nan)
        for position, patch in enumerate(self.patch_at(row, column)):
            if patch >= 0:
                at = row[position : position + 1], column[position : position + 1]
                terms = polynomial_terms(self.windows[patch], *at)
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


def polynomial_terms(window: Window, row: NDArray, column: NDArray) -> NDArray:
    """Terms of the polynomial of a patch at positions, (n, N_TERMS)."""
    half_rows, half_columns = (max((size - 1) / 2, 0.5) for size in window.shape)
    r = (np.asarray(row, dtype=float) - (window.row0 + window.row1 - 1) / 2) / half_rows
    c = (np.asarray(column, dtype=float) - (window.column0 + window.column1 - 1) / 2) / half_columns
    return np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], axis=-1)


def fit_patch_background(
    flux: NDArray, window: Window, starlight: NDArray, good: NDArray
) -> tuple[NDArray, NDArray]:
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
    """
    n_images = len(flux)
    model, error = np.zeros((n_images, N_TERMS)), np.full(n_images, np.nan)
    pixels = flux.reshape(n_images, -1).astype(np.float64)
    finite = np.isfinite(pixels)
    enough = finite.sum(axis=1) >= MIN_PIXELS
    usable = enough & good if (enough & good).any() else enough
    if not usable.any():
        return np.full((n_images, N_TERMS), np.nan), error
    seen = finite[usable].all(axis=0) if finite[usable].all(axis=0).any() else finite.any(axis=0)
    first = np.full(n_images, np.nan)
    first[enough] = np.nanquantile(pixels[enough], FIRST_SHARE, axis=1)
    median = np.full(pixels.shape[1], np.nan)
    median[seen] = np.nanmedian(pixels[usable][:, seen] - first[usable, None], axis=0)
    change = pixels - median
    level = _sky_level(median - starlight.ravel())
    bright = np.nan_to_num(median - np.nanmin(median), nan=np.inf)
    noise = 1.0
    if usable.sum() > 2:
        noise = float(np.nanmedian(np.abs(np.diff(change[usable][:, seen], axis=0))))
    weight = 1 / (max(noise, 1e-3) ** 2 + (STAR_NOISE * bright) ** 2)
    rows, columns = np.indices(window.shape)
    n_terms = TERMS_OF_DEGREE[_degree(window)]
    terms = polynomial_terms(window, rows.ravel() + window.row0, columns.ravel() + window.column0)
    terms = terms[:, :n_terms]
    keep = finite & seen
    for _ in range(3):
        fitted, error = _weighted_fit(change, terms, weight, keep)
        residual = (change - fitted @ terms.T) * np.sqrt(weight)
        spread = 1.4826 * np.nanmedian(np.abs(np.where(keep, residual, np.nan)), axis=1)
        with np.errstate(invalid="ignore"):
            keep = finite & seen & (np.abs(residual) <= CLIP * np.maximum(spread, 1)[:, None])
    model[:, :n_terms] = fitted
    model[:, 0] += level
    model[~enough] = np.nan
    error[~enough] = np.nan
    return model, error


def _weighted_fit(
    change: NDArray, terms: NDArray, weight: NDArray, keep: NDArray
) -> tuple[NDArray, NDArray]:
    """Weighted least squares of all images at once; coefficients and error of the level."""
    weights = np.where(keep, weight, 0.0)
    values = np.where(keep, change, 0.0)
    normal = np.einsum("kp,pi,pj->kij", weights, terms, terms, optimize=True)
    normal += 1e-12 * np.eye(terms.shape[1]) * (1 + normal[:, :1, :1])
    right = np.einsum("kp,kp,pi->ki", weights, values, terms, optimize=True)
    fitted = np.linalg.solve(normal, right[..., None])[..., 0]
    return fitted, np.sqrt(np.linalg.inv(normal)[:, 0, 0])


def _sky_level(image: NDArray) -> float:
    """Level of the sky in a median image without the expected starlight: its faintest pixels."""
    values = image[np.isfinite(image)]
    return float(np.quantile(values, FAINT_SHARE)) if values.size else 0.0


def _degree(window: Window) -> int:
    """Degree of the polynomial that a patch allows."""
    return max(degree for side, degree in DEGREE_BY_SIDE if min(window.shape) >= side)
