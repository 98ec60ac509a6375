"""What a star itself adds to the motion that its light is corrected for.

With few stars one of them moves the fitted motion: a blend whose members vary shifts, and a
correction by that motion takes off the variation itself. The fit without one star follows from
that with all of them (leave-one-out residuals of linear least squares; Allen 1974,
Technometrics 16, 125).
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_design, displacement
from tessphot_lib.core.medians import medians_of_known
from tessphot_lib.motion.affine_fit import CLIP, MIN_STARS

MAX_LEVERAGE = 0.9  # a star that decides alone is not taken off: nothing would be left
MIN_OFF = 1e-4  # [pixels]
AT_ONCE = 4096  # images whose fits are looked at together: there may be 120,000, with 100 stars


def own_influence(
    measured_row: NDArray,
    measured_column: NDArray,
    row: NDArray,
    column: NDArray,
    *,
    motion: NDArray,
    scatter: NDArray,
) -> tuple[NDArray, NDArray]:
    """Displacement at each star that is there because the star itself was in the fit.

    Parameters
    ----------
    measured_row, measured_column : (n_images, n_stars) arrays
        As of `tessphot_lib.motion.affine_fit.fit_motion`.
    row, column : (n_stars,) arrays
        [science pixels]
    motion : (n_images, 6) array
        Fitted motion, against whatever reference; NaN where the stars gave none.
    scatter : (n_stars,) array
        That the weights of the stars in the fit are from, of `fit_motion`.

    Returns
    -------
    d_row, d_column : (n_images, n_stars) float64 arrays
        To be subtracted from the motion at the star [pixels]; its median over the images is
        zero. 0 where the star was not used, or the motion is unknown.
    """
    design = affine_design(row, column)
    predicted = displacement(motion, row, column)
    residual = []
    for measured, moved in zip((measured_row, measured_column), predicted, strict=True):
        off = measured - moved
        residual.append(off - medians_of_known(off))
    off = np.hypot(*residual)
    usual = np.maximum(medians_of_known(off), MIN_OFF)
    with np.errstate(invalid="ignore"):
        used = np.isfinite(off) & (off < CLIP * usual) & np.isfinite(scatter)
    influence = np.zeros((2, *off.shape))
    for first in range(0, len(off), AT_ONCE):
        images = slice(first, first + AT_ONCE)
        leverage = _leverage(design, used[images] / scatter**2, used[images].sum(axis=1))
        factor = leverage / (1 - np.minimum(leverage, MAX_LEVERAGE))
        for own, values in zip(influence, residual, strict=True):
            own[images] = np.where(used[images], factor * values[images], 0.0)
    for own in influence:
        np.subtract(own, np.median(own, axis=0), out=own, where=used)
    return influence[0], influence[1]


def _leverage(design: NDArray, weight: NDArray, n_used: NDArray) -> NDArray:
    """Part of each star in the fit at its own position, (n_images, n_stars); 0 without a fit."""
    leverage = np.zeros(weight.shape)
    for n_terms, images in ((1, n_used < MIN_STARS), (3, n_used >= MIN_STARS)):
        terms, of_images = design[:, :n_terms], weight[images]
        products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), n_terms**2)
        normal = (of_images @ products).reshape(len(of_images), n_terms, n_terms)
        inverse = np.linalg.pinv(normal, hermitian=True).reshape(len(normal), n_terms**2)
        leverage[images] = of_images * (inverse @ products.T)
    return leverage
