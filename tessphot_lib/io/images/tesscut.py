"""Cutouts of full-frame images as TESScut makes them: stamps of one CCD through a sector.

A cutout is a table of images (``tess-s0008-3-4_<ra>_<dec>_<size>_astrocut.fits``,
plain or gzipped). Its place on the CCD stands in the physical WCS keywords of
the column FLUX, its celestial WCS, a linear one, in the header of the aperture image.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.clock import ANCHOR_CADENCE, ANCHOR_CADENCENO, ANCHOR_TIME
from tessphot_lib.core.constants import (
    BTJD_OFFSET,
    FIRST_SCIENCE_COLUMN,
    FRAME_TIME,
    SCIENCE_COLUMNS,
    SCIENCE_ROWS,
    SECONDS_PER_DAY,
)
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import MISSION_BITS
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.damage import open_fits, refuse_twice, told_as_damage
from tessphot_lib.io.images.ffi_files import cadence_of, name_btjd
from tessphot_lib.io.images.rounded_times import LEAST_MATCH, is_rounded, match_of, on_the_clock

if TYPE_CHECKING:
    from astropy.wcs import WCS

COLUMNS = ("TIME", "TIMECORR", "QUALITY", "FLUX", "FLUX_ERR", "FFI_FILE")
NEEDED_KEYS = (
    *("SECTOR", "CAMERA", "CCD", "FFIINDEX", "TSTART", "TSTOP", "TIMEDEL", "NUM_FRM", "RA_OBJ"),
    *("DEC_OBJ", *(f"{axis}CRV{column}P" for axis in (1, 2) for column in (4, 5))),
)
STAMP = re.compile(r"tess(\d{13})-s(\d{4})-([1-4])-([1-4])-\d{4}")
TICA = "tica"  # in the names of images that another pipeline calibrates: in other units and times
SMALLEST_CADENCENO = 4000  # sector 1 began with 4697; the counters of shorter cadences are ahead
MAX_OFF_NUMBER = 2  # by which they may differ from the clock, which may have been set anew
NO_CADENCE = -1  # number of rows that have no image
CADENCE_STEP = 10  # [s] cadences are multiples of it
MAX_OFF_CLOCK = 0.25  # [cadences] by which TSTART may be off the clock of the images
SAME_CLOCK = 5.0  # [s] by which the times in names may differ from a steady clock
NAME_ERROR = 1.0  # [s] of the times in names


class UnusableCutoutError(InputDataError):
    """A cutout as TESScut made it, of which nothing can be used."""


@dataclass(frozen=True)
class Cutout:
    """What a cutout is, without its pixels.

    Attributes
    ----------
    path : Path
    window : Window
        Its science pixels, without what lies beyond the edge of the CCD.
    wcs : WCS
        Linear celestial WCS, zero-based pixels of ``window``.
    target : (ra, dec)
        Where it was asked for [deg].
    header : Header
        Primary header and keywords of the table, merged.
    name : (n,) array of str
        Full-frame image of each cadence.
    time, timecorr : (n,) float64 arrays
        Mid-times, barycentric for the centre of the CCD [BTJD], and the correction in them
        [d]; the time of a row without an image, or with one that an earlier row has, is NaN.
    time_error : float
        1-sigma error of these times where they had been rounded, common to all [s]; else 0.
    cadenceno, quality : (n,) int arrays
        The number of such a row is `NO_CADENCE`. Of the quality only the mission's bits are
        kept: higher ones are this software's.
    """

    path: Path
    window: Window
    wcs: "WCS"
    target: tuple[float, float]
    header: fits.Header
    name: NDArray
    time: NDArray
    time_error: float
    timecorr: NDArray
    cadenceno: NDArray
    quality: NDArray


def read_cutout(path: Path, ccd_id: CcdId) -> Cutout:
    """Read all of a cutout but its pixels.

    Raises
    ------
    InputDataError
        If the file cannot be read, lacks a column or keyword, or is of another CCD.
    UnusableCutoutError
        If it contradicts itself (a WCS of another CCD or sector, a target that
        does not lie on its pixels) or has no science pixels.
    """
    with told_as_damage(path), open_fits(path, memmap=False) as hdus:
        _check_table(path, hdus)
        _refuse_tica(path, hdus)
        for hdu in hdus[:2]:
            refuse_twice(path, hdu.header, NEEDED_KEYS)
        header = _merged(hdus)
        _check(path, header, hdus[1].columns.names, ccd_id)
        table = hdus[1].data
        number, shape = hdus[1].columns.names.index("FLUX") + 1, table["FLUX"].shape[1:]
        wcs = _linear_wcs(path, hdus)
        name = np.array([str(text).strip() for text in table["FFI_FILE"]])
        raw = {key: np.asarray(table[key], dtype=np.float64) for key in ("TIME", "TIMECORR")}
        quality = np.asarray(table["QUALITY"], dtype=np.int64) & MISSION_BITS
        numbers = np.zeros(len(name), dtype=np.int64)
        if "CADENCENO" in table.names:
            numbers[:] = table["CADENCENO"]
    window, cut = _window(path, header, number, shape)
    target = _number(path, header, "RA_OBJ", np.nan), _number(path, header, "DEC_OBJ", np.nan)
    _check_wcs(path, header, wcs, shape, target, ccd_id)
    wcs.wcs.crpix -= cut[1].start, cut[0].start
    time, time_error, cadenceno = _clock(path, header, _stamps(path, name, ccd_id), raw, numbers)
    return Cutout(
        path=path,
        window=window,
        wcs=wcs,
        target=target,
        header=header,
        name=name,
        time=time,
        time_error=time_error,
        timecorr=raw["TIMECORR"],
        cadenceno=cadenceno,
        quality=quality,
    )


def read_cutout_pixels(path: Path) -> tuple[NDArray, NDArray]:
    """Read FLUX, sky included, and FLUX_ERR of the science pixels.

    Returns
    -------
    flux, flux_err : (n, n_rows, n_columns) float32 arrays
        Over ``window`` of the `Cutout` [e-/s]; NaN where there is no pixel.
    """
    with told_as_damage(path), open_fits(path, memmap=False) as hdus:
        _check_table(path, hdus)
        table = hdus[1].data
        number = hdus[1].columns.names.index("FLUX") + 1
        _, cut = _window(path, _merged(hdus), number, table["FLUX"].shape[1:])
        flux, flux_err = (
            np.array(table[key][(slice(None), *cut)], dtype=np.float32)
            for key in ("FLUX", "FLUX_ERR")
        )
    with np.errstate(invalid="ignore"):
        padding = ~((flux != 0) & np.isfinite(flux)).any(axis=0)
    flux[:, padding], flux_err[:, padding] = np.nan, np.nan
    return flux, flux_err


def _merged(hdus: fits.HDUList) -> fits.Header:
    """Primary header and the table's, without what describes their layout."""
    header = hdus[0].header.copy(strip=True)
    for card in hdus[1].header.copy(strip=True).cards:
        if card.keyword not in ("COMMENT", "HISTORY", "") and card.value != "":
            header[card.keyword] = card.value
    return header


