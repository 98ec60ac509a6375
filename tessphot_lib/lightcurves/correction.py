"""Instrumental variations are taken off light curves; those of the stars stay.

A light curve is compared with regressors: the motion of the image at the star
(light that moves in and out of its pixels), and the trends that quiet stars of
the CCD have in common (`tessphot_lib.lightcurves.trends`). How strongly a star follows them is
found from *fast* changes only, those within `HIGH_PASS` days; then the whole
regressor, slow parts included, is taken off. The motion is fast and random, so
the pulsations and transits of a star cannot pass for it, and its slow drift is
taken off with the strength found from the fast part.

Each coefficient has a Gaussian prior: zero within what is physically possible
for motions, that of quiet stars nearby for trends. It is weighed against the
scatter that the star really has, so that a variable star, whose own variations
would pull the fit, gets what its neighbors have. This is the maximum a posteriori fit of
cotrending basis vectors of Kepler (Smith et al. 2012, PASP 124, 1000; Stumpe et al.
2012, PASP 124, 985), which TASOC uses for TESS (Lund et al. 2021, ApJS 257, 53), here
with the image motion among the regressors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA

HIGH_PASS = 1.0  # [d] full width of the running mean that is taken off before fits
MIN_POINTS = 20  # fewer good points tell no coefficient: it is what was expected
CLIP = 3.0  # [sigma] points off the fit by more count as if they were off by that (Huber)
N_ITERATIONS = 3
PPM = 1e6
MOTION_PRIOR = 0.3  # [per pixel] relative change of the flux in an aperture that moves
CURVATURE_PRIOR = 0.5  # [per pixel^2] the same, quadratic


@dataclass(frozen=True)
class Regressors:
    """What a light curve is compared with.

    Attributes
    ----------
    values : (n_cadences, n) array
        NaN where not known: such points are not corrected.
    prior_mean, prior_sigma : (n,) arrays
        Of the coefficients: relative flux per unit of the regressor.
    """

    values: NDArray
    prior_mean: NDArray
    prior_sigma: NDArray

    def joined(self, other: "Regressors") -> "Regressors":
        """Both, these first."""
        return Regressors(
            np.hstack([self.values, other.values]),
            np.concatenate([self.prior_mean, other.prior_mean]),
            np.concatenate([self.prior_sigma, other.prior_sigma]),
        )


def motion_regressors(pos_row: NDArray, pos_column: NDArray) -> Regressors:
    """Build the motion and its squares, (n_cadences, 5), from offsets in pixels."""
    values = np.column_stack([pos_row, pos_column, pos_row**2, pos_row * pos_column, pos_column**2])
    sigma = np.array([MOTION_PRIOR] * 2 + [CURVATURE_PRIOR] * 3)
    return Regressors(values, np.zeros(5), sigma)


def correct_flux(
    time: NDArray, flux: NDArray, flux_err: NDArray, good: NDArray, regressors: Regressors
) -> tuple[NDArray, NDArray, NDArray]:
    """Take off what a light curve shares with regressors.

    Parameters
    ----------
    time, flux, flux_err : (n_cadences,) arrays
        [BTJD], [e-/s]; NaN where unknown.
    good : (n_cadences,) bool array
        Points that may be fitted, and that get a corrected flux.
    regressors : Regressors

    Returns
    -------
    flux_corr, flux_corr_err : (n_cadences,) float64 arrays
        Relative to the median of the good points [ppm]: ``1e6 (f / (1 + m) - 1)``
        with the relative flux ``f`` and the model ``m``. The error is that of the
        flux; NaN where not good, or a regressor is unknown, and everywhere if the
        median is not positive.
    coefficients : (n,) float64 array
        Relative flux per unit of each regressor; NaN where nothing was corrected.
    """
    unknown = np.full(len(flux), np.nan)
    values = regressors.values
    usable = good & np.isfinite(flux) & np.isfinite(time) & np.isfinite(values).all(axis=1)
    median = np.median(flux[usable]) if usable.any() else np.nan
    if not median > 0:
        return unknown, unknown.copy(), np.full(values.shape[1], np.nan)
    centred = values[usable] - np.median(values[usable], axis=0)
    relative = flux[usable] / median - 1
    coefficients = regressors.prior_mean
    if usable.sum() >= MIN_POINTS:
        fast = high_pass(time[usable], np.column_stack([relative, centred]))
        errors = flux_err[usable & np.isfinite(flux_err)]
        least = float(np.median(errors)) / median if errors.size else 0.0
        coefficients = _fit(fast[:, 1:], fast[:, 0], regressors, least)
    factor = 1 + centred @ coefficients
    factor = np.where(factor > 0, factor, np.nan)
    corrected, error = unknown, unknown.copy()
    result = (1 + relative) / factor
    corrected[usable] = PPM * (result / np.nanmedian(result) - 1)
    error[usable] = PPM * flux_err[usable] / median / factor
    return corrected, error, coefficients


def high_pass(time: NDArray, values: NDArray) -> NDArray:
    """Take off the running mean over `HIGH_PASS` days.

    Parameters
    ----------
    time : (n,) increasing array [BTJD]
    values : (n, ...) array
        Without NaN.

    Returns
    -------
    (n, ...) float64 array
    """
    first = np.searchsorted(time, time - HIGH_PASS / 2, side="left")
    last = np.searchsorted(time, time + HIGH_PASS / 2, side="right")
    total = np.zeros((len(time) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=total[1:])
    count = (last - first).reshape(-1, *[1] * (values.ndim - 1))
    return values - (total[last] - total[first]) / count


def _fit(design: NDArray, values: NDArray, regressors: Regressors, least_sigma: float) -> NDArray:
    """Most probable coefficients; outliers count less."""
    mean, sigma = regressors.prior_mean, regressors.prior_sigma
    coefficients = mean
    weight = np.ones(len(values))
    for _ in range(N_ITERATIONS):
        residual = values - design @ coefficients
        scatter = max(MAD_TO_SIGMA * float(np.median(np.abs(residual))), least_sigma)
        if scatter == 0:
            break
        weight = np.minimum(1, CLIP * scatter / np.maximum(np.abs(residual), 1e-300))
        weighted = design * (weight / scatter**2)[:, None]
        # Whitened by the prior, so that the matrix is well conditioned whatever the units.
        normal = np.eye(len(mean)) + sigma[:, None] * (design.T @ weighted) * sigma
        right = sigma * (weighted.T @ (values - design @ mean))
        coefficients = mean + sigma * np.linalg.solve(normal, right)
    return coefficients
