"""The pixel response function of the simulated cameras.

A sum of round Gaussians, each integrated over the pixels exactly (differences
of the error function). The weighted displacements cancel: the centroid is the
position of the star. Normalized to 1 over an infinite detector. There are two
families:

usual
    Some components are displaced along the direction from the camera's center,
    which makes the PRF elongated and lopsided, more so far from the center; the
    wide wings are the same everywhere.
asymmetric
    Other components, displaced to three sides, so that no axis of symmetry is
    left even in the camera's center; the wings hold more of the light far from
    the center, and reach farther.

The first `N_CORE` components hold the core, the others the wide wings, which
are round.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.pointing import camera_center

N_CORE = 4
CORNER = 2970.0  # [pixels] from the camera's center to the farthest corner
FLUX_TOLERANCE = 0.05  # [e-/s] light of one component that may be cut off


@dataclass(frozen=True)
class Family:
    """Numbers of a family of PRFs, (n_components,) arrays.

    Attributes
    ----------
    weight
        Fraction of the light.
    sigma, growth
        Width in the camera's center, and its growth to the corner [pixels].
    away, across
        Displacement at the corner away from the center, and at a right angle to this [pixels].
    row, column
        Displacement everywhere [pixels].
    wing_change
        Change of the fraction in the wings from the center to the corner, over their mean.
    balance
        Component whose displacement makes up for those of the others.
    """

    weight: NDArray
    sigma: NDArray
    growth: NDArray
    away: NDArray
    across: NDArray
    row: NDArray
    column: NDArray
    wing_change: float
    balance: int


def _family(table: list[list[float]], wing_change: float, balance: int) -> Family:
    """Components as rows: weight, width, growth, displacement away, across, row, column."""
    return Family(*np.array(table).T, wing_change=wing_change, balance=balance)


FAMILIES = {
    "usual": _family(
        [
            [0.630, 0.60, 0.10, -0.23, 0.0, 0.0, 0.0],
            [0.190, 0.82, 0.20, 0.75, 0.0, 0.0, 0.0],
            [0.142, 0.98, 0.20, 0.0, 0.0, 0.0, 0.0],
            [0.020, 2.00, 0.40, 0.0, 0.0, 0.0, 0.0],
            [0.012, 5.50, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.006, 16.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ],
        wing_change=0.0,
        balance=2,
    ),
    "asymmetric": _family(
        [
            [0.5225, 0.52, 0.12, 0.0, 0.0, 0.0, 0.0],
            [0.200, 0.70, 0.20, 0.80, 0.60, 0.35, 0.10],
            [0.175, 0.85, 0.25, 0.60, -0.70, -0.10, 0.40],
            [0.040, 2.20, 0.60, -0.80, 0.0, 0.60, -0.50],
            [0.0325, 4.50, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.02125, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.00875, 27.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ],
        wing_change=1.0,
        balance=0,
    ),
}


@dataclass(frozen=True)
class Components:
    """The Gaussians of stars, (n_stars, n_components) arrays.

    Attributes
    ----------
    weight
        Fraction of the light.
    sigma
        Widths [pixels].
    shift_row, shift_column
        Displacement from the position of the star [pixels].
    """

    weight: NDArray
    sigma: NDArray
    shift_row: NDArray
    shift_column: NDArray

    def part(self, which: slice) -> "Components":
        """Return some of the components."""
        whole = self.weight, self.sigma, self.shift_row, self.shift_column
        return Components(*(values[:, which] for values in whole))


def form_of(settings: SimulationSettings) -> dict[str, Any]:
    """Return the arguments of `components` that settings decide about."""
    return {
        "family": settings.prf_family,
        "width": settings.prf_width,
        "field_change": settings.prf_field_change,
    }


def components(
    row: NDArray,
    column: NDArray,
    ccd: int,
    *,
    family: str = "usual",
    width: float = 1.0,
    field_change: float = 1.0,
) -> Components:
    """Return the components of the PRF at positions (n,) on a CCD."""
    numbers = FAMILIES[family]
    center_row, center_column = camera_center(ccd)
    away_row = np.asarray(row, dtype=float)[:, None] - center_row
    away_column = np.asarray(column, dtype=float)[:, None] - center_column
    radius = np.hypot(away_row, away_column)
    far = field_change * (radius / CORNER) ** 2
    sigma = numbers.sigma + numbers.growth * far
    sigma[:, :N_CORE] *= width
    weight = numbers.weight * np.ones_like(radius)
    weight[:, N_CORE:] *= 1 + numbers.wing_change * (far - 0.5)
    weight[:, 0] += 1 - weight.sum(axis=1)
    along = field_change * radius / CORNER / np.maximum(radius, 1e-9)
    by_row = numbers.away * away_row - numbers.across * away_column
    by_column = numbers.away * away_column + numbers.across * away_row
    shift_row = width * (along * by_row + numbers.row)
    shift_column = width * (along * by_column + numbers.column)
    for shift in (shift_row, shift_column):
        shift[:, numbers.balance] = 0.0
        shift[:, numbers.balance] = -(weight * shift).sum(axis=1) / weight[:, numbers.balance]
    return Components(weight, sigma, shift_row, shift_column)


def reach(flux: NDArray, sigma: NDArray, weight: NDArray) -> NDArray:
    """Return the distance [pixels] beyond which components are too faint to matter.

    Shapes broadcast; 0 for a component that is too faint altogether.
    """
    brightness = np.maximum(np.asarray(flux) * weight / FLUX_TOLERANCE, 1.0)
    return sigma * np.sqrt(2 * np.log(brightness))


def profiles(
    center: NDArray, sigma: NDArray, first: NDArray, n_pixels: int, *, derivatives: int = 0
) -> list[NDArray]:
    """Integrate unit Gaussians over pixels along one axis.

    Parameters
    ----------
    center, sigma : (n, k) arrays
        Positions and widths [pixels].
    first : (n,) int array
        First pixel of the stamp of each of the n stars.
    n_pixels : int
    derivatives : 0 or 2
        How many derivatives with respect to ``center`` to return as well.

    Returns
    -------
    list of (n, k, n_pixels) arrays
        The profile and its derivatives.
    """
    edges = first[:, None, None] + np.arange(n_pixels + 1) - 0.5
    z = (edges - center[:, :, None]) / sigma[:, :, None]
    result = [0.5 * np.diff(scipy.special.erf(z * np.sqrt(0.5)), axis=-1)]
    if derivatives:
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        scale = sigma[:, :, None]
        result.append(-np.diff(density, axis=-1) / scale)
        result.append(-np.diff(z * density, axis=-1) / scale**2)
    return result


def prf_stamp(
    row: float,
    column: float,
    rows: NDArray,
    columns: NDArray,
    ccd: int,
    *,
    reference: tuple[float, float] | None = None,
    **form: Any,
) -> NDArray:
    """Return the PRF of a star in a rectangle of consecutive pixels.

    Parameters
    ----------
    row, column : float
        Position of the star, pixel centers at integers.
    rows, columns : (n_rows,), (n_columns,) int arrays
        The pixels, consecutive.
    reference : (row, column), optional
        Where the star stands in an unmoved image, which decides the shape of
        the PRF; by default the position.
    **form
        ``family``, ``width`` and ``field_change`` as in `components`.

    Returns
    -------
    (n_rows, n_columns) array
        Fraction of the light in each pixel; all pixels of the plane sum to 1.
    """
    shape_row, shape_column = (row, column) if reference is None else reference
    shape = components(np.array([shape_row]), np.array([shape_column]), ccd, **form)
    at = row + shape.shift_row, column + shape.shift_column
    down = profiles(at[0], shape.sigma, np.array([rows[0]]), len(rows))[0][0]
    along = profiles(at[1], shape.sigma, np.array([columns[0]]), len(columns))[0][0]
    return (shape.weight[0][:, None] * down).T @ along
