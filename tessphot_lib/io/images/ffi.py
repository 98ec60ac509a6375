"""Calibrated full-frame images, as SPOC writes them (``*_ffic.fits``, plain or gzipped).

Headers are read without the images, images without the pixels outside the
window: a full-frame image has 35 MB, and there are thousands.
"""

import io
import math
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from isal import igzip
from numpy.typing import NDArray

from tessphot_lib.core.clock import ANCHOR_CADENCE, ANCHOR_CADENCENO, ANCHOR_TIME, image_times
from tessphot_lib.core.constants import FFI_SHAPE, FIRST_SCIENCE_COLUMN, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.flags import MISSION_BITS, CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.wcs import has_valid_wcs
from tessphot_lib.io.files.damage import read_count, refuse_twice, told_as_damage

REQUIRED = ("CAMERA", "CCD", "TSTART", "TSTOP", "BARYCORR", "EXPOSURE")
OPTIONAL = ("SECTOR", "FFIINDEX", "DQUALITY")  # without a value they count as missing
BITPIX = (8, 16, 32, 64, -32, -64)  # FITS Standard 4.0, section 4.4.1.1
N_IMAGE_BYTES = 4  # float32
ROWS_AT_ONCE = 64  # of an image that are read
FITS_BLOCK = 2880
CHUNK_BYTES = 1 << 20  # that are unpacked at a time
MAX_EXTRA_BYTES = 10_000_000  # of the table of cosmic rays behind the images


# Of the structure of an HDU, or text that belongs to it.
NOT_KEPT = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|COMMENT|HISTORY|"
)


def read_ffi_header(
    path: Path, ccd_id: CcdId, *, content: bytes | None = None, window: Window | None = None
) -> fits.Header:
    """Read the keywords of a full-frame image, without its pixels.

    Parameters
    ----------
    path : Path
        ``.fits`` or ``.fits.gz``.
    ccd_id : CcdId
        What the image is supposed to be.
    content : bytes, optional
        The first bytes of the file, where it is not here itself.
    window : Window, optional
        Science pixels that the image must have.

    Returns
    -------
    Header
        Primary and image header merged; where a keyword stands in both, the
        image's counts.

    Raises
    ------
    InputDataError
        If the file cannot be read or is shorter than its header says, lacks a
        needed keyword, is of another CCD or sector, or too small for the window.
    """
    with told_as_damage(path):
        with _open(path) if content is None else io.BytesIO(content) as file:
            headers, locations = _read_headers(file, 2)
        if content is None:
            _check_size(path, locations[-1], headers[-1])
        if window is not None:
            _check_image(path, headers[1], window)
    return _merge(path, headers, ccd_id)


def read_ffi(path: Path, ccd_id: CcdId, window: Window) -> Exposure:
    """Read the window of a full-frame image and of its uncertainties.

    Parameters
    ----------
    path : Path
        ``.fits`` or ``.fits.gz``.
    ccd_id : CcdId
        What the image is supposed to be.
    window : Window
        Science pixels to read.

    Returns
    -------
    Exposure
        Flux as it is in the file; pixels that are NaN there stay so.

    Raises
    ------
    InputDataError
        As `read_ffi_header`, or if there is no uncertainty image or an image
        is too small for the window.
    """
    with told_as_damage(path), _open(path, whole=True) as file:
        headers, locations = _read_headers(file, 3)
        header = _merge(path, headers[:2], ccd_id)
        flux, flux_err = (
            _read_window(path, file, image_header, location, window)
            for image_header, location in zip(headers[1:], locations[1:], strict=True)
        )
    try:
        quality, exposure_time = mission_quality(header), float(header["EXPOSURE"])
    except (TypeError, ValueError) as err:
        raise InputDataError(f"{path}: keyword DQUALITY or EXPOSURE: {err}") from err
    times = image_times(header, ccd_id)
    return Exposure(
        ccd_id=ccd_id,
        window=window,
        flux=flux,
        flux_err=flux_err,
        time_start=times.start,
        time_stop=times.stop,
        timecorr=times.timecorr,
        cadenceno=cadence_number(header, path),
        quality=quality,
        exposure_time=exposure_time * SECONDS_PER_DAY,
        header=header,
    )


