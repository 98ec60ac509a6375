"""Evaluating the pixel response function: the light of stars in pixels.

A `tessphot_lib.core.prf_model.Prf` says which fraction of a star's light falls into a
pixel. Here it is evaluated for many stars at once, with its derivatives by
the star's position, from which the effect of the image motion follows.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.prf_model import Prf

NOT_A_KNOT_NODES = 4  # with fewer nodes the spline between them has natural ends
REACH = 64  # [pixels] beyond which wings are not counted
SPLINE_REACH = 2  # cubic B-splines reach as far [spacings]
AT_ONCE = 4_000_000  # numbers in the largest array that is made at once
MIDDLE = (3.0, 7.0)  # [pixels] radii between which the middle of a PRF goes over to the rest
SAMPLES_ERROR = 0.003  # of a star's light in a pixel, that PRFs from files may be wrong
DERIVATIVES = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))  # orders by row and column


def prf_stamps(
    prf: Prf,
    row: NDArray,
    column: NDArray,
    first_row: NDArray,
    first_column: NDArray,
    shape: tuple[int, int],
    *,
    d_row: int = 0,
    d_column: int = 0,
    shape_row: NDArray | None = None,
    shape_column: NDArray | None = None,
    with_wing: bool = True,
) -> NDArray:
    """Evaluate the PRF of stars, each in a stamp of its own.

    Parameters
    ----------
    prf : Prf
    row, column : (n,) arrays
        Positions of the stars [science pixels].
    first_row, first_column : (n,) int arrays
        First pixel of each stamp.
    shape : (n_rows, n_columns)
        Of all stamps.
    d_row, d_column : int
        Order of the derivative by the star's row and column, 0 to 2.
    shape_row, shape_column : (n,) arrays, optional
        Where on the CCD the form of the PRF is taken from, if not at the stars.
    with_wing : bool
        Whether the wing is added to the core.

    Returns
    -------
    (n, n_rows, n_columns) float64 array
        Fraction of the star's light per pixel [per pixel**order of the derivative].
    """
    shape_at = None if shape_row is None else (shape_row, shape_column)
    orders = ((d_row, d_column),)
    first = first_row, first_column
    return prf_derivatives(
        prf, row, column, *first, shape, orders=orders, shape_at=shape_at, with_wing=with_wing
    )[0]


def prf_derivatives(
    prf: Prf,
    row: NDArray,
    column: NDArray,
    first_row: NDArray,
    first_column: NDArray,
    shape: tuple[int, int],
    *,
    orders: Sequence[tuple[int, int]] = DERIVATIVES,
    shape_at: tuple[NDArray, NDArray] | None = None,
    with_wing: bool = True,
) -> NDArray:
    """Evaluate several derivatives of `prf_stamps` at once.

    ``orders`` holds the orders of each by the star's row and column, ``shape_at``
    the rows and columns that the form of the PRF is taken from.

    Returns
    -------
    (n_orders, n, n_rows, n_columns) float64 array
    """
    row, column = np.asarray(row, dtype=float), np.asarray(column, dtype=float)
    at_row, at_column = (row, column) if shape_at is None else shape_at
    result = np.empty((len(orders), len(row), *shape))
    if len(row) == 0:
        return result
    prf = _within(
        prf, _farthest(row, first_row, shape[0]), _farthest(column, first_column, shape[1])
    )
    n_splines = prf.coefficients.shape[2]
    step = max(1, AT_ONCE // max(n_splines**2, shape[0] * shape[1]))
    for first in range(0, len(row), step):
        part = slice(first, first + step)
        down = np.asarray(first_row)[part, None] + np.arange(shape[0]) - row[part, None]
        along = np.asarray(first_column)[part, None] + np.arange(shape[1]) - column[part, None]
        surface = coefficients_at(prf, np.asarray(at_row)[part], np.asarray(at_column)[part])
        by_row = {
            order: spline_matrix(down, n_splines, prf.spacing, order) @ surface
            for order in {order for order, _ in orders}
        }
        by_column = {
            order: spline_matrix(along, n_splines, prf.spacing, order).swapaxes(1, 2)
            for order in {order for _, order in orders}
        }
        for values, (d_row, d_column) in zip(result, orders, strict=True):
            # The star's position enters with the opposite sign.
            values[part] = (-1) ** (d_row + d_column) * (by_row[d_row] @ by_column[d_column])
            if with_wing:
                values[part] += _wing(prf, down, along, d_row, d_column)
    return result


def _farthest(position: NDArray, first: NDArray, size: int) -> float:
    """Largest distance along an axis of any star from a pixel of its stamp."""
    before = position - np.asarray(first)
    return float(np.nanmax(np.maximum(np.abs(before), np.abs(size - 1 - before)), initial=0.0))


def _within(prf: Prf, by_row: float, by_column: float) -> Prf:
    """The same PRF without the splines that reach no pixel so near the star."""
    n_splines = prf.coefficients.shape[2]
    reach = int(np.ceil(max(by_row, by_column) / prf.spacing)) + SPLINE_REACH
    cut = n_splines // 2 - reach
    if cut <= 0:
        return prf
    kept = slice(cut, n_splines - cut)
    return replace(prf, coefficients=prf.coefficients[:, :, kept, kept])


def coefficients_at(prf: Prf, row: NDArray, column: NDArray) -> NDArray:
    """Interpolate the spline coefficients to positions on the CCD, (n, n_splines, n_splines)."""
    n_rows, n_columns, size, _ = prf.coefficients.shape
    by_row = field_weights(prf.node_row, row, prf.interpolation)
    by_column = field_weights(prf.node_column, column, prf.interpolation)
    weights = (by_row[:, :, None] * by_column[:, None, :]).reshape(len(by_row), -1)
    flat = prf.coefficients.reshape(n_rows * n_columns, size * size)
    return (weights @ flat).reshape(-1, size, size)


def field_weights(nodes: NDArray, position: NDArray, interpolation: str) -> NDArray:
    """Weights of the nodes at positions, (n, n_nodes); beyond the outer nodes as at them."""
    position = np.clip(np.asarray(position, dtype=float), nodes[0], nodes[-1])
    if len(nodes) == 1:
        return np.ones((len(position), 1))
    if interpolation == "linear":
        return np.column_stack([np.interp(position, nodes, unit) for unit in np.eye(len(nodes))])
    return _node_splines(np.ascontiguousarray(nodes, dtype=float).tobytes())(position)


@lru_cache(maxsize=16)
def _node_splines(nodes_bytes: bytes) -> "scipy.interpolate.CubicSpline":
    """Make the splines of all nodes, from the bytes of float64 nodes: a CCD has the same ones."""
    nodes = np.frombuffer(nodes_bytes)
    ends = "not-a-knot" if len(nodes) >= NOT_A_KNOT_NODES else "natural"
    return scipy.interpolate.CubicSpline(nodes, np.eye(len(nodes)), bc_type=ends, axis=0)


def spline_matrix(offset: NDArray, n_splines: int, spacing: float, derivative: int = 0) -> NDArray:
    """Evaluate cubic B-splines on a regular grid about zero.

    Parameters
    ----------
    offset : (...) array
        Where [pixels].
    n_splines : int
        How many; the middle one is centred on zero. Odd.
    spacing : float
        Distance of their centres [pixels].
    derivative : {0, 1, 2}
        By ``offset``.

    Returns
    -------
    (..., n_splines) float64 array
        The splines sum to 1 well inside the grid; they are zero far outside.
    """
    scaled = np.asarray(offset, dtype=float) / spacing + n_splines // 2
    cell = np.floor(scaled)
    pieces = _pieces(scaled - cell, derivative)
    # Four splines more on each side, cut off afterwards, catch what falls beside the grid.
    width = n_splines + 8
    padded = np.zeros((*scaled.shape, width))
    first = np.minimum(np.maximum(cell + 3, 0), n_splines + 4).astype(np.int64).ravel()
    first += np.arange(0, first.size * width, width)
    flat = padded.reshape(-1)
    for step, values in enumerate(pieces):
        flat[first + step] = values.ravel() / spacing**derivative
    return padded[..., 4:-4]


def total_light(prf: Prf) -> NDArray:
    """Sum over all pixels at each node, (n_node_rows, n_node_columns): 1 if normalized."""
    offsets = np.arange(-REACH, REACH + 1)
    wings = _wing_shape(prf, np.hypot(offsets[:, None], offsets)).sum()
    # A B-spline has the integral of its spacing; its sum over pixels is nearly the same.
    return prf.coefficients.sum(axis=(2, 3)) * prf.spacing**2 + wings


def prf_from_samples(
    row: NDArray, column: NDArray, samples: NDArray, per_pixel: int, *, source: str
) -> Prf:
    """Make a PRF that goes through samples, bilinear between the positions they are from.

    Parameters
    ----------
    row, column : (n_rows,), (n_columns,) arrays
        Positions [science pixels].
    samples : (n_rows, n_columns, n, n) array
        By the distance of the pixel from the star; n is odd, the middle is the star.
    per_pixel : int
        Samples per pixel.
    source : str
        Where they are from.
    """
    coefficients = scipy.ndimage.spline_filter1d(
        scipy.ndimage.spline_filter1d(samples, order=3, axis=2, mode="grid-constant"),
        order=3,
        axis=3,
        mode="grid-constant",
    )
    side = 2 * (samples.shape[2] // (2 * per_pixel)) + 1
    prf = Prf(
        node_row=row,
        node_column=column,
        coefficients=coefficients,
        spacing=1 / per_pixel,
        interpolation="linear",
        wing_radius=np.zeros(0),
        wing_share=np.zeros(0),
        error=np.full((side, side), SAMPLES_ERROR),
        zeropoint=TMAG_ZEROPOINT,
        source=source,
    )
    return evenly_normalized(prf)


def evenly_normalized(prf: Prf) -> Prf:
    """Scale the core so that a star's light sums to 1 at all nodes and all phases of the pixels.

    Splines that lie a whole number of pixels apart see the same phase: the sum
    over pixels is the same at all phases if it is so for each of these sets. The
    bright middle and what is around it are made even each by itself: the sum of
    many faint pixels is not known well enough at each phase to be made up for by
    the middle, whose light would seem to change when a star moves.
    """
    n_phases = round(1 / prf.spacing)
    core = prf.coefficients.sum(axis=(2, 3)) * prf.spacing**2
    wanted = (1 - (total_light(prf) - core)) / (prf.spacing * n_phases) ** 2
    middle = _middle(prf)
    inner, outer = prf.coefficients * middle, prf.coefficients * (1 - middle)
    steps = [slice(first, None, n_phases) for first in range(n_phases)]
    phases = [(slice(None), slice(None), row, column) for row in steps for column in steps]
    mean_inner, mean_outer = (
        np.mean([part[one].sum(axis=(2, 3)) for one in phases], axis=0) for part in (inner, outer)
    )
    scale = wanted / (mean_inner + mean_outer)
    coefficients = np.empty_like(prf.coefficients)
    for one in phases:
        factor = scale * mean_inner / inner[one].sum(axis=(2, 3))
        lacking = scale * mean_outer - outer[one].sum(axis=(2, 3))
        size = np.abs(outer[one])  # faint pixels may be negative, and their sum zero
        fraction = size / np.maximum(size.sum(axis=(2, 3), keepdims=True), 1e-300)
        coefficients[one] = inner[one] * factor[:, :, None, None] + outer[one]
        coefficients[one] += lacking[:, :, None, None] * fraction
    return replace(prf, coefficients=coefficients)


def _middle(prf: Prf) -> NDArray:
    """Weight of the splines in the middle of a PRF, (n, n).

    It falls smoothly, so that no phase of the pixels is cut otherwise than others.
    """
    offset = prf.spacing * (np.arange(prf.coefficients.shape[2]) - prf.coefficients.shape[2] // 2)
    inner, outer = MIDDLE
    beyond = (np.hypot(offset[:, None], offset) - inner) / (outer - inner)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(beyond, 0, 1))


def _pieces(t: NDArray, derivative: int) -> tuple[NDArray, ...]:
    """The four cubic B-splines that are not zero at a position t of 0..1 in a cell."""
    if derivative == 0:
        s = 1 - t
        return (
            s**3 / 6,
            (4 - 6 * t**2 + 3 * t**3) / 6,
            (4 - 6 * s**2 + 3 * s**3) / 6,
            t**3 / 6,
        )
    if derivative == 1:
        s = 1 - t
        return (-(s**2) / 2, (-4 * t + 3 * t**2) / 2, (4 * s - 3 * s**2) / 2, t**2 / 2)
    return (1 - t, 3 * t - 2, 1 - 3 * t, t)


def _wing(prf: Prf, down: NDArray, along: NDArray, d_row: int, d_column: int) -> NDArray:
    """The wing in stamps, (n, n_rows, n_columns), or its derivative by the star's position."""
    if len(prf.wing_share) == 0 or d_row + d_column > 1:
        return np.zeros((len(down), down.shape[1], along.shape[1]))
    squared = down[:, :, None] ** 2 + along[:, None, :] ** 2
    grid, values, slopes = _wing_table(
        tuple(prf.wing_radius.tolist()), tuple(prf.wing_share.tolist())
    )
    if d_row + d_column == 0:
        return np.interp(squared, grid, values)
    # By the squared distance, so that nothing is divided by a distance of zero.
    slope = np.interp(squared, grid, slopes)
    return -2 * slope * (down[:, :, None] if d_row else along[:, None, :])


