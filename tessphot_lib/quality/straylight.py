"""Scattered light of Earth and Moon: which images have much of it, where it is brightest."""

import numpy as np
from numpy.typing import NDArray

STRAYLIGHT_QUANTILE = 0.2  # of the images of a CCD are taken as quiet

PEAK_QUANTILE = 0.98  # of the background of an image: scattered light covers a part of a CCD


def brightest_level(nodes: NDArray, level: NDArray) -> NDArray:
    """Background of each image where scattered light is brightest.

    Parameters
    ----------
    nodes : (n_images, ...) array
        Nodes of the backgrounds, of cells or patches [e-/s per pixel]; NaN: unknown.
    level : (n_images,) array
        Median background of each image.

    Returns
    -------
    (n_images,) float64 array
        The quiet level, and the `PEAK_QUANTILE` of what each cell has over
        its own quiet level: a corner that always glows is not bright. NaN
        where nothing is known of an image.
    """
    nodes = nodes.reshape(len(nodes), -1)
    nodes = nodes[:, np.isfinite(nodes).any(axis=0)]
    known = np.isfinite(nodes).any(axis=1)  # patches may lack some images
    brightest = np.full(len(nodes), np.nan)
    if known.any():
        quiet = np.nanquantile(level[known], STRAYLIGHT_QUANTILE)
        usual = np.nanquantile(nodes[known], STRAYLIGHT_QUANTILE, axis=0)
        brightest[known] = quiet + _quantile_of_rows(nodes[known] - usual, PEAK_QUANTILE)
    return brightest


def _quantile_of_rows(values: NDArray, quantile: float) -> NDArray:
    """`numpy.nanquantile` of each row, which is slow row by row; whole rows are done at once."""
    whole = np.isfinite(values).all(axis=1)
    result = np.empty(len(values), dtype=values.dtype)
    result[whole] = np.quantile(values[whole], quantile, axis=1)
    result[~whole] = np.nanquantile(values[~whole], quantile, axis=1)
    return result


def has_straylight(level: NDArray, factor: float) -> NDArray:
    """Return which images have a background far above the quiet one.

    Parameters
    ----------
    level : (n_images,) array
        Background of each image [e-/s per pixel]; NaN is not flagged.
    factor : float
        Multiple of the quiet level above which an image is flagged.

    Returns
    -------
    (n_images,) bool array
        All False if no level is finite.
    """
    finite = level[np.isfinite(level)]
    if finite.size == 0:
        return np.zeros(len(level), dtype=bool)
    quiet = np.quantile(finite, STRAYLIGHT_QUANTILE)
    return np.nan_to_num(level, nan=-np.inf) > factor * max(quiet, 1.0)