def cadence_number(header: fits.Header, path: Path) -> int:
    """Return FFIINDEX, or what it would have been in the first sectors, which lack it.

    Raises
    ------
    InputDataError
        If it is no whole number, or absent and the image is not one of 1800 s.
    """
    if "FFIINDEX" in header:
        if type(header["FFIINDEX"]) is not int:
            raise InputDataError(
                f"{path}: keyword FFIINDEX is {header['FFIINDEX']!r}, not a whole number"
            )
        return header["FFIINDEX"]
    start, stop = float(header["TSTART"]), float(header["TSTOP"])
    if abs(stop - start - ANCHOR_CADENCE) > 0.02 * ANCHOR_CADENCE:
        raise InputDataError(f"{path}: keyword FFIINDEX is missing and the image is not of 1800 s")
    middle = 0.5 * (start + stop) - float(header["BARYCORR"])
    return ANCHOR_CADENCENO + round((middle - ANCHOR_TIME) / ANCHOR_CADENCE)


def mission_quality(header: fits.Header) -> int:
    """DQUALITY of a header, as far as the mission has bits; 0 where there is none.

    Higher bits are this software's: in an input they mean something else.
    """
    return int(header.get("DQUALITY", 0)) & MISSION_BITS


def header_quality(header: fits.Header) -> int:
    """Cadence quality of a header: DQUALITY, and `CadenceFlag.NO_WCS` where there is none."""
    quality = mission_quality(header)
    return quality if has_valid_wcs(header) else quality | int(CadenceFlag.NO_WCS)


def release_of(header: fits.Header) -> int:
    """Number of the data release; -1 where the header does not tell."""
    release = header.get("DATA_REL")
    return release if type(release) is int else -1


def _open(path: Path, *, whole: bool = False) -> BinaryIO:
    """Open for reading; ``whole`` unpacks a gzipped file at once, which is faster."""
    if path.suffix != ".gz":
        return path.open("rb")
    if whole:
        return io.BytesIO(igzip.decompress(path.read_bytes()))
    return igzip.open(path, "rb")


