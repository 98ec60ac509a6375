"""The pixel response function of the simulated cameras.

A sum of round Gaussians, each integrated over the pixels exactly (differences
of the error function); some are displaced along the direction from the
camera's centre, which makes the PRF elongated and lopsided, more so far from
the centre. The weighted displacements cancel: the centroid is the position of
the star. Normalized to 1 over an infinite detector.

The first `N_CORE` components hold the core, the others the wide wings, which
are round and the same everywhere.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.simulation.pointing import camera_center

# Share of the light; width in the camera's centre and its growth to the corner
# [pixels]; displacement away from the centre at the corner [pixels].
WEIGHT = np.array([0.630, 0.190, 0.142, 0.020, 0.012, 0.006])
SIGMA = np.array([0.60, 0.82, 0.98, 2.00, 5.50, 16.0])
GROWTH = np.array([0.10, 0.20, 0.20, 0.40, 0.0, 0.0])
SHIFT = np.array([-0.23, 0.75, 0.0, 0.0, 0.0, 0.0])
SHIFT[2] = -(WEIGHT[:2] @ SHIFT[:2]) / WEIGHT[2]
N_CORE = 4
CORNER = 2970.0  # [pixels] from the camera's centre to the farthest corner
FLUX_TOLERANCE = 0.05  # [e-/s] light of one component that may be cut off


def components(
    row: NDArray, column: NDArray, ccd: int, *, width: float = 1.0, field_change: float = 1.0
) -> tuple[NDArray, NDArray, NDArray]:
    """Return the components of the PRF at positions (n,) on a CCD.

    Returns
    -------
    sigma : (n, n_components) array
        Widths [pixels].
    shift_row, shift_column : (n, n_components) arrays
        Displacement from the position of the star [pixels].
    """
    center_row, center_column = camera_center(ccd)
    away_row = np.asarray(row, dtype=float)[:, None] - center_row
    away_column = np.asarray(column, dtype=float)[:, None] - center_column
    radius = np.hypot(away_row, away_column)
    far = field_change * (radius / CORNER) ** 2
    sigma = SIGMA + GROWTH * far
    sigma[:, :N_CORE] *= width
    shift = SHIFT * field_change * radius / CORNER * width
    direction = np.maximum(radius, 1e-9)
    return sigma, shift * away_row / direction, shift * away_column / direction


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
    width: float = 1.0,
    field_change: float = 1.0,
    reference: tuple[float, float] | None = None,
) -> NDArray:
    """Return the PRF of a star in a rectangle of consecutive pixels.

    Parameters
    ----------
    row, column : float
        Position of the star, pixel centres at integers.
    rows, columns : (n_rows,), (n_columns,) int arrays
        The pixels, consecutive.
    reference : (row, column), optional
        Where the star stands in an unmoved image, which decides the shape of
        the PRF; by default the position.

    Returns
    -------
    (n_rows, n_columns) array
        Share of the light in each pixel; all pixels of the plane sum to 1.
    """
    shape_row, shape_column = (row, column) if reference is None else reference
    sigma, shift_row, shift_column = components(
        np.array([shape_row]),
        np.array([shape_column]),
        ccd,
        width=width,
        field_change=field_change,
    )
    down = profiles(row + shift_row, sigma, np.array([rows[0]]), len(rows))[0][0]
    along = profiles(column + shift_column, sigma, np.array([columns[0]]), len(columns))[0][0]
    return (WEIGHT[:, None] * down).T @ along
