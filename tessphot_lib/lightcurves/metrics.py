"""Numbers that tell how good a light curve is: those of TASOC, and CDPP.

All are computed from the flux relative to its median; NaN points do not
count. Times are BTJD.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.medians import median

HOUR = 1 / 24  # [d]
PPM = 1e6
CDPP_HOURS = {"cdpp_0_5h": 0.5, "cdpp_1h": 1.0, "cdpp_2h": 2.0, "cdpp_6h": 6.0}
SAVGOL_DAYS, SAVGOL_ORDER = 101 / 48, 2  # [d] width of the local parabolas: 101 cadences of 1800 s
TREND_OUTLIER, SAVGOL_OUTLIER = 3.0, 5.0  # [sigma] points left out of the trend, and of the noise
N_CLIPS = 3
BREAK = 5  # cadences; over longer gaps nothing is smoothed
MIN_COVERAGE = 0.5  # of the cadences of a window that have to be there


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
        ``mean_flux`` [e-/s] (median of the good flux), and relative to its amount
        ``variance`` (ddof 1), ``rms_hour``, ``ptp`` (median absolute difference
        of consecutive points) and ``variability`` (standard deviation after a
        fit of a cubic, or of a lower order with fewer than five points, in units of
        the median error). A negative mean flux gives the numbers of the same
        light curve upside down, as TASOC's do. All but ``mean_flux`` are NaN for
        fewer than two points or a mean flux of zero, ``variability`` also where no
        error is known.
    """
    use = good & np.isfinite(flux) & np.isfinite(time)
    result = dict.fromkeys(("mean_flux", "variance", "rms_hour", "ptp", "variability"), np.nan)
    if not use.any():
        return result
    mean_flux = median(flux[use])
    result["mean_flux"] = mean_flux
    if mean_flux == 0 or use.sum() < 2:
        return result
    level = abs(mean_flux)
    when, relative = time[use], flux[use] / mean_flux - 1
    result["variance"] = float(np.var(relative, ddof=1))
    result["rms_hour"] = rms_of_bins(when, relative, HOUR)
    result["ptp"] = median(np.abs(np.diff(relative)))
    errors = flux_err[use & np.isfinite(flux_err)]
    relative_err = median(errors) / level if errors.size else np.nan
    if relative_err > 0:
        scaled = (when - when.mean()) / max(np.ptp(when), 1e-9)
        trend = np.polynomial.Polynomial.fit(scaled, relative, min(3, len(when) - 2))
        result["variability"] = float(np.std(relative - trend(scaled))) / relative_err
    return result


def rms_of_bins(time: NDArray, relative_flux: NDArray, width: float) -> float:
    """Robust scatter (1.4826 x MAD) of the means in bins of some width [d]; NaN for no points."""
    if len(time) == 0:
        return np.nan
    # Cadences that divide the width fall on the borders: rounding must not move them down.
    index = np.floor((time - time[0]) / width + 1e-6).astype(np.int64)
    index -= index.min()
    count = np.bincount(index)
    means = np.bincount(index, weights=relative_flux)[count > 0] / count[count > 0]
    return float(MAD_TO_SIGMA * median(np.abs(means - median(means))))


def cdpp(time: NDArray, flux: NDArray, good: NDArray) -> dict[str, float]:
    """Combined differential photometric precision over `CDPP_HOURS`.

    The scatter of the depth of a box of this duration against the equally long
    windows before and after it, robust, and scaled so that white noise gives
    the standard deviation of a mean over the duration: 1.4826 x MAD of
    ``(m1 - 2 m2 + m3) / sqrt(1/n1 + 4/n2 + 1/n3) / sqrt(n)``, with the means
    ``m`` of the ``n1``, ``n2``, ``n3`` good points in three windows of ``n``
    cadences one after the other, at any cadence. Slow variations of a star
    therefore hardly count, and nothing has to be flattened; this is the
    three-sample (Hadamard) deviation [1]_, made robust.

    Parameters
    ----------
    time, flux : (n_cadences,) arrays
        [BTJD], [e-/s]; NaN points do not count.
    good : (n_cadences,) bool array

    Returns
    -------
    dict
        By the names of `CDPP_HOURS` [ppm]; NaN where the median flux is not
        positive, no three windows have half of their cadences, or the duration is shorter than
        half the time from one point to the next.

    References
    ----------
    .. [1] Baugh 1971, Proc. 25th Annual Frequency Control Symposium, 222.
    """
    result = dict.fromkeys(CDPP_HOURS, np.nan)
    when, values = _relative(time, flux, good)
    if not len(when):
        return result
    relative, counts, step = _on_grid(when, values - 1)
    for name, hours in CDPP_HOURS.items():
        length = round(hours * HOUR / step)
        if length < 1:  # nothing is known of the scatter within this duration
            continue
        second = _second_differences(relative, counts, length)
        if second.size:
            scatter = MAD_TO_SIGMA * median(np.abs(second - median(second)))
            result[name] = float(PPM * scatter * np.sqrt(step / (hours * HOUR)))
    return result


