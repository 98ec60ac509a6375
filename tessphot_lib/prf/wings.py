"""The faint wings of the PRF, and the sky between all stars, from one image.

The light of wings is linear in their profile: where the cores of all known
stars are taken off, an image is the sum of rings about all stars, each times
the share of the light that falls there, and of the sky. All pixels tell of it,
each by what the cores leave it certain: no star has to stand alone, which in a
crowd none does.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.convolution import fft_convolve
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import nearest_pixel
from tessphot_lib.prf.evaluate import REACH

WING_RADIUS = np.array([5.75, 7.25, 9.0, 11.5, 15.0, 19.5, 25.0])  # [pixels]
FALL = 3  # power of the distance by which wings fall off between and beyond these radii
# Share of the light per pixel at these radii that is believed until others are seen.
USUAL_WINGS = 1e-5 * (9.0 / WING_RADIUS) ** FALL
CORRELATED_PIXELS = 10  # unknown stars cover as many: so much less do pixels tell
N_CLIPS, CLIP = 4, 4.0  # [sigma] pixels off by more show unknown stars, or bleed trails
MIN_PIXELS = 100
MAX_PIXELS = 1_000_000  # evenly spread ones are enough


def fit_wings(
    residual: NDArray,
    sigma: NDArray,
    window: Window,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
) -> tuple[NDArray, float]:
    """Fit the profile of the wings and the level of the sky to all pixels of an image.

    Parameters
    ----------
    residual, sigma : (n_rows, n_columns) arrays
        Image without the cores of known stars, and its error, that of the cores
        included [e-/s]; pixels of which either is not finite do not count.
    window : Window
        The pixels.
    row, column, flux : (n_stars,) arrays
        Known stars [science pixels], [e-/s], also beside the window; NaN stars are dark.

    Returns
    -------
    wing_share : (n_radii,) float64 array
        Share of the light per pixel at `WING_RADIUS`, not negative. What no star
        shows is that of `USUAL_WINGS`.
    sky : float
        Level of the residual without any star [e-/s]; 0 with fewer than `MIN_PIXELS` pixels.
    """
    usable = np.isfinite(residual) & np.isfinite(sigma) & (sigma > 0)
    if usable.sum() < MIN_PIXELS:
        return USUAL_WINGS, 0.0
    pixels = np.flatnonzero(usable)
    pixels = pixels[:: -(-len(pixels) // MAX_PIXELS)]
    values = residual.ravel()[pixels].astype(float)
    error = np.sqrt(CORRELATED_PIXELS) * sigma.ravel()[pixels].astype(float)
    # In units of what is usual, so that all unknowns are about 1; the sky comes last.
    design = np.ones((len(pixels), len(USUAL_WINGS) + 1), dtype=np.float32)
    points = _points(window, row, column, flux)
    for index, kernel in enumerate(_ring_kernels()):
        light = fft_convolve(points, USUAL_WINGS[index] * kernel, "valid")
        design[:, index] = light.ravel()[pixels]
    kept = np.ones(len(pixels), dtype=bool)
    for _ in range(N_CLIPS):
        solution = _solve(design[kept], values[kept], error[kept])
        off = np.abs(values - design @ solution) / error
        kept = off <= CLIP * ROUNDED_MAD_TO_SIGMA * np.median(off[kept])
    return solution[:-1] * USUAL_WINGS, float(solution[-1])


def _solve(design: NDArray, values: NDArray, error: NDArray) -> NDArray:
    """Least squares, all unknowns but the last at least 0, and believed to be 1 +- 1 before."""
    weighted = design / error.astype(np.float32)[:, None] ** 2
    normal = (weighted.T @ design).astype(float)
    right = (weighted.T @ values).astype(float)
    wings = slice(0, -1)
    # The sky is free: for any wings, it is what is left.
    to_sky = normal[-1, wings] / normal[-1, -1]
    reduced = normal[wings, wings] - np.outer(normal[wings, -1], to_sky) + np.eye(len(to_sky))
    wanted = right[wings] - to_sky * right[-1] + 1.0
    upper = np.linalg.cholesky(reduced).T
    start = upper @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(reduced), wanted)
    shares, _ = scipy.optimize.nnls(upper, start)
    return np.append(shares, right[-1] / normal[-1, -1] - to_sky @ shares)


def _points(window: Window, row: NDArray, column: NDArray, flux: NDArray) -> NDArray:
    """Fluxes of stars in the pixels that they stand in, with a margin of `REACH`."""
    points = np.zeros((window.shape[0] + 2 * REACH, window.shape[1] + 2 * REACH))
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(flux)
    at_row = nearest_pixel(row[known]) - window.row0 + REACH
    at_column = nearest_pixel(column[known]) - window.column0 + REACH
    inside = (at_row >= 0) & (at_row < points.shape[0])
    inside &= (at_column >= 0) & (at_column < points.shape[1])
    np.add.at(points, (at_row[inside], at_column[inside]), flux[known][inside])
    return points


def _ring_kernels() -> list[NDArray]:
    """What the share at each radius gives the pixels around a star.

    The share falls by its power from radius to radius, its factor goes over from
    one to the next linearly in the logarithm of the distance.
    """
    offsets = np.arange(-REACH, REACH + 1)
    distance = np.maximum(np.hypot(offsets[:, None], offsets), WING_RADIUS[0])
    kernels = []
    for unit, radius in zip(np.eye(len(WING_RADIUS)), WING_RADIUS, strict=True):
        factor = np.interp(np.log(distance), np.log(WING_RADIUS), unit)
        kernels.append(np.where(distance > REACH, 0.0, factor * (radius / distance) ** FALL))
    return kernels
