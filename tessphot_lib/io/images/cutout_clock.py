"""Times and cadence numbers of the images of a cutout, by what its columns and header say.

Old cutouts have rounded times, none of the mission's numbers, or were cut in time: the names of
their images and the start of the sector tell what is missing.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.clock import ANCHOR_CADENCE, ANCHOR_CADENCENO, ANCHOR_TIME
from tessphot_lib.core.constants import BTJD_OFFSET, FRAME_TIME, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.damage import read_number
from tessphot_lib.io.images.ffi_files import cadence_of, name_btjd
from tessphot_lib.io.images.rounded_times import LEAST_MATCH, is_rounded, match_of, on_the_clock

SMALLEST_CADENCENO = 4000  # sector 1 began with 4697; the counters of shorter cadences are ahead
MAX_OFF_NUMBER = 2  # by which they may differ from the clock, which may have been set again
NO_CADENCE = -1  # number of rows that have no image
CADENCE_STEP = 10  # [s] cadences are multiples of it
MAX_OFF_CLOCK = 0.25  # [cadences] by which TSTART may be off the clock of the images
SAME_CLOCK = 5.0  # [s] by which the times in names may differ from a steady clock
NAME_ERROR = 1.0  # [s] of the times in names


def cutout_clock(
    path: Path,
    header: fits.Header,
    stamps: list[str | None],
    raw: dict[str, NDArray],
    numbers: NDArray,
) -> tuple[NDArray, float, NDArray]:
    """Give each row of a cutout its time and its cadence number.

    Parameters
    ----------
    path : Path
        For messages.
    header : Header
        Primary header and keywords of the table.
    stamps : list of (str or None)
        Time in the name of each row's image; None for rows without one.
    raw : dict
        Columns TIME [BTJD] and TIMECORR [d], (n_rows,) float64 arrays.
    numbers : (n_rows,) int array
        Column CADENCENO, zeros without.

    Returns
    -------
    time : (n_rows,) float64 array
        Barycentric mid-times [BTJD]; NaN for rows without an image, or with one that an earlier
        row has.
    error : float
        1-sigma error that all times have in common, where they had been rounded [s]; else 0.
    cadenceno : (n_rows,) int array
        `NO_CADENCE` for rows without a time.

    Raises
    ------
    InputDataError
        If there are no times, or they are not in order.
    """
    usable = _usable(raw["TIME"], stamps)
    if not usable.any():
        raise InputDataError(f"{path}: column TIME has no times")
    cadence = _cadence(path, header, [one for one in stamps if one])
    steps = _steps(path, [one for one, use in zip(stamps, usable, strict=True) if use], cadence)
    at_telescope = (raw["TIME"] - raw["TIMECORR"])[usable]
    error, timecorr = 0.0, raw["TIMECORR"][usable]
    if is_rounded(raw["TIME"][usable]):
        days = np.array([name_btjd(one) for one in np.array(stamps)[usable]])
        rounded = raw["TIME"][usable]
        at_telescope, error = _restored(path, rounded, timecorr, days, steps, header, cadence)
    time, cadenceno = np.full(len(usable), np.nan), np.full(len(usable), NO_CADENCE)
    time[usable] = at_telescope + timecorr
    if _are_the_missions(numbers[usable], steps):
        cadenceno[usable] = numbers[usable]
    else:
        before = _cut_before(path, header, at_telescope[0], timecorr[0], cadence)
        if before is None:
            lost = name_btjd(stamps[np.argmax(usable)]) - name_btjd(next(filter(None, stamps)))
            before = round(lost * SECONDS_PER_DAY / cadence)
        cadenceno[usable] = steps + _first_number(path, header, at_telescope[0], before, cadence)
    return time, error, cadenceno


def _are_the_missions(numbers: NDArray, steps: NDArray) -> bool:
    """Return whether CADENCENO has the mission's numbers; some files count their rows there."""
    is_possible = numbers.min() >= SMALLEST_CADENCENO
    return bool(is_possible and np.abs(numbers - numbers[0] - steps).max() <= MAX_OFF_NUMBER)


def _usable(time: NDArray, stamps: list[str | None]) -> NDArray:
    """Rows that have a time and an image that no earlier one has, (n,) bool."""
    usable = np.isfinite(time) & (time > 0) & np.array([bool(one) for one in stamps])
    seen: set[str | None] = set()
    for row in np.flatnonzero(usable):
        usable[row] = stamps[row] not in seen
        seen.add(stamps[row])
    return usable


def _cadence(path: Path, header: fits.Header, stamps: list[str]) -> int:
    """Time between images [s]: by TIMEDEL or NUM_FRM, which few rows do not show, or by names."""
    seconds = SECONDS_PER_DAY * read_number(path, header, "TIMEDEL", 0.0)
    seconds = seconds or FRAME_TIME * read_number(path, header, "NUM_FRM", 0.0)
    rounded = round(seconds / CADENCE_STEP) * CADENCE_STEP
    return rounded if rounded > 0 else cadence_of(stamps)


