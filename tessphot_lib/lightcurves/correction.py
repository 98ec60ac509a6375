"""Instrumental variations are removed from light curves; those of the stars stay.

A light curve is described as the sum of three parts: a linear combination of
regressors (the image motion at the star, and the cotrending basis vectors that
quiet stars of the CCD have in common, `tessphot_lib.lightcurves.trends`), the
variability of the star as a Gaussian process with a Matern-3/2 kernel [1]_, and
white noise. Everything is fitted at once [2]_, so that a regressor is only
given what neither noise nor the star's own variability explains.

The amplitude and time scale of the variability and the width of the prior of
the coefficients maximize the marginal likelihood. The correction is applied
only where the evidence for it is strong, where it is known well, and where the
corrected light curve is not noisier than the flux; everywhere else FLUX_CORR
is the relative flux itself, and the header says so.

References
----------
.. [1] Foreman-Mackey et al. 2017, AJ 154, 220 (celerite: the solver used).
.. [2] Aigrain et al. 2016, MNRAS 459, 2408 (systematics and variability of K2 light
   curves fitted together).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.medians import median
from tessphot_lib.lightcurves.joint_fit import JointFit, LinearModel, point_scatter

MIN_POINTS = 40  # with fewer good points nothing is corrected
PPM = 1e6
MOTION_PRIOR = 0.3  # [per pixel] relative change of the flux in an aperture that moves
CURVATURE_PRIOR = 0.5  # [per pixel^2] the same, quadratic
# Widths of the prior that are tried, in units of the regressors' largest, with the logarithm of
# their prior odds: the PRF has already put back most of what motion does to an aperture.
WIDTHS = ((0.03, 0.0), (0.1, -2.0), (0.3, -4.0), (1.0, -6.0))

MIN_EVIDENCE = 6.0  # logarithm of the evidence for a correction over none
MIN_SIGNIFICANCE = 3.0  # rms of the correction over its rms error
MAX_NOISE_RATIO = 1.02  # scatter and daily means after over before, at most
DAY = 1.0  # [d]


@dataclass(frozen=True)
class Regressors:
    """What a light curve is compared with.

    Attributes
    ----------
    values : (n_cadences, n) array
        NaN where not known: the correction is interpolated there.
    prior_mean, prior_sigma : (n,) arrays
        Of the coefficients: relative flux per unit of the regressor.
    is_wide : (n,) bool array
        Whether ``prior_sigma`` is an upper limit, below which several are tried.
    """

    values: NDArray
    prior_mean: NDArray
    prior_sigma: NDArray
    is_wide: NDArray

    def joined(self, other: "Regressors") -> "Regressors":
        """Both, these first."""
        return Regressors(
            np.hstack([self.values, other.values]),
            np.concatenate([self.prior_mean, other.prior_mean]),
            np.concatenate([self.prior_sigma, other.prior_sigma]),
            np.concatenate([self.is_wide, other.is_wide]),
        )


@dataclass(frozen=True)
class CorrectedFlux:
    """A corrected light curve.

    Attributes
    ----------
    flux, flux_err : (n_cadences,) float64 arrays
        Relative to the median of the good points [ppm]; NaN where not good.
    coefficients : (n,) float64 array
        Relative flux per unit of each regressor; zero where nothing was removed.
    evidence : float
        Logarithm of the evidence for the correction over none; NaN if not computed.
    reason : str
        Why nothing was removed; empty if something was.
    """

    flux: NDArray
    flux_err: NDArray
    coefficients: NDArray
    evidence: float
    reason: str

    @property
    def is_corrected(self) -> bool:
        """Whether anything was removed."""
        return not self.reason


def motion_regressors(pos_row: NDArray, pos_column: NDArray) -> Regressors:
    """Build the motion and its squares, (n_cadences, 5), from offsets in pixels."""
    values = np.column_stack([pos_row, pos_column, pos_row**2, pos_row * pos_column, pos_column**2])
    sigma = np.array([MOTION_PRIOR] * 2 + [CURVATURE_PRIOR] * 3)
    return Regressors(values, np.zeros(5), sigma, np.ones(5, dtype=bool))


def correct_flux(
    time: NDArray, flux: NDArray, flux_err: NDArray, good: NDArray, *candidates: Regressors
) -> CorrectedFlux:
    """Remove what a light curve shares with regressors, if it clearly shares anything.

    Parameters
    ----------
    time, flux, flux_err : (n_cadences,) arrays
        [BTJD], increasing where good, and [e-/s]; NaN where unknown.
    good : (n_cadences,) bool array
        Points that may be fitted, and that get a corrected flux.
    *candidates : Regressors
        Sets of regressors, of which the best is used.

    Returns
    -------
    CorrectedFlux
        ``1e6 (f / (1 + m) - 1)`` with the relative flux ``f`` and the model ``m`` of the
        systematics, or with ``m = 0`` where nothing is removed. Finite at all good points
        with a flux and a time: where the median is not positive nothing is removed, and
        ``f`` is one plus the difference from the median over its amount. All NaN only
        without good points, or if their median is zero.
    """
    usable = good & np.isfinite(flux) & np.isfinite(time)
    corrected, error = relative_flux(flux, flux_err, usable)
    n_values = candidates[0].values.shape[1] if candidates else 0
    middle = median(flux[usable]) if usable.any() else np.nan
    if not middle > 0:
        return CorrectedFlux(corrected, error, np.zeros(n_values), np.nan, "no flux")
    relative = flux[usable] / middle - 1
    model, coefficients, evidence, reason = _model(time[usable], relative, usable, candidates)
    result = (1 + relative) / (1 + model)
    corrected[usable] = PPM * (result / median(result) - 1)
    error[usable] = PPM * flux_err[usable] / middle / (1 + model)
    return CorrectedFlux(corrected, error, coefficients, evidence, reason)


def relative_flux(flux: NDArray, flux_err: NDArray, good: NDArray) -> tuple[NDArray, NDArray]:
    """Difference of a flux from the median of the good points, over the amount of that median.

    Parameters
    ----------
    flux, flux_err : (n_cadences,) arrays
        [e-/s]; NaN where unknown.
    good : (n_cadences,) bool array

    Returns
    -------
    flux, flux_err : (n_cadences,) float64 arrays
        [ppm]; NaN where not good, and everywhere if the median is zero or unknown.
    """
    usable = good & np.isfinite(flux)
    relative, error = np.full(len(flux), np.nan), np.full(len(flux), np.nan)
    middle = median(flux[usable]) if usable.any() else 0.0
    if middle != 0:
        relative[usable] = PPM * (flux[usable] - middle) / abs(middle)
        error[usable] = PPM * flux_err[usable] / abs(middle)
    return relative, error


def daily_means(time: NDArray, values: NDArray) -> NDArray:
    """Means over days, (n_days,), of days with at least half of the usual number of points."""
    _, day, count = np.unique(np.floor(time / DAY), return_inverse=True, return_counts=True)
    return (np.bincount(day, values) / count)[count >= 0.5 * np.median(count)]


def _model(
    time: NDArray, relative: NDArray, usable: NDArray, candidates: tuple[Regressors, ...]
) -> tuple[NDArray, NDArray, float, str]:
    """Systematics of the usable points, coefficients, evidence, and why there are none."""
    nothing = np.zeros(len(relative))
    none = np.zeros(candidates[0].values.shape[1] if candidates else 0)
    if len(relative) < MIN_POINTS:
        return nothing, none, np.nan, "too few images"
    known = [_known(one, time, usable) for one in candidates]
    known = [one for one in known if one is not None]
    if not known:
        return nothing, none, np.nan, "image motion unknown"
    if not point_scatter(relative) > 0:
        return nothing, none, np.nan, "no noise"
    values = np.hstack([one.values for one in known])
    models = list(_models(known))
    fit = JointFit(time, relative, values, models)
    evidence = fit.evidence
    if evidence < MIN_EVIDENCE:
        return nothing, none, evidence, "no evidence"
    coefficients, covariance = fit.coefficients()
    used = values[:, models[fit.best].columns]
    model = used @ coefficients
    model -= median(model)
    error = np.sqrt(np.einsum("ij,jk,ik->i", used, covariance, used))
    if np.std(model) < MIN_SIGNIFICANCE * np.sqrt(np.mean(error**2)):
        return nothing, none, evidence, "not significant"
    if not (model > -1).all() or _is_noisier(time, 1 + relative, (1 + relative) / (1 + model)):
        return nothing, none, evidence, "no gain"
    return model, coefficients, evidence, ""


def _models(candidates: list[Regressors]) -> Iterator[LinearModel]:
    """Yield each set of regressors, with the widths of its prior that are tried."""
    widths, log_odds = np.array(WIDTHS).T
    first = 0
    for regressors in candidates:
        columns = first + np.arange(regressors.values.shape[1])
        first += len(columns)
        factors = np.where(regressors.is_wide, widths[:, None], 1.0)
        sigma = regressors.prior_sigma * factors
        yield LinearModel(columns, regressors.prior_mean, sigma, log_odds)


def _is_noisier(time: NDArray, before: NDArray, after: NDArray) -> bool:
    """Whether a corrected flux scatters relatively more, from point to point or day to day."""
    before, after = before / median(before), after / median(after)
    if point_scatter(after) > MAX_NOISE_RATIO * point_scatter(before):
        return True
    days = [np.std(daily_means(time, values)) for values in (before, after)]
    return bool(days[1] > MAX_NOISE_RATIO * days[0])


def _known(regressors: Regressors, time: NDArray, usable: NDArray) -> Regressors | None:
    """Regressors at the usable points, centered, unknown values interpolated in time."""
    values = np.array(regressors.values[usable], dtype=float)
    is_known = np.isfinite(values).all(axis=1)
    if is_known.sum() < MIN_POINTS:
        return None
    for index in range(values.shape[1]):
        values[~is_known, index] = np.interp(
            time[~is_known], time[is_known], values[is_known, index]
        )
    values -= np.median(values, axis=0)
    return replace(regressors, values=values)
