"""A smooth background on a mesh of cells: what it is kept as, and how it is evaluated.

A model is a mesh of nodes at the centres of the cells, (n_cell_rows,
n_cell_columns), and the bicubic spline through them. Evaluating it is two
small matrix products, so it is kept small on disk and evaluated where it is
needed.

Cells lie on a fixed grid over the science pixels of the CCD, whatever the
window; those at the edge of a window are narrower.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.geometry import Window

NOT_A_KNOT_CELLS = 4  # with fewer the spline's ends are natural
MAX_MATRICES = 64  # that are kept: at most 0.5 MB each


@dataclass(frozen=True)
class Mesh:
    """The cells that a window is divided into.

    A `tessphot_lib.core.background_grid.BackgroundGrid`.

    Attributes
    ----------
    window : Window
    row_edges, column_edges : (n + 1,) int arrays
        Borders of the cells [science pixels].
    straps : (n_columns,) float array, or None
        By what fraction each column of the window sees more of the light than its
        neighbors, see `tessphot_lib.background.straps`; None: all alike.
    static_light : (n_rows, n_columns) array, or None
        What all backgrounds have over the smooth surface in each pixel of the window, see
        `tessphot_lib.background.static_light` [e-/s per pixel]; None: nothing.
    """

    kind: ClassVar[str] = "mesh"
    is_continuous: ClassVar[bool] = True

    window: Window
    row_edges: NDArray
    column_edges: NDArray
    straps: NDArray | None = None
    static_light: NDArray | None = None

    @classmethod
    def over(cls, window: Window, box_size: int) -> Self:
        """Divide a window into cells of ``box_size``, aligned with the CCD."""
        return cls(
            window,
            _edges(window.row0, window.row1, box_size),
            _edges(window.column0, window.column1, box_size),
        )

    @classmethod
    def from_arrays(cls, window: Window, arrays: dict[str, NDArray]) -> Self:
        """Build from what `arrays` returns, as files keep it."""
        names = "row_edges", "column_edges"
        more = (arrays.get(name) for name in ("straps", "static_light"))
        return cls(window, *(arrays[name] for name in names), *more)

    @property
    def windows(self) -> list[Window]:
        """The window: all of it is one part."""
        return [self.window]

    @property
    def shape(self) -> tuple[int, int]:
        """(number of cell rows, number of cell columns)."""
        return len(self.row_edges) - 1, len(self.column_edges) - 1

    def response(self, column: NDArray) -> NDArray | float:
        """Fraction of the light that columns (n,) see: 1 where there is no strap."""
        if self.straps is None:
            return 1.0
        index = np.round(np.asarray(column)).astype(int) - self.window.column0
        return 1.0 + self.straps[np.clip(index, 0, len(self.straps) - 1)]

    def evaluate(self, model: NDArray, region: Window) -> NDArray:
        """Evaluate models in a region: `evaluate_background`, and the static light."""
        smooth = evaluate_background(model, self, region)
        if self.static_light is not None:
            smooth += self.static_light[region.slices_in(self.window)]
        return smooth

    def evaluate_pixels(self, model: NDArray, region: Window, used: NDArray) -> NDArray:
        """Evaluate models at some pixels of a region, (n, n_images)."""
        whole = self.evaluate(model, region)
        return whole.reshape(len(whole), region.shape[0] * region.shape[1]).T[used]

    def displaced(self, whole: tuple[int, int]) -> Self:
        """Return it for images that are read from ``whole`` rows and columns away.

        Sky and straps stay on the detector, static light moves with the stars.
        """
        if not any(whole):
            return self
        straps = self.straps
        if straps is not None:
            at = np.clip(np.arange(len(straps)) + whole[1], 0, len(straps) - 1)
            straps = straps[at]
        edges = self.row_edges - whole[0], self.column_edges - whole[1]
        return replace(self, row_edges=edges[0], column_edges=edges[1], straps=straps)

    def nodes_moved(self, model: NDArray, by: tuple[int, int]) -> NDArray:
        """Nodes (n_cell_rows, n_cell_columns) of what a model is ``by`` pixels farther on."""
        if not any(by):
            return model
        rows, columns = (
            interpolation_matrix(edges, 0.5 * (edges[:-1] + edges[1:] - 1) + step)
            for edges, step in zip((self.row_edges, self.column_edges), by, strict=True)
        )
        moved: NDArray = rows @ model @ columns.T
        return moved

    def without_static(self) -> Self:
        """Return it without static light: for differences of models, in which there is none."""
        return replace(self, static_light=None)

    def evaluate_at(self, model: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Evaluate models at positions: `evaluate_background_at`, and the static light."""
        smooth = evaluate_background_at(model, self, row, column)
        if self.static_light is not None:
            at = np.asarray(row) - self.window.row0, np.asarray(column) - self.window.column0
            smooth += scipy.ndimage.map_coordinates(self.static_light, at, order=1, mode="nearest")
        return smooth

    def error_at(self, error: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Errors (n_images, n_cell_rows, n_cell_columns) at positions, (n_images, n)."""
        # Straight lines between the nodes: next to a cell without sky a spline would overshoot.
        at = []
        for position, edges in ((row, self.row_edges), (column, self.column_edges)):
            centers = 0.5 * (edges[:-1] + edges[1:] - 1)
            at.append(np.interp(position, centers, np.arange(len(centers))))
        smooth = [scipy.ndimage.map_coordinates(one, at, order=1, mode="nearest") for one in error]
        return np.array(smooth).reshape(len(error), len(at[0])) * self.response(column)

    def part_at(self, row: NDArray, column: NDArray) -> NDArray:
        """Return 0 for positions on a pixel of the window, -1 for others; (n,) int."""
        with np.errstate(invalid="ignore"):
            return np.where(self.window.contains(row, column), 0, -1)

    def cells_at(self, row: NDArray, column: NDArray, side: int) -> list[tuple[Window, NDArray]]:
        """Squares of ``side`` pixels, each with the indices of the positions in it."""
        window = self.window
        pixel = [
            np.clip(np.floor(position + 0.5).astype(int), first, last - 1)
            for position, first, last in (
                (row, window.row0, window.row1),
                (column, window.column0, window.column1),
            )
        ]
        index = np.stack(pixel) // side
        cells = []
        for cell_row, cell_column in sorted(set(zip(*index.tolist(), strict=True))):
            inside = (index[0] == cell_row) & (index[1] == cell_column)
            row0, column0 = cell_row * side, cell_column * side
            row1, column1 = min(row0 + side, SCIENCE_ROWS), min(column0 + side, SCIENCE_COLUMNS)
            cells.append((Window(row0, row1, column0, column1), np.flatnonzero(inside)))
        return cells

    def read_together(self, region: Window | None) -> list[Window]:
        """Return the region, as it is all about one background."""
        return [] if region is None else [region]

    def levels(self, model: NDArray) -> NDArray:
        """Return the nodes, (n_images, n_cell_rows, n_cell_columns)."""
        return model

    def raised(self, model: NDArray, levels: NDArray) -> NDArray:
        """Models with a constant (1,) added."""
        return model + np.asarray(levels, dtype=model.dtype)[0]

    def groups_of_images(self, model: NDArray) -> list[slice | NDArray]:
        """One group: an image has a background everywhere or nowhere."""
        return [slice(None)]

    def parts_in(self, region: Window) -> slice | NDArray:
        """All nodes: a surface through them is evaluated everywhere."""
        return slice(None)

    def arrays(self) -> dict[str, NDArray]:
        """Return ``row_edges``, ``column_edges`` and, if there are any, the others."""
        found = {"row_edges": self.row_edges, "column_edges": self.column_edges}
        more = {"straps": self.straps, "static_light": self.static_light}
        return found | {name: values for name, values in more.items() if values is not None}


def evaluate_background(model: NDArray, mesh: Mesh, region: Window) -> NDArray:
    """Evaluate the background of one or many images in a region.

    Parameters
    ----------
    model : (..., n_cell_rows, n_cell_columns) array
        From `fit_background`, of any number of images.
    mesh : Mesh
        The cells it was fitted on.
    region : Window
        Where to evaluate; must lie in the mesh's window.

    Returns
    -------
    (..., n_rows, n_columns) float64 array
        Background [e-/s per pixel]; NaN where the model is NaN.
    """
    column = np.arange(region.column0, region.column1)
    rows = interpolation_matrix(mesh.row_edges, np.arange(region.row0, region.row1))
    columns = interpolation_matrix(mesh.column_edges, column)
    smooth = rows @ np.asarray(model, dtype=float) @ columns.T
    if mesh.straps is not None:
        smooth *= mesh.response(column)
    return smooth


def evaluate_background_image(model: NDArray, mesh: Mesh, region: Window | None = None) -> NDArray:
    """Evaluate the background of one image in single precision, which is four times as fast.

    Parameters
    ----------
    model : (n_cell_rows, n_cell_columns) array
    mesh : Mesh
    region : Window, optional
        Where to evaluate, by default in all of the mesh's window.

    Returns
    -------
    (n_rows, n_columns) float32 array
        Background [e-/s per pixel]; NaN where the model is NaN.
    """
    region = mesh.window if region is None else region
    column = np.arange(region.column0, region.column1)
    rows = interpolation_matrix(mesh.row_edges, np.arange(region.row0, region.row1))
    columns = interpolation_matrix(mesh.column_edges, column).T * mesh.response(column)
    return (rows @ model).astype(np.float32) @ columns.astype(np.float32)


def evaluate_background_at(model: NDArray, mesh: Mesh, row: NDArray, column: NDArray) -> NDArray:
    """Evaluate the background of many images at some positions.

    Parameters
    ----------
    model : (n_images, n_cell_rows, n_cell_columns) array
    mesh : Mesh
    row, column : (n,) arrays
        Positions [science pixels].

    Returns
    -------
    (n_images, n) float64 array
        [e-/s per pixel].
    """
    rows = interpolation_matrix(mesh.row_edges, row)
    columns = interpolation_matrix(mesh.column_edges, column)
    smooth = np.einsum(
        "pr,krc,pc->kp", rows, np.asarray(model, dtype=float), columns, optimize=True
    )
    return smooth * mesh.response(column)


def interpolation_matrix(edges: NDArray, position: NDArray) -> NDArray:
    """Matrix that turns node values at cell centres into values at positions.

    Parameters
    ----------
    edges : (n_cells + 1,) array
        Borders of the cells; the pixels of cell i are edges[i] to edges[i+1] - 1.
    position : (n,) array
        Where to evaluate [pixels]; beyond the outer nodes the spline goes on
        as the straight line of its end.

    Returns
    -------
    (n, n_cells) float64 array
        Not to be written to: equal arguments give the same array.
    """
    numbers = (np.ascontiguousarray(one, dtype=float).tobytes() for one in (edges, position))
    return _interpolation_matrix(*numbers)


@lru_cache(maxsize=MAX_MATRICES)
def _interpolation_matrix(edges_bytes: bytes, position_bytes: bytes) -> NDArray:
    """Make the matrix, from the bytes of float64 arrays: many images have the same."""
    edges, position = np.frombuffer(edges_bytes), np.frombuffer(position_bytes)
    centres = 0.5 * (edges[:-1] + edges[1:] - 1)
    n_cells = len(centres)
    if n_cells == 1:
        return _read_only(np.ones((len(position), 1)))
    # Not natural: the corner glow is steepest at the edge, where its curvature is not zero.
    ends = "not-a-knot" if n_cells >= NOT_A_KNOT_CELLS else "natural"
    spline = scipy.interpolate.CubicSpline(centres, np.eye(n_cells), bc_type=ends, axis=0)
    inside = np.clip(position, centres[0], centres[-1])
    beyond = (position - inside)[:, np.newaxis]
    return _read_only(spline(inside) + beyond * spline(inside, 1))


def _read_only(matrix: NDArray) -> NDArray:
    matrix.flags.writeable = False
    return matrix


def _edges(first: int, last: int, box_size: int) -> NDArray:
    """Borders of cells aligned with the CCD; a sliver at the end joins its neighbor."""
    inner = np.arange(-(-first // box_size) * box_size, last + 1, box_size)
    edges = np.unique(np.concatenate([[first], inner[(inner > first) & (inner < last)], [last]]))
    if len(edges) > 2 and edges[1] - edges[0] < box_size // 2:
        edges = np.delete(edges, 1)
    if len(edges) > 2 and edges[-1] - edges[-2] < box_size // 2:
        edges = np.delete(edges, -2)
    return edges