def _celestial(header: fits.Header) -> fits.Header:
    """Only the cards of the celestial WCS."""
    pattern = re.compile(
        r"WCSAXES|(CRPIX|CRVAL|CDELT|CUNIT|CTYPE)[12]|(PC|CD)[12]_[12]|LONPOLE|LATPOLE|RADESYS"
    )
    return fits.Header([card for card in header.cards if pattern.fullmatch(card.keyword)])


def _check_table(path: Path, hdus: fits.HDUList) -> None:
    """Check that the second part of the file is a table of images."""
    if len(hdus) < 2 or not isinstance(hdus[1], fits.BinTableHDU):
        raise InputDataError(f"{path}: it has no table of images: not a cutout of TESScut?")
    for name in ("FLUX", "FLUX_ERR"):
        if name in hdus[1].columns.names and hdus[1].data[name].ndim != 3:
            raise InputDataError(f"{path}: column {name} does not hold images")


def _refuse_tica(path: Path, hdus: fits.HDUList) -> None:
    """Refuse cutouts of other images, before what else they lack is looked at."""
    names = hdus[1].data["FFI_FILE"] if "FFI_FILE" in hdus[1].columns.names else []
    tica = next((str(name) for name in names if TICA in str(name).lower()), None)
    if tica is not None:
        raise InputDataError(
            f"{path}: column FFI_FILE names images of TICA ({tica}), "
            "not the mission's calibrated ones"
        )


def _check(path: Path, header: fits.Header, columns: list[str], ccd_id: CcdId) -> None:
    """Check that the table is one of TESScut, and of this CCD."""
    for name in COLUMNS:
        if name not in columns:
            raise InputDataError(f"{path}: column {name} is missing: not a cutout of TESScut?")
    for key in ("SECTOR", "CAMERA", "CCD"):
        if header.get(key) != getattr(ccd_id, key.lower()):
            raise InputDataError(
                f"{path}: keyword {key} is {header.get(key)!r}, its name says "
                f"{getattr(ccd_id, key.lower())}"
            )


def _window(
    path: Path, header: fits.Header, number: int, shape: tuple[int, int]
) -> tuple[Window, tuple[slice, slice]]:
    """Place on the CCD, from the physical WCS of the column FLUX, and the pixels that are on it.

    ``number`` is that of the column, ``shape`` of its images.
    TESScut pads what lies beyond the image, and gives columns that are no science pixels.
    """
    first = []
    for axis in (1, 2):
        key = f"{axis}CRV{number}P"
        if key not in header:
            raise InputDataError(f"{path}: keyword {key} is missing: no place on the CCD")
        reference = _number(path, header, f"{axis}CRP{number}P", 1)
        first.append(int(_number(path, header, key)) + 1 - int(reference))
    row0, column0 = first[1] - 1, first[0] - 1 - FIRST_SCIENCE_COLUMN
    inside = [
        (max(start, 0), min(start + side, size))
        for start, side, size in zip(
            (row0, column0), shape, (SCIENCE_ROWS, SCIENCE_COLUMNS), strict=True
        )
    ]
    if any(start >= stop for start, stop in inside):
        raise UnusableCutoutError(
            f"{path}: none of its pixels are science pixels: rows {row0} to "
            f"{row0 + shape[0] - 1}, columns {column0} to {column0 + shape[1] - 1}"
        )
    (top, bottom), (left, right) = inside
    cut = slice(top - row0, bottom - row0), slice(left - column0, right - column0)
    return Window(top, bottom, left, right), cut


