"""Diffuse light of full-frame images: zodiacal light, scattered light, corner glow.

The sky is what is left when stars are known: outside the star mask, the
clipped mean of each cell of a mesh is taken, and the background is the smooth
surface (a bicubic spline with its nodes at the centres of the cells) whose
own means over the cells are these: `tessphot_lib.core.mesh` evaluates it. Clipping
in the cells of a mesh and a bicubic spline between them are the way of SExtractor
(Bertin & Arnouts 1996, A&AS 117, 393).

photutils' ``Background2D`` does much the same, and the tests compare with it.
It is not used here because it took 4.2 probes for a full image where
`fit_background` took 0.8 in the same run (see ``benchmarks/README.md``), and
because its mesh is not made to keep the means of the cells, nor to be taken
apart into nodes that can be smoothed in time.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.mesh import Mesh, interpolation_matrix

CLIP = (3.0, 3.0)  # [sigma] below and above: pixels outside are not sky
# With known stars' wings taken off first, the light of unknown stars can be kept: it belongs to
# the background, which is what all other stars stand on.
WIDE_CLIP = (3.0, 5.0)
N_CLIPS = 3
MIN_SHARE = 0.01  # of a cell's pixels must be free of stars, at least MIN_PIXELS
MIN_PIXELS = 12
MIN_CELLS = 3  # along each axis, for a cell to be compared with its neighbors
MAX_PIXELS = 1400  # of a cell are used; more do not make its mean better than the confusion
STANDS_OUT = 3.0  # times the scatter of its neighbors: a cell that is brighter and more uneven
ALIKE, ALIKE_SHARE = 0.3, 0.001  # [e-/s/pixel], of the level: rms difference of alike skies


@dataclass(frozen=True)
class SkySampler:
    """The pixels of the cells that show sky, chosen once for all images.

    Attributes
    ----------
    mesh : Mesh
    pixels : (n_cells, n_used) int32 array
        Flat indices into an image of the window; cells with fewer free pixels
        repeat index 0, see ``counts``.
    counts : (n_cells,) int array
        Number of pixels of each cell that count; 0 where a cell is all stars.
    row_offset, column_offset : (n_cells,) float arrays
        Mean position of these pixels relative to the centre of the cell [pixels].
    needed : (n_cells,) int array
        Pixels of each cell that an image must have for a level.
    """

    mesh: Mesh
    pixels: NDArray
    counts: NDArray
    row_offset: NDArray
    column_offset: NDArray
    needed: NDArray
    _padding: NDArray = field(repr=False)

    @classmethod
    def from_mask(
        cls, mesh: Mesh, mask: NDArray, *, needed: NDArray | int = MIN_PIXELS
    ) -> "SkySampler":
        """Choose the pixels outside ``mask`` (True: star), evenly, at most ``MAX_PIXELS`` each.

        ``needed`` (n_cells,) int: see `SkySampler`.
        """
        if mask.shape != mesh.window.shape:
            raise ValueError(f"mask is {mask.shape}, the window {mesh.window.shape}")
        chosen = []
        cells = _cells(mesh)
        needed = np.broadcast_to(needed, len(cells))
        for (rows, columns), minimum in zip(cells, needed, strict=True):
            free = np.flatnonzero(~mask[rows, columns])
            size = (rows.stop - rows.start) * (columns.stop - columns.start)
            if free.size < max(minimum, MIN_SHARE * size):
                free = free[:0]
            if free.size > MAX_PIXELS:
                free = free[np.linspace(0, free.size - 1, MAX_PIXELS).astype(int)]
            row, column = np.divmod(free, columns.stop - columns.start)
            chosen.append((row + rows.start, column + columns.start))
        counts = np.array([len(row) for row, _ in chosen])
        pixels = np.zeros((len(chosen), max(counts.max(), 1)), dtype=np.int32)
        row_offset, column_offset = np.zeros(len(chosen)), np.zeros(len(chosen))
        for index, ((row, column), (rows, columns)) in enumerate(zip(chosen, cells, strict=True)):
            pixels[index, : len(row)] = row * mesh.window.shape[1] + column
            if len(row):
                row_offset[index] = row.mean() - 0.5 * (rows.start + rows.stop - 1)
                column_offset[index] = column.mean() - 0.5 * (columns.start + columns.stop - 1)
        padding = np.arange(pixels.shape[1]) >= counts[:, np.newaxis]
        return cls(mesh, pixels, counts, row_offset, column_offset, needed, padding)


def fit_background(image: NDArray, sampler: SkySampler) -> tuple[NDArray, NDArray]:
    """Fit the diffuse light of one image.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Calibrated image [e-/s per pixel]; NaN pixels are ignored.
    sampler : SkySampler
        Where the sky is to be seen.

    Returns
    -------
    model : (n_cell_rows, n_cell_columns) float64 array
        Nodes of the background, see `evaluate_background`; all NaN where no
        cell shows any sky.
    error : (n_cell_rows, n_cell_columns) float64 array
        1-sigma error of the cells' means from the scatter of their pixels; a
        cell without sky has the largest of the others.
    """
    level, error = clipped_cell_means(image, sampler, CLIP)
    shape = sampler.mesh.shape
    level, error = level.reshape(shape), error.reshape(shape)
    if not np.isfinite(level).any():
        return np.full(shape, np.nan), np.full(shape, np.nan)
    error = np.where(np.isfinite(error), error, np.nanmax(error))
    scatter = error * np.sqrt(np.maximum(sampler.counts, 1)).reshape(shape)
    level = _without_patches(filled(level), scatter)
    return nodes_of_means(level - _gradient_correction(level, sampler), sampler.mesh), error


def _cells(mesh: Mesh) -> list[tuple[slice, slice]]:
    """Slices of all cells into an image of the window, row by row."""
    rows = mesh.row_edges - mesh.window.row0
    columns = mesh.column_edges - mesh.window.column0
    return [
        (slice(row0, row1), slice(column0, column1))
        for row0, row1 in pairwise(rows)
        for column0, column1 in pairwise(columns)
    ]


def clipped_cell_means(
    image: NDArray, sampler: SkySampler, clip: tuple[float, float]
) -> tuple[NDArray, NDArray]:
    """Clipped mean of the sky pixels of each cell, and its error; NaN where there are too few."""
    clip_low, clip_high = clip
    values = image.ravel()[sampler.pixels].astype(np.float32, copy=False)
    values[sampler._padding] = np.nan
    values.sort(axis=1)  # NaN last
    n_finite = np.isfinite(values).sum(axis=1)
    used = n_finite >= sampler.needed
    level, error = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if not used.any():
        return level, error
    values, n_finite = values[used], n_finite[used]
    reference = _at_quantile(values, n_finite, 0.5)
    shifted = np.nan_to_num(values - reference[:, np.newaxis], nan=0.0).astype(np.float64)
    cumulative = np.concatenate([np.zeros((len(values), 1)), np.cumsum(shifted, axis=1)], axis=1)
    low, high = np.zeros(len(values), dtype=int), n_finite.copy()
    everywhere = np.arange(len(values))
    for _ in range(N_CLIPS):
        middle = _at_index(values, (low + high) // 2)
        sigma = middle - _at_index(values, low + ((high - low) * 0.1587).astype(int))
        low = _count_below(values, middle - clip_low * sigma)
        high = np.minimum(
            _count_below(values, middle + clip_high * sigma, inclusive=True), n_finite
        )
        high = np.maximum(high, low + 1)
    count = high - low
    mean = (cumulative[everywhere, high] - cumulative[everywhere, low]) / count
    level[used] = reference + mean
    error[used] = np.maximum(sigma, 0) / np.sqrt(count)
    return level, error


def _at_index(values: NDArray, index: NDArray) -> NDArray:
    """Element ``index[i]`` of each row, as float64."""
    return values[np.arange(len(values)), index].astype(np.float64)


def _at_quantile(values: NDArray, n_finite: NDArray, quantile: float) -> NDArray:
    """Quantile of each sorted row among its finite values."""
    return _at_index(values, ((n_finite - 1) * quantile).astype(int))


def _count_below(values: NDArray, limit: NDArray, *, inclusive: bool = False) -> NDArray:
    """Number of elements of each row below (or up to) a limit; NaN is not below."""
    limit = limit[:, np.newaxis].astype(np.float32)
    return (values <= limit if inclusive else values < limit).sum(axis=1)


def filled(level: NDArray) -> NDArray:
    """Give cells without sky the mean of their neighbors, again and again until all have one."""
    level = level.copy()
    while np.isnan(level).any():
        padded = np.pad(level, 1, constant_values=np.nan)
        neighbors = np.stack(
            [
                padded[
                    1 + d_row : padded.shape[0] - 1 + d_row, 1 + d_col : padded.shape[1] - 1 + d_col
                ]
                for d_row in (-1, 0, 1)
                for d_col in (-1, 0, 1)
            ]
        )
        known = np.isfinite(neighbors)
        count = known.sum(axis=0)
        total = np.where(known, neighbors, 0.0).sum(axis=0)
        new = np.isnan(level) & (count > 0)
        level[new] = total[new] / count[new]
    return level


def _without_patches(level: NDArray, scatter: NDArray) -> NDArray:
    """Give cells in which more is lit than dark the level that their neighbors have there.

    Where stars leave little sky, a reflection or the like may lie on most of it: no
    clipping finds it then, but such a cell is uneven, and brighter than those around it.
    """
    if min(level.shape) < MIN_CELLS:
        return level
    # Beyond the edges the level goes on as it came, so that each cell has neighbors on all sides.
    padded = np.pad(level, 1, mode="reflect", reflect_type="odd")
    n_rows, n_columns = level.shape
    between = [
        0.5
        * (
            padded[1 + d_row : 1 + d_row + n_rows, 1 + d_column : 1 + d_column + n_columns]
            + padded[1 - d_row : 1 - d_row + n_rows, 1 - d_column : 1 - d_column + n_columns]
        )
        for d_row, d_column in ((0, 1), (1, 0), (1, 1), (1, -1))
    ]
    expected = np.median(between, axis=0)
    usual = STANDS_OUT * scipy.ndimage.median_filter(scatter, size=3, mode="nearest")
    return np.where((scatter > usual) & (level - expected > usual), expected, level)


def _gradient_correction(level: NDArray, sampler: SkySampler) -> NDArray:
    """What the cells' means differ from their values at the centre, their pixels lying aside."""
    correction = np.zeros_like(level)
    for axis, edges, offset in (
        (0, sampler.mesh.row_edges, sampler.row_offset),
        (1, sampler.mesh.column_edges, sampler.column_offset),
    ):
        if level.shape[axis] > 1:
            centres = 0.5 * (edges[:-1] + edges[1:] - 1)
            correction += np.gradient(level, centres, axis=axis) * offset.reshape(level.shape)
    return correction


def nodes_of_means(level: NDArray, mesh: Mesh) -> NDArray:
    """Nodes of the surface that has given means over the cells."""
    to_row, to_column = (_cell_mean_matrix(edges) for edges in (mesh.row_edges, mesh.column_edges))
    return np.linalg.solve(to_column, np.linalg.solve(to_row, level).T).T


def _cell_mean_matrix(edges: NDArray) -> NDArray:
    """Matrix from node values to the means of the spline over the cells, (n_cells, n_cells)."""
    at_pixels = interpolation_matrix(edges, np.arange(edges[0], edges[-1]))
    return np.add.reduceat(at_pixels, edges[:-1] - edges[0], axis=0) / np.diff(edges)[:, np.newaxis]
