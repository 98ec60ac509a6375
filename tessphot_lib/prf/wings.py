"""The faint wings of the PRF, and the sky between all stars, from one image.

The light of wings is linear in their profile: where the cores of all known
stars are taken off, an image is the sum of rings about all stars, each times
the fraction of the light that falls there, and of the sky. All pixels tell of it,
each by what the cores leave it certain: no star has to stand alone, which in a
crowd none does.

The background that was taken off the image holds the light of far wings, in each
cell of its mesh another amount, and between the cells what interpolation makes of it.
So what such a mesh would take off is taken off both image and rings, and the sky is
free in small cells besides: what wings are like is seen inside these only. That shows
little of the farthest radii: wings are believed to go on there about as they do nearer
to the star.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.convolution import fft_convolutions
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import interpolation_matrix
from tessphot_lib.core.stamps import nearest_pixel
from tessphot_lib.prf.evaluate import REACH

WING_RADIUS = np.array([5.75, 7.25, 9.0, 11.5, 15.0, 19.5, 25.0, 32.5, 42.0])  # [pixels]
FALL = 3  # power of the distance by which wings fall off between and beyond these radii
# Fraction of the light per pixel at these radii that is believed until others are seen.
USUAL_WINGS = 1e-5 * (9.0 / WING_RADIUS) ** FALL
# From this radius on fractions follow each other: from one to the next, the factor by which they
# are more than usual changes by so much of itself. Nearer ones each are usual within themselves.
FIRST_FOLLOWER, FOLLOWING = 3, 0.25
MIN_FACTOR = 0.3  # of which that change is at least counted
MESH_CELL = 64  # [pixels] side of the cells whose interpolated means do not count
N_SMOOTHED = 2  # times that they are taken off
SKY_CELL = 32  # [pixels] and of those in which the sky is free
CORRELATED_PIXELS = 10  # unknown stars cover as many: so much less do pixels tell
N_CLIPS, CLIP = 4, 4.0  # [sigma] pixels off by more show unknown stars, or bleed trails
MIN_PIXELS = 100
MAX_PIXELS = 400_000  # evenly spread ones are enough


@dataclass(frozen=True)
class RingLight:
    """What stars give to pixels with the usual wings, from each of `WING_RADIUS`.

    It depends on no PRF: it is drawn once, however often wings are fitted.

    Attributes
    ----------
    window : Window
    pixels : (n_pixels,) int array
        Flat indices of pixels of the window, `MAX_PIXELS` at most, evenly spread.
    step : int
        Of so many usable pixels one is among these.
    design : (n_pixels, n_radii) float32 array
        [e-/s]
    """

    window: Window
    pixels: NDArray
    step: int
    design: NDArray

    @classmethod
    def of(
        cls, window: Window, usable: NDArray, row: NDArray, column: NDArray, flux: NDArray
    ) -> Self:
        """Draw it.

        Parameters
        ----------
        window : Window
        usable : (n_rows, n_columns) bool array
            Pixels that are there.
        row, column, flux : (n_stars,) arrays
            Known stars [science pixels], [e-/s], also beside the window; NaN stars are dark.
        """
        pixels = np.flatnonzero(usable)
        step = max(-(-len(pixels) // MAX_PIXELS), 1)
        pixels = pixels[::step]
        design = np.empty((len(pixels), len(USUAL_WINGS)), dtype=np.float32)
        if len(pixels) >= MIN_PIXELS:
            points = _points(window, row, column, flux).astype(np.float32)
            # In units of what is usual, so that all unknowns are about 1.
            rings = [
                (fraction * kernel).astype(np.float32)
                for fraction, kernel in zip(USUAL_WINGS, _ring_kernels(), strict=True)
            ]
            for index, light in enumerate(fft_convolutions(points, rings, "valid")):
                design[:, index] = light.ravel()[pixels]
        return cls(window, pixels, step, design)


def fit_wings(residual: NDArray, sigma: NDArray, light: RingLight) -> tuple[NDArray, float]:
    """Fit the profile of the wings and the level of the sky to the pixels of an image.

    Parameters
    ----------
    residual, sigma : (n_rows, n_columns) arrays
        Image without the cores of known stars, and its error, that of the cores
        included [e-/s]; pixels of which either is not finite do not count.
    light : RingLight

    Returns
    -------
    wing_share : (n_radii,) float64 array
        Fraction of the light per pixel at `WING_RADIUS`, not negative. What no star
        shows is that of `USUAL_WINGS`.
    sky : float
        Level of the residual without any star [e-/s]; 0 with fewer than `MIN_PIXELS` pixels.
    """
    values, error = (one.ravel()[light.pixels].astype(float) for one in (residual, sigma))
    kept = np.isfinite(values) & np.isfinite(error) & (error > 0)
    if kept.sum() * light.step < MIN_PIXELS:
        return USUAL_WINGS, 0.0
    correlated = max(CORRELATED_PIXELS / light.step, 1.0)
    weight = np.where(kept, 1 / (correlated * np.where(kept, error, 1.0) ** 2), 0.0)
    values[~kept] = 0.0
    usable, design = kept, light.design
    cell = _cells(light.window, SKY_CELL).ravel()[light.pixels]
    smooth = _SmoothPart.of(light.window, light.pixels)
    factors = np.ones(len(USUAL_WINGS))
    for _ in range(N_CLIPS):
        counted = np.where(kept, weight, 0.0)
        rough = smooth.taken_off(values, counted)
        rings_rough = np.stack([smooth.taken_off(one, counted) for one in design.T], axis=1)
        factors, sky = _solve(rings_rough, rough, counted, cell, factors)
        off = np.abs(rough - rings_rough @ factors - sky[cell]) * np.sqrt(weight)
        kept = usable & (off <= CLIP * ROUNDED_MAD_TO_SIGMA * np.median(off[kept]))
    return factors * USUAL_WINGS, float(np.median((values - design @ factors)[kept]))


@dataclass(frozen=True)
class _SmoothPart:
    """What the mesh of a background would take of an image, at some pixels.

    Attributes
    ----------
    row, column : (n_pixels,) int arrays
        Of the pixels in the window.
    cell : (n_pixels,) int array
        Number of the cell of the mesh.
    by_row, by_column : (n_rows, n_cell_rows), (n_columns, n_cell_columns) float32 arrays
        Weights of the cells at each row and column of the window.
    """

    row: NDArray
    column: NDArray
    cell: NDArray
    by_row: NDArray
    by_column: NDArray

    @classmethod
    def of(cls, window: Window, pixels: NDArray) -> Self:
        """For pixels given by their flat indices in a window."""
        by_row = _weights_of_cells(window.row0, window.row1)
        by_column = _weights_of_cells(window.column0, window.column1)
        cell = _cells(window, MESH_CELL).ravel()[pixels]
        return cls(*np.divmod(pixels, window.shape[1]), cell, by_row, by_column)

    def taken_off(self, values: NDArray, weight: NDArray) -> NDArray:
        """Values (n_pixels,) without what the means, weighted by ``weight``, see of them."""
        shape = self.by_row.shape[1], self.by_column.shape[1]
        size = shape[0] * shape[1]
        total = np.maximum(np.bincount(self.cell, weight, size), 1e-300)
        result = values
        for _ in range(N_SMOOTHED):  # the weights are not even
            means = (np.bincount(self.cell, weight * result, size) / total).reshape(shape)
            surface = self.by_row @ means.astype(np.float32) @ self.by_column.T
            result = result - surface[self.row, self.column]
        return result


def _weights_of_cells(first: int, last: int) -> NDArray:
    """The spline through a mesh's nodes from the means of its cells, (last - first, n_cells)."""
    edges = np.arange(first // MESH_CELL, (last - 1) // MESH_CELL + 2) * MESH_CELL
    edges = np.clip(edges, first, last)
    of_nodes = interpolation_matrix(edges, np.arange(first, last))
    means = np.add.reduceat(of_nodes, edges[:-1] - first, axis=0) / np.diff(edges)[:, None]
    return (of_nodes @ np.linalg.inv(means)).astype(np.float32)


def _cells(window: Window, size: int) -> NDArray:
    """Number of the cell of each pixel, (n_rows, n_columns) ints from 0; aligned with the CCD."""
    rows, columns = (
        np.arange(first, last) // size - first // size
        for first, last in ((window.row0, window.row1), (window.column0, window.column1))
    )
    return rows[:, None] * (columns[-1] + 1) + columns


def _solve(
    design: NDArray, values: NDArray, weight: NDArray, cell: NDArray, before: NDArray
) -> tuple[NDArray, NDArray]:
    """Least squares: factors of the usual wings, at least 0, and the sky of each cell.

    ``before`` are the factors as they are believed, by which they may change from radius to
    radius. The sky of a cell without pixels is 0.
    """
    n_cells = int(cell.max()) + 1
    in_cell = np.maximum(np.bincount(cell, weight, n_cells), 1e-300)
    mean = np.bincount(cell, weight * values, n_cells) / in_cell
    means = np.column_stack(
        [np.bincount(cell, weight * column, n_cells) / in_cell for column in design.T]
    )
    # The sky is free: for any wings, it is what is left in the mean of its cell.
    weighted = design * weight.astype(np.float32)[:, None]
    normal = (weighted.T @ design).astype(float) - (means.T * in_cell) @ means
    right = (weighted.T @ values).astype(float) - (means.T * in_cell) @ mean
    belief, target = _belief(before)
    upper = np.linalg.cholesky(normal + belief).T
    start = upper @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(normal + belief), right + target)
    factors, _ = scipy.optimize.nnls(upper, start)
    return factors, np.where(in_cell > 1e-300, mean - means @ factors, 0.0)


