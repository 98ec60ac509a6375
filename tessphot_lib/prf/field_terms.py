"""How a PRF changes over a CCD: polynomials of the position, tabulated on nodes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import field_weights

N_NODES = 5  # per axis, that polynomials of the position are tabulated on


@dataclass(frozen=True)
class Terms:
    """Polynomials of the position on the CCD, and the nodes that they are tabulated on.

    Attributes
    ----------
    window : Window
        Over which they run from -1 to 1.
    order : int
        Total one of rows and columns.
    node_row, node_column : (n_rows,), (n_columns,) arrays
        [science pixels]
    """

    window: Window
    order: int
    node_row: NDArray
    node_column: NDArray

    @classmethod
    def over(cls, window: Window, order: int) -> "Terms":
        """Take all terms to an order, and nodes that tell them apart."""
        n_nodes = N_NODES if order else 1
        return cls(
            window,
            order,
            _spread(window.row0, window.row1, n_nodes),
            _spread(window.column0, window.column1, n_nodes),
        )

    def at(self, row: NDArray, column: NDArray) -> NDArray:
        """Legendre polynomials up to the total order, (n, n_terms)."""
        window = self.window
        down = 2 * (row - window.row0) / max(window.shape[0] - 1, 1) - 1
        along = 2 * (column - window.column0) / max(window.shape[1] - 1, 1) - 1
        by_row = np.polynomial.legendre.legvander(down, self.order)
        by_column = np.polynomial.legendre.legvander(along, self.order)
        pairs = [(i, j) for i in range(self.order + 1) for j in range(self.order + 1 - i)]
        return np.column_stack([by_row[:, i] * by_column[:, j] for i, j in pairs])

    def to_nodes(self, unknowns: NDArray) -> NDArray:
        """Coefficients of the terms (n_terms, n, n) -> at the nodes (rows, columns, n, n)."""
        row, column = np.meshgrid(self.node_row, self.node_column, indexing="ij")
        values = np.tensordot(self.at(row.ravel(), column.ravel()), unknowns, axes=1)
        return values.reshape(*row.shape, *unknowns.shape[1:])


def _spread(first: int, last: int, n_nodes: int) -> NDArray:
    """Nodes over the pixels first to last - 1; the middle for one node."""
    if n_nodes == 1:
        return np.array([0.5 * (first + last - 1)])
    return np.linspace(first, last - 1, n_nodes)


def on_nodes(prf: Prf, terms: Terms) -> Prf:
    """Return the same PRF with its coefficients at the nodes of the terms; wings as they are."""
    by_row = field_weights(prf.node_row, terms.node_row, prf.interpolation)
    by_column = field_weights(prf.node_column, terms.node_column, prf.interpolation)
    values = np.einsum("ap,bq,pqij->abij", by_row, by_column, prf.coefficients)
    return replace(
        prf,
        node_row=terms.node_row,
        node_column=terms.node_column,
        coefficients=values,
        interpolation="cubic",
    )


def coefficients_of_terms(prf: Prf, terms: Terms) -> NDArray:
    """What `Terms.to_nodes` gives these coefficients for, (n_terms, n, n)."""
    row, column = np.meshgrid(terms.node_row, terms.node_column, indexing="ij")
    design = terms.at(row.ravel(), column.ravel())
    size = prf.coefficients.shape[2]
    flat = prf.coefficients.reshape(-1, size * size)
    return np.linalg.lstsq(design, flat, rcond=None)[0].reshape(-1, size, size)
