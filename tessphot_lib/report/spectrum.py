"""The amplitude spectrum of a light curve."""

import numpy as np
from numpy.typing import NDArray

MIN_POINTS = 10


def amplitude_spectrum(time: NDArray, values: NDArray, good: NDArray) -> tuple[NDArray, NDArray]:
    """Lomb-Scargle amplitudes, twice oversampled, from one cycle per length to Nyquist's frequency.

    Parameters
    ----------
    time, values : (n,) arrays
        [d], any unit; NaN values do not count.
    good : (n,) bool array

    Returns
    -------
    frequency, amplitude : (m,) float64 arrays
        [1/d], unit of ``values``; empty with fewer than `MIN_POINTS` points.
    """
    from astropy.timeseries import LombScargle  # heavy

    known = good & np.isfinite(values) & np.isfinite(time)
    at, values = time[known], values[known]
    if len(at) < MIN_POINTS or np.ptp(at) <= 0:
        return np.empty(0), np.empty(0)
    length, step = np.ptp(at), np.median(np.diff(np.sort(at)))
    frequency = np.arange(1 / length, 0.5 / step, 0.5 / length)
    power = LombScargle(at, values - values.mean(), normalization="psd").power(
        frequency, method="fast"
    )
    return frequency, np.sqrt(np.clip(4 * power / len(at), 0, None))
