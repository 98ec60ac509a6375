"""Times of old cutouts, whose starts and stops were rounded to float32, put back on the clock.

Such a time is the mean of two numbers in steps of 11 s (21 s from BTJD 2048 on). The clock of
TESS is steady, and each rounded time tells in which step the start and the stop were: many rows
leave little choice.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY

ROUNDED_TIME = 2.0**-14  # [d] of which such times are multiples
# Time between images over its nominal value: by TSTART and TSTOP of sectors 8 and 19 the clock of
# TESS is fast by 4.4e-7; that of a simulation is not.
RATES = (1 - 4.4e-7, 1.0)
N_TRIALS = 241
SLACK = 0.2 / SECONDS_PER_DAY  # [d] beyond what all rows allow
LEAST_MATCH = 0.9  # fraction of the rows that have to be rounded to what they are
# [s] of one time: half a step of each of two numbers, evenly distributed.
ERROR_OF_ONE = 2 * ROUNDED_TIME * SECONDS_PER_DAY / np.sqrt(24.0)


def is_rounded(time: NDArray) -> bool:
    """Whether all times are multiples of `ROUNDED_TIME`."""
    return bool(np.all(time % ROUNDED_TIME == 0))


def as_rounded(time: NDArray, timecorr: NDArray, cadence: float) -> NDArray:
    """Round times as old cutouts do.

    Parameters
    ----------
    time : (..., n) array
        Middle at the telescope [d].
    timecorr : (n,) array
        Barycentric correction [d].
    cadence : float
        From start to stop [s].
    """
    middle, half = time + timecorr, 0.5 * cadence / SECONDS_PER_DAY
    start, stop = ((middle + sign * half).astype(np.float32) for sign in (-1, 1))
    return 0.5 * (start.astype(np.float64) + stop)


def match_of(time: NDArray, rounded: NDArray, timecorr: NDArray, cadence: float) -> NDArray:
    """Fraction of the rows (last axis) that would be rounded to what they are."""
    return (as_rounded(time, timecorr, cadence) == rounded).mean(axis=-1)


def on_the_clock(
    rounded: NDArray, timecorr: NDArray, steps: NDArray, cadence: float
) -> tuple[NDArray, float]:
    """Find the times of a steady clock that are rounded to those of a cutout.

    Parameters
    ----------
    rounded : (n,) array
        Barycentric [BTJD], n at least 1.
    timecorr : (n,) array
        Barycentric correction [d].
    steps : (n,) integer array
        Number of each row, counted in cadences.
    cadence : float
        Nominal time between images [s].

    Returns
    -------
    time : (n,) array
        At the telescope [d].
    error : float
        1-sigma error, common to all [s].
    """
    found = [_by_rate(rounded, timecorr, steps * (rate * cadence), cadence) for rate in RATES]
    match = max(one[0] for one in found)
    if match >= LEAST_MATCH:
        _, time, error = next(one for one in found if one[0] == match)
        # Rates that fit as well leave that much open.
        others = [np.abs(one[1] - time).max() for one in found if one[0] >= match - 1e-9]
        return time, float(np.hypot(error, max(others)) * SECONDS_PER_DAY)
    if len(rounded) < 3:
        return rounded - timecorr, ERROR_OF_ONE
    line = np.polyval(np.polyfit(steps, rounded - timecorr, 1), steps)
    return line, float(2 * ERROR_OF_ONE / np.sqrt(len(rounded)))


def _by_rate(
    rounded: NDArray, timecorr: NDArray, seconds: NDArray, cadence: float
) -> tuple[float, NDArray, float]:
    """Fraction of the rows that a clock of known rate explains, its times, and their error [d].

    ``seconds`` are those from any moment on [s]. 0 of a clock that cannot be.
    """
    clock = seconds / SECONDS_PER_DAY
    offset = rounded - timecorr - clock
    low, high = offset.max() - ROUNDED_TIME - SLACK, offset.min() + ROUNDED_TIME + SLACK
    if low > high:
        return 0.0, clock, np.nan
    trials = np.linspace(low, high, N_TRIALS)
    match = match_of(trials[:, np.newaxis] + clock, rounded, timecorr, cadence)
    possible = trials[match == match.max()]
    width = possible[-1] - possible[0] + trials[1] - trials[0]
    return match.max(), clock + 0.5 * (possible[0] + possible[-1]), width / np.sqrt(12.0)
