"""Vertical straps: columns that see more of the diffuse light than those beside them.

Metal behind the silicon of the CCDs sends red light back, by some percent (TESS
Instrument Handbook, Vanderspek et al. 2018, on straps). What
a column has more than the smooth background, as a median over its sky pixels in
each image, grows with the background: the slope is the response of the column.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA

MAX_ROWS = 200  # sky pixels of a column that are used
MIN_ROWS = 20
MIN_IMAGES = 5
AROUND = 65  # [columns] against whose median a strap must stand out
SIGNIFICANT = 4.0  # [sigma] smaller responses are taken for none
STANDS_OUT = 1.0  # [e-/s per pixel] less does not harm the background of an image
NOISE, RELATIVE_NOISE = 0.05, 0.002  # [e-/s per pixel], of the light: error of a column's median
DRIFT, DRIFT_DEGREE = 0.5, 3  # [e-/s per pixel] by which a column may change slowly by itself
ROUNDING = 1e-9  # fraction of the power of the light that rounding may leave
COLUMNS_AT_ONCE = 128


def sky_rows(mask: NDArray) -> NDArray:
    """Choose sky pixels of each column, evenly.

    Parameters
    ----------
    mask : (n_rows, n_columns) bool array
        True where a star must be expected.

    Returns
    -------
    (n_columns, n_used) int array
        Rows; -1 for none. A column with fewer than `MIN_ROWS` has none at all.
    """
    rows = np.full((mask.shape[1], MAX_ROWS), -1)
    for column in range(mask.shape[1]):
        free = np.flatnonzero(~mask[:, column])
        if free.size >= MIN_ROWS:
            count = min(free.size, MAX_ROWS)
            rows[column, :count] = free[np.linspace(0, free.size - 1, count).astype(int)]
    return rows


def column_excess(image: NDArray, background: NDArray, rows: NDArray) -> NDArray:
    """Compute what each column of an image has more than the background.

    Parameters
    ----------
    image, background : (n_rows, n_columns) arrays
        [e-/s per pixel]; NaN pixels do not count.
    rows : (n_columns, n_used) int array
        From `sky_rows`.

    Returns
    -------
    (n_columns,) float32 array
        Medians [e-/s per pixel]; zero for columns without sky.
    """
    columns = np.arange(len(rows))[:, None]
    excess = (image[rows, columns] - background[rows, columns]).astype(np.float32)
    excess[rows < 0] = np.nan
    excess.sort(axis=1)  # NaN last
    middle = np.isfinite(excess).sum(axis=1) // 2
    return np.nan_to_num(excess[columns[:, 0], middle])


def strap_excess(excess: NDArray) -> NDArray:
    """Pick what stands out of the columns around it, (n_columns,); zero elsewhere.

    Parameters
    ----------
    excess : (n_columns,) array
        From `column_excess`.
    """
    narrow = excess - scipy.ndimage.median_filter(excess, AROUND, mode="mirror")
    typical = ROUNDED_MAD_TO_SIGMA * np.median(np.abs(narrow))
    limit = max(STANDS_OUT, 2 * SIGNIFICANT * typical)
    return np.where(np.abs(narrow) > limit, narrow, 0.0).astype(excess.dtype)


def fit_straps(excess: NDArray, light: NDArray, pointing: NDArray | None = None) -> NDArray:
    """Fit the response of the columns to the diffuse light.

    Parameters
    ----------
    excess : (n_images, n_columns) array
        From `column_excess`.
    light : (n_images, n_columns) array
        Background of the columns in these images [e-/s per pixel]; images with NaN do not count.
    pointing : (n_images,) int array, optional
        Number of the pointing of each image: in each one faint stars give columns another excess,
        which has nothing to do with the background. One by default.

    Returns
    -------
    (n_columns,) float64 array
        By what fraction of the background each column has more than the columns
        around it. Zero where nothing stands out, where the light does not
        change, or with few images.

    Notes
    -----
    The background must be that of the columns without straps: what stands out
    in an image (`strap_excess`) is taken off before it is fitted.

    A column may also drift (`DRIFT`, as a polynomial in each pointing): a response is seen in
    light that changes otherwise, as scattered light does, or by much more.
    """
    n_columns = excess.shape[1]
    usable = np.isfinite(light).all(axis=1)
    slope, error = np.zeros(n_columns), np.full(n_columns, np.inf)
    if usable.sum() < MIN_IMAGES or n_columns == 0:
        return slope
    group = np.zeros(len(light), dtype=int) if pointing is None else pointing
    for first in range(0, n_columns, COLUMNS_AT_ONCE):
        some = slice(first, first + COLUMNS_AT_ONCE)
        given = light[usable, some], excess[usable, some], group[usable]
        slope[some], error[some] = _slopes(*given)
    slope -= scipy.ndimage.median_filter(slope, AROUND, mode="mirror")
    typical = ROUNDED_MAD_TO_SIGMA * np.median(np.abs(slope))  # of columns that are none, mostly
    return np.where(np.abs(slope) > SIGNIFICANT * np.maximum(error, typical), slope, 0.0)


def _slopes(light: NDArray, excess: NDArray, group: NDArray) -> tuple[NDArray, NDArray]:
    """Slope of the excess of each column over its light in groups, and its 1-sigma error.

    A column may also change slowly by itself: what of the light changes as slowly tells little.
    """
    weight = (1 / (NOISE**2 + (RELATIVE_NOISE * light) ** 2)).T
    terms, precision = _slow_changes(group)
    x, y = (values.astype(float).T for values in (light, excess))
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    seen = np.stack([(weight * values) @ terms for values in (x, y)], axis=2)
    n_terms = terms.shape[1]
    products = (terms[:, :, None] * terms[:, None, :]).reshape(-1, n_terms**2)
    normal = (weight @ products).reshape(-1, n_terms, n_terms) + np.diag(precision)
    slow = np.linalg.solve(normal, seen)
    power, both, chi2 = (
        (weight * one * other).sum(axis=1) - (seen[:, :, i] * slow[:, :, j]).sum(axis=1)
        for one, other, i, j in ((x, x, 0, 0), (x, y, 0, 1), (y, y, 1, 1))
    )
    is_known = power > ROUNDING * (weight * x * x).sum(axis=1)
    slope = np.divide(both, power, out=np.zeros_like(power), where=is_known)
    free = max(len(light) - 1 - len(np.unique(group)), 1)
    chi2 = np.maximum((chi2 - slope * both) / free, 1.0)
    return slope, np.sqrt(np.divide(chi2, power, out=np.full_like(power, np.inf), where=is_known))


def _slow_changes(group: NDArray) -> tuple[NDArray, NDArray]:
    """Terms of what a column may have of its own, and how well each is known beforehand.

    Returns
    -------
    terms : (n_images, n_terms) float64 array
        For each group an offset, and Legendre polynomials of its images' numbers.
    precision : (n_terms,) float64 array
        Inverse variances [(e-/s per pixel)^-2]; zero for offsets, of which nothing is known.
    """
    terms, precision = [], []
    for one in np.unique(group):
        inside = np.flatnonzero(group == one)
        moment = np.linspace(-1, 1, inside.size) if inside.size > 1 else np.zeros(1)
        for degree in range(DRIFT_DEGREE + 1):
            term = np.zeros(len(group))
            term[inside] = np.polynomial.legendre.legval(moment, np.eye(DRIFT_DEGREE + 1)[degree])
            terms.append(term)
            precision.append(DRIFT**-2 if degree else 0.0)
    return np.stack(terms, axis=1), np.array(precision)
