"""What known stars leave of an image: the image without their fitted PRFs."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import BLEED_SHARE, FULL_WELL_RATE
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.design import Design
from tessphot_lib.prf.linear_fit import fit_average_image
from tessphot_lib.prf.scene import model_error, wing_image

CONFUSION = 1.0  # [e-/s] of stars that no list has


def prf_residuals(
    prf: Prf, window: Window, image: NDArray, row: NDArray, column: NDArray, flux: NDArray
) -> tuple[NDArray, NDArray]:
    """Fit the fluxes of known stars to an average image, all together.

    Parameters
    ----------
    prf : Prf
    window : Window
    image : (n_rows, n_columns) array
        Background subtracted [e-/s]; NaN where there is no pixel. Full pixels do not count in
        the fit.
    row, column, flux : (n,) arrays
        Positions [science pixels] in the image, and fluxes by the catalog [e-/s], of all stars
        in and around the window; NaN stars are left out.

    Returns
    -------
    model, residual : (n_rows, n_columns) float64 arrays
        Light of the stars, and what the image has beyond it [e-/s]; the second is NaN where
        the image is, and where a pixel is full.
    """
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(flux)
    row, column, flux = (np.asarray(one, dtype=float)[known] for one in (row, column, flux))
    image = np.where(image < BLEED_SHARE * FULL_WELL_RATE, image, np.nan)  # NaN stays NaN
    wings = wing_image(prf, window, row, column, flux) if len(prf.wing_share) else 0.0
    model = np.zeros(window.shape) + wings
    if len(row):
        sigma = np.hypot(model_error(prf, window, row, column, flux), CONFUSION)
        design = Design.of(prf, window, row, column, flux)
        fitted, _, _ = fit_average_image((image - wings).ravel(), sigma.ravel(), design, flux)
        model = model + (design.matrices[0] @ fitted).reshape(window.shape)
    return model, image - model
