"""Square bins of some pixels: what is wider than a star shows in them, with little noise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh, interpolation_matrix

BIN_SIDE = 4  # [pixels]


@dataclass(frozen=True)
class Bins:
    """The bins of a window; they are aligned with the CCD, those at edges may be narrower.

    Attributes
    ----------
    window : Window
    row_edges, column_edges : (n + 1,) int arrays
        Borders of the bins [science pixels].
    """

    window: Window
    row_edges: NDArray
    column_edges: NDArray

    @classmethod
    def over(cls, window: Window) -> Self:
        """Divide a window."""
        return cls(window, _edges(window.row0, window.row1), _edges(window.column0, window.column1))

    @property
    def shape(self) -> tuple[int, int]:
        """(number of rows of bins, number of columns of bins)."""
        return len(self.row_edges) - 1, len(self.column_edges) - 1

    def sums(self, image: NDArray) -> NDArray:
        """Sum an image of the window in the bins, ``shape``; of its type, of truth values int."""
        rows = _sums_of_rows(image, self.row_edges - self.window.row0)
        return _sums_of_rows(rows.T, self.column_edges - self.window.column0).T

    def spread(self, values: NDArray) -> NDArray:
        """Give each pixel of the window the value of its bin, (..., n_rows, n_columns)."""
        rows = np.repeat(values, np.diff(self.row_edges), axis=-2)
        return np.repeat(rows, np.diff(self.column_edges), axis=-1)

    def rows_in(self, band: Window) -> slice:
        """Rows of bins in a band of rows, whose borders must be borders of bins."""
        first, last = np.searchsorted(self.row_edges, [band.row0, band.row1])
        return slice(int(first), int(last))

    def of_rows(self, rows: slice) -> Self:
        """Return those in some rows of bins, at least one."""
        first, stop, _ = rows.indices(self.shape[0])
        edges, window = self.row_edges[first : stop + 1], self.window
        band = Window(int(edges[0]), int(edges[-1]), window.column0, window.column1)
        return type(self)(band, edges, self.column_edges)

    def cells(self, mesh: Mesh) -> Mesh:
        """Cells of a mesh in units of bins: their borders are the nearest borders of bins."""
        rows = _nearest(self.row_edges, mesh.row_edges)
        columns = _nearest(self.column_edges, mesh.column_edges)
        return Mesh(Window(0, self.shape[0], 0, self.shape[1]), rows, columns)

    def evaluate(self, nodes: NDArray, mesh: Mesh) -> NDArray:
        """Evaluate a background in the middle of the bins, without straps, ``shape``."""
        rows = interpolation_matrix(mesh.row_edges, _middles(self.row_edges))
        columns = interpolation_matrix(mesh.column_edges, _middles(self.column_edges))
        return rows @ nodes @ columns.T


def _sums_of_rows(image: NDArray, edges: NDArray) -> NDArray:
    """Sum groups of rows, all but the first and the last of `BIN_SIDE`.

    Slices are added: that is ten times as fast as `numpy.add.reduceat`.
    """
    if image.dtype == bool:
        image = image.astype(int)
    sizes = np.diff(edges)
    first, last = int(sizes[0] != BIN_SIDE), len(sizes) - int(sizes[-1] != BIN_SIDE)
    sums = np.empty_like(image, shape=(len(sizes), image.shape[1]))  # in memory as the image is
    if first < last:
        whole = image[edges[first] : edges[last]]
        np.add(whole[0::BIN_SIDE], whole[1::BIN_SIDE], out=sums[first:last])
        for row in range(2, BIN_SIDE):
            sums[first:last] += whole[row::BIN_SIDE]
    for narrow in {0, len(sizes) - 1} - set(range(first, last)):
        sums[narrow] = image[edges[narrow] : edges[narrow + 1]].sum(axis=0)
    return sums


def _edges(first: int, last: int) -> NDArray:
    inner = np.arange(-(-first // BIN_SIDE) * BIN_SIDE, last, BIN_SIDE)
    return np.unique(np.concatenate([[first], inner, [last]]))


def _middles(edges: NDArray) -> NDArray:
    return 0.5 * (edges[:-1] + edges[1:] - 1)


def _nearest(edges: NDArray, borders: NDArray) -> NDArray:
    """Index of the nearest of sorted edges to each border; each cell keeps a bin, if it can."""
    index = np.abs(edges[None, :] - borders[:, None]).argmin(axis=1)
    return np.asarray(np.maximum.accumulate(index))