def savgol_cdpp(time: NDArray, flux: NDArray, good: NDArray) -> float:
    """CDPP over 6 h by the Savitzky-Golay way [1]_, as lightkurve's ``estimate_cdpp`` has it.

    The flux is divided by a smoothed copy (local parabolas over `SAVGOL_DAYS`, in segments
    between gaps, without outliers), points `SAVGOL_OUTLIER` off are left out, and the standard
    deviation of running means over 6 h is taken. Of white noise it gives 0.86 of what `cdpp`
    gives, since the parabolas take a part of it; rotation and other variations over some days
    are taken off, of which `cdpp` has what changes within 12 h. Outliers and gaps are closed
    up, as if they were not there.

    Parameters
    ----------
    time, flux : (n_cadences,) arrays
        [BTJD], [e-/s]; NaN points do not count.
    good : (n_cadences,) bool array

    Returns
    -------
    float
        [ppm]; NaN where the median flux is not positive, or there are too few points for
        means over 6 h.

    References
    ----------
    .. [1] Gilliland et al. 2011, ApJS 197, 6.
    """
    when, values = _relative(time, flux, good)
    if not len(when):
        return np.nan
    step = median(np.diff(when))
    length = round(CDPP_HOURS["cdpp_6h"] * HOUR / step)
    width = 2 * round(0.5 * SAVGOL_DAYS / step - 0.5) + 1
    if length < 1 or len(when) < 2 * length or width <= SAVGOL_ORDER:
        return np.nan
    flat = values / _savgol_trend(when, values, width)
    kept = flat
    for _ in range(N_CLIPS):
        kept = kept[np.abs(kept - median(kept)) <= SAVGOL_OUTLIER * np.std(kept)]
    if len(kept) < 2 * length:
        return np.nan
    means = _moving_sum(kept / median(kept), length) / length
    return float(PPM * np.std(means))


def _relative(time: NDArray, flux: NDArray, good: NDArray) -> tuple[NDArray, NDArray]:
    """Good points, relative to their median; none if there are fewer than 3, or it is not > 0."""
    use = good & np.isfinite(flux) & np.isfinite(time)
    when, values = time[use], flux[use]
    if len(when) < 3 or not median(values) > 0:
        return when[:0], values[:0]
    return when, values / median(values)


def _savgol_trend(time: NDArray, values: NDArray, width: int) -> NDArray:
    """Local parabolas through values, outliers left out and interpolated over, (n_points,)."""
    known = np.abs(values - median(values)) <= TREND_OUTLIER * np.std(values)
    trend = np.full(len(values), 1.0)
    for _ in range(N_CLIPS):
        index = np.flatnonzero(known)
        steps = np.diff(time[index])
        breaks = np.flatnonzero(steps > BREAK * median(steps)) + 1 if steps.size else []
        smooth = np.empty(len(index))
        for part in np.split(np.arange(len(index)), breaks):
            of_part = values[index[part]]
            is_short = len(part) < width
            smooth[part] = median(of_part) if is_short else _parabolas(of_part, width)
        residual = values[index] - smooth
        near = np.abs(residual) < TREND_OUTLIER * np.std(residual) + 1e-14
        if near.sum() < 2:
            return trend
        trend = np.interp(time, time[index[near]], smooth[near])
        if near.all():  # the next round would be the same
            break
        known[index[~near]] = False
    return trend


def _parabolas(values: NDArray, width: int) -> NDArray:
    """Local parabolas through at least ``width`` values, an odd number, (n_values,).

    What `scipy.signal.savgol_filter` gives. In the middle of a window the parabola is a sum of
    its values with weights ``a + b x^2``, which running sums of the values and of their first
    two moments give in a time that does not depend on the width (1,515 points of 120 s).
    """
    half, n_values = width // 2, len(values)
    terms, inverse = _parabola_fit(width)
    level = median(values)  # off, for the rounding
    off = values - level
    at = (np.arange(n_values) - n_values // 2) / half
    total, first, second = (_moving_sum(one, width) for one in (off, off * at, off * at**2))
    middle = slice(half, n_values - half)
    squares = second - 2 * at[middle] * first + at[middle] ** 2 * total
    alone = inverse[0, half]
    smooth = np.empty(n_values)
    smooth[middle] = alone * total + (inverse[0, -1] - alone) * squares
    smooth[:half] = terms[:half] @ (inverse @ off[:width])
    smooth[n_values - half :] = terms[half + 1 :] @ (inverse @ off[-width:])
    return smooth + level


@lru_cache(maxsize=2)
def _parabola_fit(width: int) -> tuple[NDArray, NDArray]:
    """Terms of parabolas over a window (width, 3), and their pseudo-inverse; not to be changed.

    All stars of a CCD have them in common.
    """
    terms = np.polynomial.polynomial.polyvander(np.linspace(-1, 1, width), SAVGOL_ORDER)
    inverse = np.linalg.pinv(terms)
    for one in (terms, inverse):
        one.flags.writeable = False
    return terms, inverse


def _on_grid(time: NDArray, values: NDArray) -> tuple[NDArray, NDArray, float]:
    """Values by number of the cadence, 0 where there is none; their counts; the step [d]."""
    steps = np.diff(time)
    step = median(steps)
    # From point to point: corrections of the times must not add up over a sector.
    index = np.concatenate([[0], np.cumsum(np.maximum(np.rint(steps / step), 1).astype(int))])
    total, counts = np.zeros(index[-1] + 1), np.zeros(index[-1] + 1)
    total[index], counts[index] = values, 1
    return total, counts, step


def _second_differences(values: NDArray, counts: NDArray, length: int) -> NDArray:
    """Second differences of the means of windows, scaled to the scatter of a single point."""
    if len(values) < 3 * length:
        return np.zeros(0)
    sums, number = (_moving_sum(array, length) for array in (values, counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(number >= MIN_COVERAGE * length, sums / number, np.nan)
        before, middle, after = (
            slice(0, -2 * length),
            slice(length, -length),
            slice(2 * length, None),
        )
        scale = 1 / number[before] + 4 / number[middle] + 1 / number[after]
        second = (means[before] - 2 * means[middle] + means[after]) / np.sqrt(scale)
    return second[np.isfinite(second)]


def _moving_sum(values: NDArray, length: int) -> NDArray:
    """Sums of ``length`` values from each on, (n - length + 1,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[length:] - total[:-length]