def _read_headers(file: BinaryIO, count: int) -> tuple[list[fits.Header], list[int]]:
    """Read the first ``count`` headers and where their data begin [bytes]."""
    headers, locations, position = [], [], 0
    for index in range(count):
        file.seek(position)
        try:
            header = fits.Header.fromfile(file)
        except EOFError:
            raise OSError(f"it ends before HDU {index}") from None
        location = file.tell()
        headers.append(header)
        locations.append(location)
        position = location + -(-_data_bytes(header) // FITS_BLOCK) * FITS_BLOCK
    return headers, locations


def _data_bytes(header: fits.Header) -> int:
    """Size of the data that follow a header [bytes]."""
    n_axes = read_count(header, "NAXIS")
    if n_axes == 0:
        return 0
    if header["BITPIX"] not in BITPIX:
        raise ValueError(f"keyword BITPIX is {header['BITPIX']!r}")
    size = abs(header["BITPIX"]) // 8
    for axis in range(1, n_axes + 1):
        size *= read_count(header, f"NAXIS{axis}")
    return size


def _check_size(path: Path, location: int, header: fits.Header) -> None:
    """Raise OSError where the file is too short for its two images; cheap also if gzipped."""
    wanted = location + 2 * _data_bytes(header)
    if path.suffix == ".gz":
        with path.open("rb") as file:
            file.seek(-4, 2)  # the last four bytes of gzip: the unpacked size modulo 2**32
            size = int.from_bytes(file.read(4), "little")
        # Of a cut file they are any four bytes, hardly ever whole blocks of a likely number; of
        # one packed in several pieces they tell the size of the last piece.
        if size % FITS_BLOCK != 0 or not wanted <= size <= 1.5 * wanted + MAX_EXTRA_BYTES:
            size = _unpacked_size(path)
    else:
        size = path.stat().st_size
    if size < wanted:
        raise OSError(f"it is truncated: {size} bytes, its header asks for {wanted}")


def _unpacked_size(path: Path) -> int:
    """Size of what a gzipped file holds; EOFError if it is cut."""
    size = 0
    with igzip.open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
    return size


def _merge(path: Path, headers: list[fits.Header], ccd_id: CcdId) -> fits.Header:
    """Merge primary and image header, and check that they are complete and of this CCD."""
    for header in headers:
        refuse_twice(path, header, (*REQUIRED, *OPTIONAL))
    of_image = [card for card in headers[1].cards if not NOT_KEPT.fullmatch(card.keyword)]
    known = {card.keyword for card in of_image}
    of_file = [card for card in headers[0].cards if not NOT_KEPT.fullmatch(card.keyword)]
    # Built at once: astropy takes four times as long to change cards one by one.
    merged = fits.Header([card for card in of_file if card.keyword not in known] + of_image)
    for key in OPTIONAL:
        if key in merged and merged[key] in (None, fits.card.UNDEFINED):
            del merged[key]
    for key in REQUIRED:
        value = merged.get(key)
        if value is None or isinstance(value, fits.card.Undefined):
            raise InputDataError(f"{path}: keyword {key} is missing")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise InputDataError(f"{path}: keyword {key} is {value!r}, not a number")
    if not merged["TSTART"] < merged["TSTOP"]:
        raise InputDataError(
            f"{path}: TSTART {merged['TSTART']} is not before TSTOP {merged['TSTOP']}"
        )
    found = {"sector": merged.get("SECTOR", ccd_id.sector)}
    found |= {"camera": merged["CAMERA"], "ccd": merged["CCD"]}
    for name, value in found.items():
        if value != getattr(ccd_id, name):
            raise InputDataError(
                f"{path}: keyword {name.upper()} is {value}, expected {getattr(ccd_id, name)} "
                f"for {ccd_id}"
            )
    return merged


def _check_image(path: Path, header: fits.Header, window: Window) -> tuple[int, int]:
    """Refuse an image of other numbers or without the window; returns its rows and columns."""
    n_rows, n_columns = int(header.get("NAXIS2", 0)), int(header.get("NAXIS1", 0))
    if int(header["BITPIX"]) != -32 or "BSCALE" in header:
        raise InputDataError(f"{path}: keyword BITPIX is {header['BITPIX']}, expected -32")
    if n_rows < window.row1 or n_columns < FIRST_SCIENCE_COLUMN + window.column1:
        raise InputDataError(
            f"{path}: an image is ({n_rows}, {n_columns}), too small for the window "
            f"{window.as_list()}; a full-frame image is {FFI_SHAPE}"
        )
    return n_rows, n_columns


def _read_window(
    path: Path, file: BinaryIO, header: fits.Header, location: int, window: Window
) -> NDArray:
    """Read the rows of the window and cut its columns out; native float32."""
    _, n_columns = _check_image(path, header, window)
    first = FIRST_SCIENCE_COLUMN + window.column0
    last = FIRST_SCIENCE_COLUMN + window.column1
    file.seek(location + window.row0 * n_columns * N_IMAGE_BYTES)
    image = np.empty(window.shape, dtype=np.float32)
    buffer = np.empty((ROWS_AT_ONCE, n_columns), dtype=">f4")  # used again and again: stays cached
    for row in range(0, len(image), ROWS_AT_ONCE):
        rows = image[row : row + ROWS_AT_ONCE]
        band = buffer[: len(rows)]
        if file.readinto(band.data.cast("B")) < band.nbytes:
            raise OSError("it is truncated: the image ends before its last row")
        rows[...] = band[:, first:last]
    return image
