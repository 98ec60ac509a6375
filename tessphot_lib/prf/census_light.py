"""Light of the stars of a census in the pixels of a window, and how wrong the PRF may be in it.

Of few stars in few pixels, as those of a target pixel file, the light is held in dense arrays: it
is evaluated in all pixels at once, and solving for hundreds of small windows takes a fifth of the
time that sparse arrays do, which are for crowds. Both kinds know ``@``, ``*``, ``**`` and ``.T``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import nearest_pixel
from tessphot_lib.prf.design import FAINT_FLUX, FAINT_HALF, Design
from tessphot_lib.prf.evaluate import prf_derivatives
from tessphot_lib.prf.scene import model_error

CORE_ERROR, FAR_ERROR = 0.5, 0.004  # of the PRF in a pixel, and of all light, that it may err by
CONFUSION = 0.3  # [e-/s] of a pixel of the average image, from stars too faint for any list
FEW = 60_000  # numbers in an array (n_pixels, n_stars) that is made dense
FEW_UNKNOWNS = 1500  # that are solved for directly, rather than in steps

Matrix = Any  # a dense array, or a `scipy.sparse.csr_array`


@dataclass(frozen=True)
class StarLight:
    """Light of stars in the pixels of a window; what is needed of it is evaluated once.

    Attributes
    ----------
    prf : Prf
    window : Window
    row, column, flux : (n_stars,) arrays
        Positions [science pixels] and fluxes [e-/s], all finite.
    orders : sequence of (int, int)
        Orders of the derivatives by row and column; (0, 0) is the first one.
    """

    prf: Prf
    window: Window
    row: NDArray
    column: NDArray
    flux: NDArray
    orders: Sequence[tuple[int, int]]

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Fraction of the light in each pixel, and its derivatives by the star's position.

        (n_pixels, n_stars) each. Wings are not in.
        """
        raise NotImplementedError

    @property
    def error(self) -> NDArray:
        """How wrong the light of all stars may be, (n_rows, n_columns) [e-/s].

        Far from a star no more than a part of what the PRF has there, and `FAR_ERROR`. Stars so
        faint that it hardly matters have none.
        """
        raise NotImplementedError

    @property
    def own_error(self) -> Matrix:
        """That of the light of each star, (n_pixels, n_stars) [e-/s]."""
        raise NotImplementedError

    @cached_property
    def matters(self) -> NDArray:
        """Which stars are bright enough for errors of their PRFs to matter, (n_stars,) bool."""
        return self.flux * self.prf.error.max() > CONFUSION


class DenseLight(StarLight):
    """That of few stars in few pixels."""

    @cached_property
    def _offsets(self) -> tuple[NDArray, NDArray]:
        """Rows and columns of the pixels from the one each star is in, (n_stars, n) each."""
        window = self.window
        down = np.arange(window.row0, window.row1) - nearest_pixel(self.row)[:, None]
        along = np.arange(window.column0, window.column1) - nearest_pixel(self.column)[:, None]
        return down, along

    @cached_property
    def _stamps(self) -> NDArray:
        """Light in all pixels, (n_orders, n_stars, n_rows, n_columns)."""
        corner = (np.full(len(self.row), k) for k in (self.window.row0, self.window.column0))
        stars = self.row, self.column, *corner, self.window.shape
        return prf_derivatives(self.prf, *stars, orders=self.orders, with_wing=False)

    @cached_property
    def matrices(self) -> tuple[Matrix, ...]:
        """See `StarLight`."""
        down, along = self._offsets
        full = int(np.ceil(self.prf.half_size))
        half = np.where(self.flux < FAINT_FLUX, min(FAINT_HALF, full), full)[:, None]
        near = (np.abs(down) <= half)[:, :, None] & (np.abs(along) <= half)[:, None, :]
        return tuple(self._as_matrix(np.where(near, one, 0.0)) for one in self._stamps)

    @cached_property
    def error(self) -> NDArray:
        """See `StarLight`."""
        return np.sqrt((self.own_error**2).sum(axis=1)).reshape(self.window.shape)

    @cached_property
    def own_error(self) -> Matrix:
        """See `StarLight`."""
        table = np.pad(self.prf.error, 1)  # and nothing beyond
        reach = table.shape[0] // 2
        down, along = (np.clip(axis, -reach, reach) + reach for axis in self._offsets)
        error = table[down[:, :, None], along[:, None, :]]
        error = np.minimum(error, CORE_ERROR * np.abs(self._stamps[0]) + FAR_ERROR)
        return self._as_matrix((self.flux * self.matters)[:, None, None] * error)

    def _as_matrix(self, stamps: NDArray) -> NDArray:
        """Stamps (n_stars, n_rows, n_columns) as (n_pixels, n_stars)."""
        n_rows, n_columns = self.window.shape
        return stamps.reshape(len(stamps), n_rows * n_columns).T


