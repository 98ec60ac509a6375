"""Light of the stars of a small window, by the generic PRF fitted to its average image."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.design import Design
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.linear_fit import fit_average_image
from tessphot_lib.prf.scene import scene_derivatives

N_ROUNDS = 6
SHAPE_ERROR = 0.01  # of a pixel's light: the PRF of a CCD is not the generic one
MAX_STEP = 0.5  # [pixels] that a position changes by in a round


def light_of_stars(average: NDArray, noise: NDArray, areas: NDArray, window: Window) -> NDArray:
    """Fit positions and fluxes of the stars of an average image.

    Parameters
    ----------
    average, noise : (n_rows, n_columns) arrays
        Average image without background, and 1-sigma errors of one image [e-/s]; pixels of
        which either is NaN do not count.
    areas : (n_stars, n_rows, n_columns) bool array
        Pixels of each star; one with a pixel that does not count is not fitted.
    window : Window
        The pixels there are.

    Returns
    -------
    (3, n_rows, n_columns) float64 array
        Light of the stars, and its derivatives by their row and column [e-/s, e-/s/pixel];
        zeros without any star.
    """
    counts = np.isfinite(average) & np.isfinite(noise)
    stars = [area for area in areas if counts[area].all()]
    if not stars:
        return np.zeros((3, *window.shape))
    prf = generic_prf()
    light = np.where(counts, np.maximum(average, 0.0), 0.0)
    peaks = [np.unravel_index(np.argmax(light * area), light.shape) for area in stars]
    row, column = np.array(peaks, dtype=float).T + np.array([[window.row0], [window.column0]])
    flux = np.array([max(float(light[area].sum()), 1e-9) for area in stars])
    sigma = np.hypot(noise, SHAPE_ERROR * light).ravel()
    everyone = np.ones(len(stars), dtype=bool)
    for _ in range(N_ROUNDS):
        design = Design.of(prf, window, row, column, flux)
        flux, d_row, d_column = fit_average_image(
            average.ravel(), sigma, design, flux, with_positions=everyone
        )
        row = row + np.clip(d_row, -MAX_STEP, MAX_STEP)
        column = column + np.clip(d_column, -MAX_STEP, MAX_STEP)
    return scene_derivatives(prf, window, row, column, flux)[:3]