@cache
def _wing_table(
    radius: tuple[float, ...], fraction: tuple[float, ...]
) -> tuple[NDArray, NDArray, NDArray]:
    """Squared distances, the wing there, and its slope by the squared distance."""
    grid = np.linspace(0, 2 * REACH, 4096) ** 2
    values = wing_values(np.array(radius), np.array(fraction), np.sqrt(grid))
    return grid, values, np.gradient(values, grid)


def _wing_shape(prf: Prf, distance: NDArray) -> NDArray:
    """Wing by distance; zero without one."""
    if len(prf.wing_share) == 0:
        return np.zeros(distance.shape)
    return wing_values(prf.wing_radius, prf.wing_share, distance)


def wing_values(radius: NDArray, fraction: NDArray, distance: NDArray) -> NDArray:
    """Fraction of a star's light in a pixel of the wing, by its distance [pixels].

    Interpolated in logarithms between rings of ``radius`` and ``fraction`` (n_rings,), constant
    inside, falling with the cube of the distance outside.
    """
    logarithm = np.log(np.maximum(fraction, 1e-12))
    inner = np.exp(np.interp(np.log(np.maximum(distance, 1e-3)), np.log(radius), logarithm))
    outer = fraction[-1] * (radius[-1] / np.maximum(distance, radius[-1])) ** 3
    result = np.where(distance > radius[-1], outer, inner)
    return np.where(distance > REACH, 0.0, result)