class SparseLight(StarLight):
    """That of many stars, each in a stamp around it."""

    @cached_property
    def matrices(self) -> tuple[Matrix, ...]:
        """See `StarLight`."""
        stars = self.row, self.column, self.flux
        return Design.of(self.prf, self.window, *stars, orders=self.orders).matrices

    @cached_property
    def error(self) -> NDArray:
        """See `StarLight`."""
        stars = (one[self.matters] for one in (self.row, self.column, self.flux))
        return model_error(self.prf, self.window, *stars, limits=(CORE_ERROR, FAR_ERROR))

    @cached_property
    def own_error(self) -> Matrix:
        """See `StarLight`."""
        light, window = self.matrices[0].tocoo(), self.window
        half = self.prf.error.shape[0] // 2
        d_row = light.row // window.shape[1] + window.row0 - nearest_pixel(self.row)[light.col]
        along = light.row % window.shape[1] + window.column0
        d_column = along - nearest_pixel(self.column)[light.col]
        inside = np.maximum(np.abs(d_row), np.abs(d_column)) <= half
        inside &= self.matters[light.col]
        at = np.clip(d_row, -half, half) + half, np.clip(d_column, -half, half) + half
        error = np.minimum(self.prf.error[at], CORE_ERROR * np.abs(light.data) + FAR_ERROR)
        error = np.where(inside, self.flux[light.col] * error, 0.0)
        return scipy.sparse.csr_array((error, (light.row, light.col)), shape=self.matrices[0].shape)


def light_of_stars(
    prf: Prf,
    window: Window,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
    orders: Sequence[tuple[int, int]],
) -> StarLight:
    """Choose by the number of stars; parameters are the attributes of `StarLight`."""
    is_small = window.shape[0] * window.shape[1] * len(row) <= FEW
    kind = DenseLight if is_small else SparseLight
    return kind(prf, window, row, column, flux, orders)


def side_by_side(matrices: Sequence[Matrix]) -> Matrix:
    """Join matrices with the same number of rows."""
    if isinstance(matrices[0], np.ndarray):
        return np.hstack(matrices)
    return scipy.sparse.hstack(matrices, format="csr")


def solve(normal: Matrix, prior: NDArray, right: NDArray) -> NDArray:
    """Solve normal equations, to whose diagonal priors are added: of few unknowns directly.

    Parameters
    ----------
    normal : (n, n) array, dense or sparse
    prior : (n,) array
        Positive.
    right : (n,) array
    """
    if isinstance(normal, np.ndarray):
        return _solve_directly(normal + np.diag(prior), right)
    normal = (normal + scipy.sparse.diags_array(prior)).tocsr()
    diagonal = normal.diagonal()
    coupled = np.flatnonzero(np.diff(normal.indptr) > 1)  # others give no pixel any light
    if len(coupled) <= FEW_UNKNOWNS:
        change = right / diagonal
        change[coupled] = _solve_directly(normal[coupled][:, coupled].toarray(), right[coupled])
        return change
    scale = 1 / np.sqrt(diagonal)
    scaled = scipy.sparse.diags_array(scale)
    change, _ = scipy.sparse.linalg.cg(
        scaled @ normal @ scaled, scale * right, rtol=1e-4, maxiter=200
    )
    return scale * change


def _solve_directly(normal: NDArray, right: NDArray) -> NDArray:
    scale = 1 / np.sqrt(normal.diagonal())
    dense = normal * scale[:, None] * scale
    factor = scipy.linalg.cho_factor(dense, overwrite_a=True, check_finite=False)
    return scale * scipy.linalg.cho_solve(factor, scale * right, check_finite=False)


def largest_shared(normal: Matrix, diagonal: NDArray) -> NDArray:
    """Square of the largest correlation of each star with any other one, (n_stars,).

    ``normal`` (n_stars, n_stars) are the normal equations of the fluxes, ``diagonal`` its
    diagonal, positive.
    """
    if isinstance(normal, np.ndarray):
        squares = normal**2 / (diagonal[:, None] * diagonal)
        np.fill_diagonal(squares, 0.0)
        return squares.max(axis=1, initial=0.0)
    normal = normal.tocoo()
    squares = normal.data**2 / (diagonal[normal.row] * diagonal[normal.col])
    squares[normal.row == normal.col] = 0.0
    shared = np.zeros(len(diagonal))
    np.maximum.at(shared, normal.row, squares)
    return shared
