"""Circular apertures of a fixed radius, pixels at their edge counted by their area inside."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.aperture.crowding import light_of_sums
from tessphot_lib.core.aperture import ApertureLight
from tessphot_lib.core.geometry import Window


def circle_weights(window: Window, row: float, column: float, radius: float) -> NDArray:
    """Fraction of each pixel that lies inside a circle, exactly.

    Parameters
    ----------
    window : Window
        The pixels.
    row, column : float
        Center of the circle [science pixels]; the middle of a pixel has whole numbers.
    radius : float
        [pixels]

    Returns
    -------
    (n_rows, n_columns) float64 array
        0 to 1; their sum is the area of the circle as far as the window has it.
    """
    from photutils.geometry import circular_overlap_grid  # slow to import

    row0, column0 = window.row0 - 0.5 - row, window.column0 - 0.5 - column
    n_rows, n_columns = window.shape
    edges = column0, column0 + n_columns, row0, row0 + n_rows
    return circular_overlap_grid(*edges, n_columns, n_rows, radius, 1, 1)


def is_whole(weights: NDArray, radius: float) -> bool:
    """Return whether all of a circle lies in the window that its weights are of."""
    area = np.pi * radius**2
    return bool(weights.sum() > area * (1 - 1e-9))


def circle_light(
    weights: NDArray,
    own: NDArray,
    flux: float,
    images: NDArray,
    *,
    held: float = np.inf,
    is_saturated: bool = False,
) -> ApertureLight:
    """Compute what is known of the light in a weighted aperture.

    As `tessphot_lib.aperture.crowding.aperture_light`, which is for whole pixels.

    Parameters
    ----------
    weights, own : (n_rows, n_columns) arrays
        Weight of each pixel; PRF of the target there.
    flux : float
        Flux of the target [e-/s].
    images : (6, n_rows, n_columns) array
        Light of all stars there, the target's among it, and its derivatives.
    held : float
        Light that the average image has in it [e-/s], see
        `tessphot_lib.aperture.crowding.held_fraction`.
    is_saturated : bool
        The charge of a saturated star does not follow the PRF: the derivatives are zero.
    """
    captured, sums = float(np.sum(weights * own)), np.einsum("ijk,jk->i", images, weights)
    return light_of_sums(captured, flux, sums, held=held, is_saturated=is_saturated)
