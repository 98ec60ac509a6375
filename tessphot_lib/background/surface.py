"""A smooth surface through pixels of which many are hidden: a spline with a penalty.

Bicubic B-splines with knots every few pixels follow any light that is smoother than that, and
between them what a star hides. Their third differences are held small (P-splines: Eilers & Marx
1996, Statistical Science 11, 89), so that pixels with little weight are bridged by parabolas,
which are not too low on a summit as averages are. Lower differences, held much less, matter in
holes of tens of pixels only, which parabolas would overshoot.

The more rugged the surface is, the less it is held: a first fit shows it. So what a model of the
stars lacks in their wings is no light in a field that is smooth.
"""

import numpy as np
import scipy
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

KNOTS = 4  # [pixels] from one to the next
DEGREE = 3
STIFFNESS = 0.3  # of the first fit's third differences, in units of a pixel's weight
STIFF_RUGGED = 1.5  # product of stiffness and third differences [e-/s] ...
MIN_STIFFNESS, MAX_STIFFNESS = 1e-3, 3.0
AROUND = 4.0  # [knots] over which these are averaged
# Of lower differences: so much that they prevail in holes of 10, and of 25 knots for the level.
ORDERS = ((3, 1.0), (2, 10.0**-2), (1, 10.0**-4), (0, 25.0**-6))


def smooth_surface(values: NDArray, weight: NDArray) -> NDArray:
    """Fit a smooth surface to some pixels.

    Parameters
    ----------
    values : (n_rows, n_columns) array
        Finite where ``weight`` is not 0 [e-/s].
    weight : (n_rows, n_columns) array
        Of the squares of the pixels' residuals, 1 for those that are known well; 0 where a
        pixel does not count.

    Returns
    -------
    (n_rows, n_columns) float64 array
        0 if no pixel counts.
    """
    weight = np.asarray(weight, dtype=float)
    if not (weight > 0).any():
        return np.zeros(weight.shape)
    light = np.where(weight > 0, values, 0.0) * weight
    rows, columns = (_splines(size) for size in weight.shape)
    right = rows.T @ light @ columns
    bands = _normal_bands(rows, columns, weight)
    found = _solve(bands, right, np.full(right.shape, STIFFNESS))
    stiffness = STIFF_RUGGED / np.maximum(_ruggedness(found), 1e-3)
    found = _solve(bands, right, np.clip(stiffness, MIN_STIFFNESS, MAX_STIFFNESS))
    return np.asarray(rows @ found @ columns.T)


def _solve(bands: NDArray, right: NDArray, stiffness: NDArray) -> NDArray:
    """Coefficients of all splines, (n_rows, n_columns) as ``right`` and ``stiffness``."""
    held = bands.copy()
    _add_penalty(held, stiffness)
    with threadpool_limits(1):  # the same sums on any machine; threads only wait for each other
        found = scipy.linalg.solveh_banded(held, right.ravel(), lower=True)
    return np.asarray(found.reshape(right.shape))


def _ruggedness(coefficients: NDArray) -> NDArray:
    """Local root mean square of the third differences along rows and columns."""
    squares = [
        np.pad(
            np.diff(coefficients, DEGREE, axis=axis) ** 2,
            [(1, 2) if axis == other else (0, 0) for other in (0, 1)],
            mode="edge",
        )
        for axis in (0, 1)
    ]
    mean = scipy.ndimage.gaussian_filter(0.5 * (squares[0] + squares[1]), AROUND)
    return np.sqrt(np.maximum(mean, 0.0))


def _splines(n_pixels: int) -> NDArray:
    """Cubic B-splines at the pixels of an axis, (n_pixels, n_splines)."""
    n_splines = -(-n_pixels // KNOTS) + DEGREE
    knots = KNOTS * (np.arange(n_splines + DEGREE + 1) - DEGREE) - 0.5
    at = np.arange(n_pixels, dtype=float)
    return np.asarray(scipy.interpolate.BSpline.design_matrix(at, knots, DEGREE).toarray())


def _normal_bands(rows: NDArray, columns: NDArray, weight: NDArray) -> NDArray:
    """Lower bands of the normal equations, (n_bands, n_unknowns), row by row of the splines."""
    shape = rows.shape[1], columns.shape[1]
    bands = np.zeros((DEGREE * shape[1] + DEGREE + 1, shape[0] * shape[1]))
    by_column = [_products(columns, along) for along in range(DEGREE + 1)]
    for down in range(DEGREE + 1):
        in_rows = _products(rows, down).T @ weight
        for along in range(-DEGREE, DEGREE + 1):
            if down == 0 and along < 0:
                continue
            block = in_rows @ by_column[abs(along)]
            _add_block(bands, block, down, along)
    return bands


def _products(splines: NDArray, step: int) -> NDArray:
    """Products of each spline with the one ``step`` further, (n_pixels, n_splines - step)."""
    return splines[:, : splines.shape[1] - step] * splines[:, step:]


def _add_block(bands: NDArray, block: NDArray, down: int, along: int) -> None:
    """Add what splines have with those ``down`` rows and ``along`` columns further.

    ``block`` (n_rows - down, n_columns - |along|).
    """
    n_columns = block.shape[1] + abs(along)
    row, column = np.indices(block.shape)
    first = row * n_columns + column + max(-along, 0)
    np.add.at(bands, (np.full(block.shape, down * n_columns + along), first), block)


def _add_penalty(bands: NDArray, stiffness: NDArray) -> None:
    """Add the squares of differences along rows and columns to the lower bands."""
    for order, factor in ORDERS:
        signed = np.diff(np.eye(order + 1), order, axis=0)[0]
        for first, step in ((i, k) for i in range(order + 1) for k in range(order + 1 - i)):
            product = factor * signed[first] * signed[first + step]
            for axis in (0, 1):
                block = np.zeros(_less(stiffness.shape, axis, step))
                n_differences = stiffness.shape[axis] - order
                here = [slice(None), slice(None)]
                here[axis] = slice(first, first + n_differences)
                of = [slice(None), slice(None)]
                of[axis] = slice(0, n_differences)
                block[tuple(here)] = product * stiffness[tuple(of)]
                _add_block(bands, block, *((step, 0) if axis == 0 else (0, step)))


def _less(shape: tuple[int, ...], axis: int, step: int) -> tuple[int, ...]:
    """The shape with so many less along an axis."""
    return tuple(size - step * (number == axis) for number, size in enumerate(shape))
