"""Position, light and sharpness of one star in many images: as `star_light` measures them, faster.

A star hardly moves from one image to the next. So its sums under Gaussian windows that follow
it are power series in its displacement d [sigma of the window] from its mean position, of which
one matrix product gives the coefficients for all images: with the Hermite polynomials He_k,
``exp(-(x - d)**2 / 2) = exp(-x**2 / 2) * sum_k He_k(x) * d**k / k!`` (Abramowitz & Stegun,
22.9.17). The position, at which the first moment under the window vanishes, is where the sum
is largest. Images in which the star is farther away are measured one by one.
"""

import math

import numpy as np
from numpy.polynomial.hermite_e import hermevander
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.star_light import (
    NARROW_SIGMA,
    WIDE_SIGMA,
    StarMeasures,
    measure_star_stamps,
)
from tessphot_lib.motion.star_positions import HALF_STAMP, WINDOW_SIGMA, measure_stamps

CORE = 2.5  # [pixels] around a star that must be there to measure its position
ORDER = 5  # of the series of the sums under the narrow window ...
WIDE_ORDER = 4  # ... and under the wide one
REACH = 0.25  # [pixels] from the mean position; there the series is good to 1e-4 pixels
CONVERGED = 1e-5  # [pixels]
N_ITERATIONS = 8
GAINS = 1.0, 4.0  # of steps to the position; 2 for a Gaussian as wide as its window
IMAGES_AT_ONCE = 2048  # what is made of them stays in the cache


def measure_star_series(flux: NDArray, stamp: Window, row: float, column: float) -> StarMeasures:
    """Measure one star in many images.

    Parameters
    ----------
    flux : (n, n_rows, n_columns) float array
        Pixels of ``stamp``, background-subtracted [e-/s]; those around it, and NaN ones farther
        than `CORE` from the star, count as sky. The result is computed in its precision.
    stamp : Window
        At most `tessphot_lib.motion.star_positions.HALF_STAMP` around the star.
    row, column : float
        Where the star is expected [science pixels].

    Returns
    -------
    StarMeasures
        Of each image, as `tessphot_lib.motion.star_light.measure_stars` gives them; NaN where
        a pixel of the core is not there. Positions differ from those by less than 1e-4 pixels.
    """
    first = round(row) - HALF_STAMP, round(column) - HALF_STAMP
    expected = row - first[0], column - first[1]
    pixels = _Pixels(stamp, first, expected)
    flat = pixels.without_gaps(flux)
    is_there = np.isfinite(flat.sum(axis=1))
    centre = _mean_position(pixels, flat[is_there] if not is_there.all() else flat, expected)
    found = StarMeasures(*(np.full(len(flat), np.nan) for _ in StarMeasures._fields))
    if np.isfinite(centre[0]):
        series = _Series(pixels, centre, flux.dtype)
        for begin in range(0, len(flat), IMAGES_AT_ONCE):
            some = slice(begin, begin + IMAGES_AT_ONCE)
            for values, new in zip(found, series.measure(flat[some]), strict=True):
                values[some] = new
    others = np.flatnonzero(is_there & np.isnan(found.row))
    if others.size:
        at = (np.full(len(others), one) for one in expected)
        one_by_one = measure_star_stamps(pixels.squares(flat[others]), *at)
        for values, new in zip(found, one_by_one, strict=True):
            values[others] = new
    return found._replace(row=found.row + first[0], column=found.column + first[1])


class _Pixels:
    """Those of the square stamp of a star that there are, one after the other."""

    side = 2 * HALF_STAMP + 1

    def __init__(
        self, stamp: Window, first: tuple[int, int], expected: tuple[float, float]
    ) -> None:
        rows, columns = np.indices(stamp.shape)
        self.row = (rows + stamp.row0 - first[0]).ravel()
        self.column = (columns + stamp.column0 - first[1]).ravel()
        self.is_far = np.hypot(self.row - expected[0], self.column - expected[1]) > CORE
        edges = (0, self.side - 1)
        self.is_outermost = np.isin(self.row, edges) | np.isin(self.column, edges)

    def without_gaps(self, flux: NDArray) -> NDArray:
        """Fluxes of the pixels, (n, n_pixels), 0 where a far one is missing."""
        flat = flux.reshape(len(flux), len(self.row))
        missing = np.isnan(flat) & self.is_far
        return np.where(missing, flat.dtype.type(0), flat) if missing.any() else flat

    def squares(self, flat: NDArray) -> NDArray:
        """Put pixels where they belong, (n, side, side); 0 where there are none."""
        squares = np.zeros((len(flat), self.side, self.side))
        squares[:, self.row, self.column] = flat
        return squares

    def sky(self, flat: NDArray) -> NDArray:
        """Median of the outermost pixels of the square, (n,)."""
        outermost = np.zeros((len(flat), 4 * (self.side - 1)), dtype=flat.dtype)
        outermost[:, : self.is_outermost.sum()] = flat[:, self.is_outermost]
        outermost.sort(axis=1)  # faster than a partition
        middle = outermost.shape[1] // 2
        return 0.5 * (outermost[:, middle - 1] + outermost[:, middle])