def _belief(before: NDArray) -> tuple[NDArray, NDArray]:
    """What is known of the factors of the usual wings, as normal equations."""
    n_factors = len(before)
    rows, wanted = np.eye(n_factors), np.ones(n_factors)
    for index in range(FIRST_FOLLOWER, n_factors):
        rows[index, index - 1] = -1.0
        error = FOLLOWING * max(0.5 * (before[index] + before[index - 1]), MIN_FACTOR)
        rows[index] /= error
        wanted[index] = 0.0
    return rows.T @ rows, rows.T @ wanted


def _points(window: Window, row: NDArray, column: NDArray, flux: NDArray) -> NDArray:
    """Fluxes of stars in the pixels that they stand in, with a margin of `REACH`."""
    points = np.zeros((window.shape[0] + 2 * REACH, window.shape[1] + 2 * REACH))
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(flux)
    at_row = nearest_pixel(row[known]) - window.row0 + REACH
    at_column = nearest_pixel(column[known]) - window.column0 + REACH
    inside = (at_row >= 0) & (at_row < points.shape[0])
    inside &= (at_column >= 0) & (at_column < points.shape[1])
    np.add.at(points, (at_row[inside], at_column[inside]), flux[known][inside])
    return points


def _ring_kernels() -> list[NDArray]:
    """What the fraction at each radius gives the pixels around a star.

    The fraction falls by its power from radius to radius, its factor goes over from
    one to the next linearly in the logarithm of the distance.
    """
    offsets = np.arange(-REACH, REACH + 1)
    distance = np.maximum(np.hypot(offsets[:, None], offsets), WING_RADIUS[0])
    kernels = []
    for unit, radius in zip(np.eye(len(WING_RADIUS)), WING_RADIUS, strict=True):
        factor = np.interp(np.log(distance), np.log(WING_RADIUS), unit)
        kernels.append(np.where(distance > REACH, 0.0, factor * (radius / distance) ** FALL))
    return kernels