def _number(path: Path, header: fits.Header, key: str, default: float | None = None) -> float:
    """Value of a keyword, which must be a finite number; ``default`` where there is none."""
    if key not in header and default is not None:
        return default
    try:
        value = header[key]
    except (fits.VerifyError, KeyError) as err:
        raise InputDataError(f"{path}: keyword {key}: {err}") from err
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputDataError(f"{path}: keyword {key} is {value!r}, not a number")
    return float(value)


def _linear_wcs(path: Path, hdus: fits.HDUList) -> "WCS":
    """The celestial WCS of the aperture image."""
    from astropy.wcs import WCS

    cards = _celestial(hdus[2].header) if len(hdus) > 2 else fits.Header()
    for key in ("CTYPE1", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
        if key not in cards:
            raise InputDataError(f"{path}: keyword {key} is missing: no WCS in its aperture image")
    wcs = WCS(cards)
    if wcs.naxis != 2:
        raise InputDataError(f"{path}: the WCS of its aperture image has {wcs.naxis} axes")
    return wcs


def _check_wcs(
    path: Path,
    header: fits.Header,
    wcs: "WCS",
    shape: tuple[int, int],
    target: tuple[float, float],
    ccd_id: CcdId,
) -> None:
    """Refuse a WCS that was taken from another CCD or sector, or that misses the target."""
    source = str(header.get("WCS_FFI", ""))
    match = re.search(r"-s(\d{4})-([1-4])-([1-4])-", source)
    if match and CcdId(*map(int, match.groups())) != ccd_id:
        raise UnusableCutoutError(f"{path}: keyword WCS_FFI is {source}: its WCS is of another CCD")
    if not np.isfinite(target).all():
        return
    try:
        x, y = wcs.all_world2pix(*target, 0)
    except ValueError as err:  # also what astropy.wcs has of its own
        raise UnusableCutoutError(f"{path}: its WCS makes no sense: {err}") from err
    if not (-1.5 < x < shape[1] + 0.5 and -1.5 < y < shape[0] + 0.5):
        raise UnusableCutoutError(
            f"{path}: its target RA_OBJ {target[0]:.5f}, DEC_OBJ {target[1]:.5f} does not lie on "
            "its pixels by its own WCS"
        )


def _stamps(path: Path, name: NDArray, ccd_id: CcdId) -> list[str | None]:
    """Time stamp in the name of each image, None where there is none; checks the CCD in it."""
    found = [STAMP.match(text) for text in name]
    if not any(found):
        raise InputDataError(f"{path}: column FFI_FILE does not name full-frame images")
    for match in filter(None, found):
        if CcdId(*map(int, match.groups()[1:])) != ccd_id:
            raise InputDataError(
                f"{path}: column FFI_FILE names images of another CCD: {match.string}"
            )
    return [match and match[1] for match in found]


def _clock(
    path: Path,
    header: fits.Header,
    stamps: list[str | None],
    raw: dict[str, NDArray],
    numbers: NDArray,
) -> tuple[NDArray, float, NDArray]:
    """Time, its error, and cadence number of each row, by what the columns say; see `Cutout`."""
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
    """Tell whether CADENCENO has the mission's numbers; some files count their rows there."""
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
    seconds = SECONDS_PER_DAY * _number(path, header, "TIMEDEL", 0.0)
    seconds = seconds or FRAME_TIME * _number(path, header, "NUM_FRM", 0.0)
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
    start, step = _number(path, header, "TSTART"), cadence / SECONDS_PER_DAY
    ra, dec = (_number(path, header, key, np.nan) for key in ("RA_OBJ", "DEC_OBJ"))
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
    number = int(_number(path, header, "FFIINDEX", 0))
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

    The clock is steady in a sector; if it was set anew in between, by the times in the names of
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
    first, last = _number(path, header, "TSTART"), _number(path, header, "TSTOP")
    n_images = round((last - first) * SECONDS_PER_DAY / cadence)
    if n_images < 1:
        return None
    length = (last - first) / n_images
    before = round((rounded[0] - timecorr[0] - first) / length - 0.5)
    exact = first + (before + steps - steps[0] + 0.5) * length
    is_it = match_of(exact, rounded, timecorr, length * SECONDS_PER_DAY) >= LEAST_MATCH
    return exact if is_it else None