class _Series:
    """Power series of the sums under windows around a position."""

    def __init__(self, pixels: _Pixels, centre: tuple[float, float], dtype: np.dtype) -> None:
        self._pixels, self._centre = pixels, centre
        self._narrow = _window(pixels, centre, NARROW_SIGMA, ORDER).astype(dtype)
        self._wide = _window(pixels, centre, WIDE_SIGMA, WIDE_ORDER).astype(dtype)
        whole = _Pixels(Window(0, pixels.side, 0, pixels.side), (0, 0), centre)
        self._flat_narrow = _window(whole, centre, NARROW_SIGMA, ORDER).sum(axis=1).astype(dtype)
        self._flat_wide = _window(whole, centre, WIDE_SIGMA, WIDE_ORDER).sum(axis=1).astype(dtype)

    def measure(self, flat: NDArray) -> StarMeasures:
        """Measure the star in some images; all NaN where it is too far from the centre."""
        narrow, wide = self._narrow @ flat.T, self._wide @ flat.T
        d_row, d_column = _position(narrow)
        sky = self._pixels.sky(flat)
        core, _, _ = _evaluate(narrow - np.outer(self._flat_narrow, sky), ORDER, d_row, d_column)
        scale = flat.dtype.type(NARROW_SIGMA / WIDE_SIGMA)
        light, _, _ = _evaluate(
            wide - np.outer(self._flat_wide, sky), WIDE_ORDER, scale * d_row, scale * d_column
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            sharpness = np.where(light > 0, core / light, np.nan)
        row, column = (
            at + NARROW_SIGMA * one for at, one in zip(self._centre, (d_row, d_column), strict=True)
        )
        return StarMeasures(row, column, light, sharpness)


def _mean_position(
    pixels: _Pixels, flat: NDArray, expected: tuple[float, float]
) -> tuple[float, float]:
    """Position in the mean of images, NaN if there is none."""
    if not len(flat):
        return math.nan, math.nan
    mean = pixels.squares(flat.mean(axis=0, dtype=float)[None])
    row, column = measure_stamps(mean, *(np.array([one]) for one in expected))
    return float(row[0]), float(column[0])


def _window(pixels: _Pixels, centre: tuple[float, float], sigma: float, order: int) -> NDArray:
    """Coefficients of the series of a window in its displacement, (n_terms, n_pixels).

    In the order of `_evaluate`: of d_row**j * d_column**k for j + k up to the order.
    """
    factorials = np.array([math.factorial(k) for k in range(order + 1)])
    factors = []
    for offset in (pixels.row - centre[0], pixels.column - centre[1]):
        x = offset / sigma
        terms = hermevander(x, order).T / factorials[:, None]
        terms *= np.exp(-0.5 * x**2)
        factors.append(terms)
    return np.array(
        [factors[0][j] * factors[1][k] for j in range(order + 1) for k in range(order + 1 - j)]
    )


def _evaluate(
    series: NDArray, order: int, d_row: NDArray, d_column: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Values of power series (n_terms, n) and derivatives along rows and columns, by Horner."""
    zero = np.zeros_like(d_row)
    value, by_row, by_column = zero, zero, zero
    last = len(series)
    for j in range(order, -1, -1):
        last -= order + 1 - j
        inner, inner_by_column = series[last + order - j], zero
        for k in range(order - j - 1, -1, -1):
            inner_by_column = inner_by_column * d_column + inner
            inner = inner * d_column + series[last + k]
        by_row = by_row * d_row + value
        value = value * d_row + inner
        by_column = by_column * d_row + inner_by_column
    return value, by_row, by_column


def _position(series: NDArray) -> tuple[NDArray, NDArray]:
    """Where the sums are largest [sigma of the window]; NaN where that is not near."""
    gains = [_gain(series, index) for index in (2 * ORDER + 1, 2)]  # of d_row**2 and d_column**2
    d_row, d_column = np.zeros_like(series[0]), np.zeros_like(series[0])
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for _ in range(N_ITERATIONS):
            total, by_row, by_column = _evaluate(series, ORDER, d_row, d_column)
            steps = [
                gain * one / total for gain, one in zip(gains, (by_row, by_column), strict=True)
            ]
            d_row, d_column = (
                np.clip(one + step, -2 * REACH, 2 * REACH)
                for one, step in zip((d_row, d_column), steps, strict=True)
            )
            last = np.maximum(*(np.abs(step) for step in steps))
            if not (np.fmax.reduce(last) > CONVERGED / WINDOW_SIGMA):
                break
        near = np.maximum(np.abs(d_row), np.abs(d_column)) < REACH / WINDOW_SIGMA
        found = near & (total > 0) & (last < CONVERGED / WINDOW_SIGMA)
    return np.where(found, d_row, np.nan), np.where(found, d_column, np.nan)


def _gain(series: NDArray, square: int) -> NDArray:
    """Step to the maximum, in units of the slope over the value: by the curvature of the mean."""
    known = np.isfinite(series[0])
    value, curvature = (float(series[index][known].sum()) for index in (0, square))
    gain = -0.5 * value / curvature if curvature else 2.0
    return series.dtype.type(np.clip(gain, *GAINS))
