"""Numbers that tell how good a light curve is, as TASOC defines them.

All are computed from the flux relative to its median; NaN points do not
count. Times are BTJD.
"""

import numpy as np
from numpy.typing import NDArray

HOUR = 1 / 24  # [d]
MAD_TO_SIGMA = 1.482602218505602


def light_curve_diagnostics(
    time: NDArray, flux: NDArray, flux_err: NDArray, good: NDArray
) -> dict[str, float]:
    """Compute the columns of TASOC's ``diagnostics`` table that describe the light curve.

    Parameters
    ----------
    time, flux, flux_err : (n_cadences,) arrays
        [BTJD], [e-/s]; NaN where the star could not be measured.
    good : (n_cadences,) bool array
        Cadences without a rejected quality bit.

    Returns
    -------
    dict
        ``mean_flux`` [e-/s] (median of the good flux), and relative to it
        ``variance`` (ddof 1), ``rms_hour``, ``ptp`` (median absolute difference
        of consecutive points) and ``variability`` (standard deviation after a
        cubic fit in units of the median error). NaN where too few points are
        left or the mean flux is not positive.
    """
    use = good & np.isfinite(flux) & np.isfinite(time)
    result = dict.fromkeys(("mean_flux", "variance", "rms_hour", "ptp", "variability"), np.nan)
    if not use.any():
        return result
    mean_flux = float(np.median(flux[use]))
    result["mean_flux"] = mean_flux
    if not mean_flux > 0 or use.sum() < 2:
        return result
    when, relative = time[use], flux[use] / mean_flux - 1
    result["variance"] = float(np.var(relative, ddof=1))
    result["rms_hour"] = rms_of_bins(when, relative, HOUR)
    result["ptp"] = float(np.median(np.abs(np.diff(relative))))
    errors = flux_err[use & np.isfinite(flux_err)]
    relative_err = float(np.median(errors)) / mean_flux if errors.size else np.nan
    if use.sum() > 4 and relative_err > 0:
        scaled = (when - when.mean()) / max(np.ptp(when), 1e-9)
        trend = np.polynomial.Polynomial.fit(scaled, relative, 3)
        result["variability"] = float(np.std(relative - trend(scaled))) / relative_err
    return result


def rms_of_bins(time: NDArray, relative_flux: NDArray, width: float) -> float:
    """Robust scatter (1.4826 x MAD) of the means in bins of some width [d]; NaN for no points."""
    if len(time) == 0:
        return np.nan
    # Cadences that divide the width fall on the borders: rounding must not move them down.
    index = np.floor((time - time[0]) / width + 1e-6).astype(np.int64)
    _, inverse, count = np.unique(index, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=relative_flux) / count
    return float(MAD_TO_SIGMA * np.median(np.abs(means - np.median(means))))
