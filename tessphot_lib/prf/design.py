"""The light of stars in the pixels of a region, as a sparse matrix that fluxes are multiplied by.

With its derivatives by the stars' positions, to second order: images move by hundredths of a pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import nearest_pixel, stamp_pixels
from tessphot_lib.prf.evaluate import DERIVATIVES, prf_derivatives

FAINT_FLUX, FAINT_HALF = 150.0, 5  # [e-/s], [pixels] fainter stars have smaller stamps


@dataclass(frozen=True)
class Design:
    """How stars give light to the pixels of a region.

    Attributes
    ----------
    matrices : tuple of (n_pixels, n_stars) sparse arrays
        Fraction of the light in each pixel, and its derivatives by the star's
        position, in the order of `tessphot_lib.prf.evaluate.DERIVATIVES`. Wings are not in.
    """

    matrices: "tuple[scipy.sparse.csr_array, ...]"

    @classmethod
    def of(
        cls,
        prf: Prf,
        window: Window,
        row: NDArray,
        column: NDArray,
        flux: NDArray,
        *,
        orders: Sequence[tuple[int, int]] = DERIVATIVES,
    ) -> "Design":
        """Evaluate the PRFs of stars at positions (n_stars,) [science pixels] in a window.

        ``flux`` (n_stars,) [e-/s] decides about the size of their stamps; ``orders`` are those
        of the derivatives.
        """
        full = int(np.ceil(prf.half_size))
        parts = []
        for half, stars in (
            (min(FAINT_HALF, full), np.flatnonzero(flux < FAINT_FLUX)),
            (full, np.flatnonzero(~(flux < FAINT_FLUX))),
        ):
            if stars.size:
                parts.append(
                    _stamp_entries(prf, window, row[stars], column[stars], half, stars, orders)
                )
        shape = window.shape[0] * window.shape[1], len(row)
        if not parts:
            return cls(tuple(scipy.sparse.csr_array(shape) for _ in orders))
        pixel, star, values = (
            np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)
        )
        matrices = [scipy.sparse.csr_array((one, (pixel, star)), shape=shape) for one in values]
        return cls(tuple(matrices))

    def light(self, flux: NDArray, d_row: NDArray, d_column: NDArray) -> NDArray:
        """Light of all stars in each image, (n_pixels, n_images) [e-/s].

        Parameters
        ----------
        flux, d_row, d_column : (n_stars, n_images) arrays
            Fluxes [e-/s] and displacements [pixels].
        """
        return sum(
            matrix @ (flux * factor)
            for matrix, factor in zip(self.matrices, taylor_factors(d_row, d_column), strict=True)
        )


def taylor_factors(d_row: NDArray, d_column: NDArray) -> tuple[NDArray | float, ...]:
    """Factors of the derivatives in the order of DERIVATIVES."""
    return (
        1.0,
        d_row,
        d_column,
        0.5 * d_row**2,
        d_row * d_column,
        0.5 * d_column**2,
    )


def _stamp_entries(
    prf: Prf,
    window: Window,
    row: NDArray,
    column: NDArray,
    half: int,
    stars: NDArray,
    orders: Sequence[tuple[int, int]],
) -> tuple[NDArray, NDArray, NDArray]:
    """Pixel and star of each entry of the design (n,), and values (n_orders, n)."""
    size = 2 * half + 1
    first_row, first_column = nearest_pixel(row) - half, nearest_pixel(column) - half
    pixel, inside = stamp_pixels(
        first_row - window.row0, first_column - window.column0, (size, size), window.shape
    )
    near = inside.any(axis=(1, 2))  # the others' PRFs are not evaluated
    pixel, inside, stars = pixel[near], inside[near], stars[near]
    at = row[near], column[near], first_row[near], first_column[near]
    values = prf_derivatives(prf, *at, (size, size), orders=orders, with_wing=False)
    star = np.broadcast_to(stars[:, None, None], inside.shape)
    return pixel[inside], star[inside], values[:, inside]
