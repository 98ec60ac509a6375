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

from dataclasses import dataclass

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
    time: NDArray,
    flux: NDArray,
    flux_err: NDArray,
    good: NDArray,
    regressors: Regressors,
    *,
    sets: tuple[int, ...] = (),
) -> CorrectedFlux:
    """Remove what a light curve shares with regressors, if it clearly shares anything.

    Parameters
    ----------
    time, flux, flux_err : (n_cadences,) arrays
        [BTJD], increasing where good, and [e-/s]; NaN where unknown.
    good : (n_cadences,) bool array
        Points that may be fitted, and that get a corrected flux.
    regressors : Regressors
    sets : tuple of int, optional
        Only the first so many of the regressors are used, whichever number is best; all of them
        if left out.

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
    sets = sets or (regressors.values.shape[1],)
    middle = median(flux[usable]) if usable.any() else np.nan
    if not middle > 0:
        return CorrectedFlux(corrected, error, np.zeros(sets[0]), np.nan, "no flux")
    relative = flux[usable] / middle - 1
    model, coefficients, evidence, reason = _model(time[usable], relative, usable, regressors, sets)
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
    day = np.floor(time / DAY).astype(np.int64)
    day -= day.min()
    count, total = np.bincount(day), np.bincount(day, values)
    there = count > 0
    count, total = count[there], total[there]
    return (total / count)[count >= 0.5 * np.median(count)]


def _model(
    time: NDArray,
    relative: NDArray,
    usable: NDArray,
    regressors: Regressors,
    sets: tuple[int, ...],
) -> tuple[NDArray, NDArray, float, str]:
    """Systematics of the usable points, coefficients, evidence, and why there are none."""
    nothing = np.zeros(len(relative))
    none = np.zeros(sets[0])
    if len(relative) < MIN_POINTS:
        return nothing, none, np.nan, "too few images"
    values, n_known = _known_values(regressors.values[usable], time)
    sets = tuple(size for size in sets if size <= n_known)
    if not sets:
        return nothing, none, np.nan, "image motion unknown"
    if not point_scatter(relative) > 0:
        return nothing, none, np.nan, "no noise"
    models = [_linear_model(regressors, size) for size in sets]
    fit = JointFit(time, relative, values[: max(sets)], models)
    evidence = fit.evidence
    if evidence < MIN_EVIDENCE:
        return nothing, none, evidence, "no evidence"
    coefficients, covariance = fit.coefficients()
    used = values[: len(coefficients)]
    model = coefficients @ used
    model -= median(model)
    mean_square_error = np.sum(covariance * (used @ used.T)) / len(model)
    if np.std(model) < MIN_SIGNIFICANCE * np.sqrt(mean_square_error):
        return nothing, none, evidence, "not significant"
    if not (model > -1).all() or _is_noisier(time, 1 + relative, (1 + relative) / (1 + model)):
        return nothing, none, evidence, "no gain"
    return model, coefficients, evidence, ""


def _linear_model(regressors: Regressors, size: int) -> LinearModel:
    """Describe the first regressors, with the widths of their prior that are tried."""
    widths, log_odds = np.array(WIDTHS).T
    factors = np.where(regressors.is_wide[:size], widths[:, None], 1.0)
    sigma = regressors.prior_sigma[:size] * factors
    return LinearModel(np.arange(size), regressors.prior_mean[:size], sigma, log_odds)


def _is_noisier(time: NDArray, before: NDArray, after: NDArray) -> bool:
    """Whether a corrected flux scatters relatively more, from point to point or day to day."""
    before, after = before / median(before), after / median(after)
    if point_scatter(after) > MAX_NOISE_RATIO * point_scatter(before):
        return True
    days = [np.std(daily_means(time, values)) for values in (before, after)]
    return bool(days[1] > MAX_NOISE_RATIO * days[0])


def _known_values(values: NDArray, time: NDArray) -> tuple[NDArray, int]:
    """Regressors at usable points, centered, unknown values interpolated in time.

    Returns (n, n_points) values, and how many of the first ones are known at enough points.
    """
    result = np.array(values.T, dtype=float, order="C")
    for index, one in enumerate(result):
        is_known = np.isfinite(one)
        n_known = np.count_nonzero(is_known)
        if n_known < MIN_POINTS:
            return result, index
        if n_known < len(one):
            one[~is_known] = np.interp(time[~is_known], time[is_known], one[is_known])
        one -= median(one)
    return result, len(result)
