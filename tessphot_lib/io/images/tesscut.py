"""Cutouts of full-frame images as TESScut makes them: stamps of one CCD through a sector.

A cutout is a table of images (``tess-s0008-3-4_<ra>_<dec>_<size>_astrocut.fits``,
plain or gzipped). Its position on the CCD stands in the physical WCS keywords of
the column FLUX, its celestial WCS, a linear one, in the header of the aperture image.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import (
    FIRST_SCIENCE_COLUMN,
    SCIENCE_COLUMNS,
    SCIENCE_ROWS,
)
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import MISSION_BITS
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.damage import open_fits, read_number, refuse_twice, told_as_damage
from tessphot_lib.io.images.cutout_clock import cutout_clock

if TYPE_CHECKING:
    from astropy.wcs import WCS

COLUMNS = ("TIME", "TIMECORR", "QUALITY", "FLUX", "FLUX_ERR", "FFI_FILE")
NEEDED_KEYS = (
    *("SECTOR", "CAMERA", "CCD", "FFIINDEX", "TSTART", "TSTOP", "TIMEDEL", "NUM_FRM", "RA_OBJ"),
    *("DEC_OBJ", *(f"{axis}CRV{column}P" for axis in (1, 2) for column in (4, 5))),
)
STAMP = re.compile(r"tess(\d{13})-s(\d{4})-([1-4])-([1-4])-\d{4}")
TICA = "tica"  # in the names of images that another pipeline calibrates: in other units and times


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
    target = (
        read_number(path, header, "RA_OBJ", np.nan),
        read_number(path, header, "DEC_OBJ", np.nan),
    )
    _check_wcs(path, header, wcs, shape, target, ccd_id)
    wcs.wcs.crpix -= cut[1].start, cut[0].start
    time, time_error, cadenceno = cutout_clock(
        path, header, _stamps(path, name, ccd_id), raw, numbers
    )
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
    """Position on the CCD, from the physical WCS of the column FLUX, and the pixels that are on it.

    ``number`` is that of the column, ``shape`` of its images.
    TESScut pads what lies beyond the image, and gives columns that are no science pixels.
    """
    first = []
    for axis in (1, 2):
        key = f"{axis}CRV{number}P"
        if key not in header:
            raise InputDataError(f"{path}: keyword {key} is missing: no position on the CCD")
        reference = read_number(path, header, f"{axis}CRP{number}P", 1)
        first.append(int(read_number(path, header, key)) + 1 - int(reference))
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