def _cut_before(
    path: Path, header: fits.Header, first: float, timecorr: float, cadence: int
) -> int | None:
    """Number of images of the sector before the first one of a cutout, which may be cut in time.

    ``first`` is its time at the telescope [d], ``timecorr`` its correction [d]. The header's
    TSTART is that of the whole sector: barycentric or, in old cutouts, at the telescope. None if
    there is none that fits either way.
    """
    if "TSTART" not in header:
        return None
    start, step = read_number(path, header, "TSTART"), cadence / SECONDS_PER_DAY
    ra, dec = (read_number(path, header, key, np.nan) for key in ("RA_OBJ", "DEC_OBJ"))
    drift = 0.0
    if np.isfinite(ra) and np.isfinite(dec):
        drift = _earth_correction(start, ra, dec) - _earth_correction(first, ra, dec)
    counts = [(first - start + shift) / step - 0.5 for shift in (timecorr + drift, 0.0)]
    number = min(counts, key=lambda count: abs(count - round(count)) > MAX_OFF_CLOCK)
    is_possible = abs(number - round(number)) <= MAX_OFF_CLOCK and round(number) >= 0
    return round(number) if is_possible else None


def _earth_correction(time: float, ra: float, dec: float) -> float:
    """Barycentric correction for the Earth [d], good to the second: where TESS is matters less."""
    import erfa

    position = erfa.epv00(BTJD_OFFSET, time)[1]["p"]
    alpha, delta = np.radians([ra, dec])
    towards = np.array(
        [np.cos(alpha) * np.cos(delta), np.sin(alpha) * np.cos(delta), np.sin(delta)]
    )
    return float(position @ towards * erfa.AULT / SECONDS_PER_DAY)


def _steps(path: Path, stamps: list[str], cadence: int) -> NDArray:
    """Number of each image counted in cadences from the first."""
    days = np.array([name_btjd(stamp) for stamp in stamps])
    steps = np.round((days - days[0]) * SECONDS_PER_DAY / cadence).astype(np.int64)
    if np.any(np.diff(steps) <= 0):
        raise InputDataError(f"{path}: column FFI_FILE is not in order of time")
    return steps


def _first_number(
    path: Path, header: fits.Header, at_telescope: float, before: int, cadence: int
) -> int:
    """Cadence number of the first usable image, by the header or, before sector 6, by the clock.

    The header's is that of the first row, ``before`` cadences earlier.
    """
    number = int(read_number(path, header, "FFIINDEX", 0))
    if number > 0:
        return number + before
    if cadence * 1.0 == ANCHOR_CADENCE * SECONDS_PER_DAY:
        return ANCHOR_CADENCENO + round((at_telescope - ANCHOR_TIME) / ANCHOR_CADENCE)
    return round(at_telescope * SECONDS_PER_DAY / cadence)


def _restored(
    path: Path,
    rounded: NDArray,
    timecorr: NDArray,
    days: NDArray,
    steps: NDArray,
    header: fits.Header,
    cadence: int,
) -> tuple[NDArray, float]:
    """Times at the telescope [d] of rounded ones, put back on the clock, and their error [s].

    The clock is steady in a sector; if it was set again in between, by the times in the names of
    the images (``days``), which are good to a second, these count.
    """
    if len(days) > 2:
        line = np.polyval(np.polyfit(steps, days, 1), steps)
        if np.ptp(days - line) * SECONDS_PER_DAY > SAME_CLOCK:
            return days + np.median(rounded - timecorr - days), NAME_ERROR
    exact = _by_the_sector(path, rounded, timecorr, steps, header, cadence)
    return (exact, 0.0) if exact is not None else on_the_clock(rounded, timecorr, steps, cadence)


def _by_the_sector(
    path: Path,
    rounded: NDArray,
    timecorr: NDArray,
    steps: NDArray,
    header: fits.Header,
    cadence: int,
) -> NDArray | None:
    """Times on the clock between the start and the stop of the sector, if they fit them [d]."""
    if "TSTART" not in header or "TSTOP" not in header:
        return None
    first, last = read_number(path, header, "TSTART"), read_number(path, header, "TSTOP")
    n_images = round((last - first) * SECONDS_PER_DAY / cadence)
    if n_images < 1:
        return None
    length = (last - first) / n_images
    before = round((rounded[0] - timecorr[0] - first) / length - 0.5)
    exact = first + (before + steps - steps[0] + 0.5) * length
    is_it = match_of(exact, rounded, timecorr, length * SECONDS_PER_DAY) >= LEAST_MATCH
    return exact if is_it else None
