"""Pixels of SPOC's target pixel files (``*_tp.fits``, ``*_fast-tp.fits``, plain or gzipped).

`read_stamp` reads the headers, `stamp_pixels` goes through the cadences once, so that the
memory does not grow with their number. FLUX has its background off, which is FLUX_BKG.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import (
    FIRST_SCIENCE_COLUMN,
    FRAME_TIME,
    SCIENCE_COLUMNS,
    SCIENCE_ROWS,
)
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.damage import read_count, told_as_damage
from tessphot_lib.io.files.fits_checksum import DataSum
from tessphot_lib.io.images.tpf_rows import open_tpf, read_rows, read_to_end, row_dtype

if TYPE_CHECKING:
    from astropy.wcs import WCS

PIXEL_COLUMNS = ("FLUX", "FLUX_ERR", "FLUX_BKG")
COLUMNS = ("TIME", "TIMECORR", "CADENCENO", *PIXEL_COLUMNS, "QUALITY", "POS_CORR1", "POS_CORR2")
KEPT_FRAMES = 0.8  # on-board cosmic-ray mitigation drops 2 of 10
CADENCES_AT_ONCE = 2048  # as in a chunk of the archive
BYTES_AT_ONCE = 16_000_000  # of the table, at most
CHANGED = (
    "(it is damaged, or was changed: write changed files with astropy's checksum=True, "
    "or without CHECKSUM and DATASUM)"
)
SOME_CADENCES = 16  # tell whether the times of a file are those of the others


@dataclass(frozen=True)
class StampFile:
    """What a target pixel file is, without its cadences.

    Attributes
    ----------
    path : Path
    ccd_id : CcdId
        With the cadence.
    tic_id : int
        The star that it is made for.
    window : Window
        Its science pixels; collateral ones are left out.
    cut : (slice, slice)
        Where these are in its images.
    wcs : WCS
        Linear celestial WCS, zero-based pixels of ``window``.
    target : (ra, dec)
        Of the star, at the epoch of the sector [deg]; NaN where the file does not have it.
    header : mapping
        Keywords of the primary header and of the table, merged.
    exposure_time : float
        Of a cadence, of all its frames [s].
    n_cadences : int
    begin : int
        Byte of the file, unpacked, at which its table begins.
    row : dtype
        Of a row of the table: the columns that `stamp_pixels` takes.
    summed_from : int or None
        Byte at which the header of its table begins, if it can be checked by its CHECKSUM or
        DATASUM: SPOC's files have the former.
    """

    path: Path
    ccd_id: CcdId
    tic_id: int
    window: Window
    cut: tuple[slice, slice]
    wcs: "WCS"
    target: tuple[float, float]
    header: Mapping[str, Any]
    exposure_time: float
    n_cadences: int
    begin: int
    row: np.dtype
    summed_from: int | None = None

    def position(self) -> tuple[float, float]:
        """Return row and column of its star [science pixels]; without it, of the stamp's middle."""
        column, row = (float(one) for one in self.wcs.all_world2pix(*self.target, 0))
        if not (math.isfinite(row) and math.isfinite(column)):
            return self.window.middle
        return row + self.window.row0, column + self.window.column0

    def moved(self, d_row: float, d_column: float) -> Self:
        """Return it with a WCS whose sky is displaced by some pixels."""
        wcs = self.wcs.deepcopy()
        wcs.wcs.crpix += d_column, d_row
        wcs.wcs.set()
        return replace(self, wcs=wcs)


@dataclass(frozen=True)
class StampPixels:
    """Some cadences of a stamp, over the ``window`` of the `StampFile`.

    Attributes
    ----------
    cadenceno, quality : (n,) int64 arrays
    moment : (n,) float64 array
        Mid-times at the spacecraft [BTJD], as they stand in the file; NaN where it has none.
    flux, flux_err, flux_bkg : (n, n_rows, n_columns) float32 arrays
        Background off, error, and the background that is off [e-/s]; NaN: no data.
    pos_corr_row, pos_corr_column : (n,) float64 arrays
        SPOC's motion of the star [pixels]; NaN where it is not known.
    """

    cadenceno: NDArray
    quality: NDArray
    moment: NDArray
    flux: NDArray
    flux_err: NDArray
    flux_bkg: NDArray
    pos_corr_row: NDArray
    pos_corr_column: NDArray


def read_stamp(path: Path, ccd_id: CcdId) -> StampFile:
    """Read the headers of a target pixel file.

    Raises
    ------
    InputDataError
        If it cannot be read, has no table PIXELS or lacks a column or keyword, is of another
        CCD or cadence, is shorter than its header says, or has no science pixels.
    """
    with told_as_damage(path), open_tpf(path) as file:
        primary, table, header_begin = _headers(path, file)
        row = row_dtype(table, COLUMNS)
        n_cadences, begin = read_count(table, "NAXIS2"), file.tell()
        shape = row["FLUX"].shape
        number = _column_number(table, "FLUX")
    keywords = _Keywords(table)
    header = _Keywords(primary, table)
    if len(shape) != 2 or any(row[name].shape != shape for name in PIXEL_COLUMNS):
        raise InputDataError(f"{path}: column FLUX does not hold images")
    found = _ccd_id(path, header)
    if found != ccd_id:
        raise InputDataError(f"{path}: it is of {found}, expected {ccd_id}")
    size = path.stat().st_size
    if path.suffix != ".gz" and size < begin + n_cadences * row.itemsize:
        raise InputDataError(f"{path}: cannot be read: it is truncated, it has {size} bytes")
    if n_cadences == 0:
        raise InputDataError(f"{path}: its table PIXELS has no rows")
    window, cut = _window(path, keywords, number, shape)
    wcs = _wcs(path, keywords, number)
    wcs.wcs.crpix -= cut[1].start, cut[0].start
    return StampFile(
        path=path,
        ccd_id=found,
        tic_id=_whole(path, header, "TICID"),
        window=window,
        cut=cut,
        wcs=wcs,
        target=_target(header),
        header=header,
        exposure_time=_exposure_time(path, header),
        n_cadences=n_cadences,
        begin=begin,
        row=row,
        summed_from=header_begin if _is_summed(path, table) else None,
    )


def stamp_pixels(stamp: StampFile) -> Iterator[StampPixels]:
    """Go once through the cadences of a target pixel file, some at a time.

    Raises
    ------
    InputDataError
        If it cannot be read to its end, its cadence numbers do not increase, or the checksum of
        its table (of a packed file, that of the whole) is wrong.
    """
    last = -1
    datasum = None if stamp.summed_from is None else DataSum()
    with told_as_damage(stamp.path), open_tpf(stamp.path) as file:
        file.seek(stamp.begin)
        for rows in _rows(stamp, file, datasum):
            cadenceno = rows["CADENCENO"].astype(np.int64)
            if np.any(np.diff(np.append(last, cadenceno)) <= 0):
                raise ValueError("column CADENCENO does not increase")
            last = int(cadenceno[-1])
            flux, flux_err, flux_bkg = (
                np.ascontiguousarray(rows[name][(slice(None), *stamp.cut)], dtype=np.float32)
                for name in PIXEL_COLUMNS
            )
            flux = _without_missing(flux, flux_bkg)
            yield StampPixels(
                cadenceno=cadenceno,
                quality=rows["QUALITY"].astype(np.int64),
                moment=rows["TIME"].astype(float) - rows["TIMECORR"],
                flux=flux,
                flux_err=flux_err,
                flux_bkg=flux_bkg,
                pos_corr_row=rows["POS_CORR2"].astype(float),
                pos_corr_column=rows["POS_CORR1"].astype(float),
            )
        _check_end(stamp, file, datasum)


def _without_missing(flux: NDArray, flux_bkg: NDArray) -> NDArray:
    """NaN where images, or rows of them, were never filled: their pixels are exactly 0.

    With or without the background, which then was subtracted from nothing. Such cadences may
    have no quality bit. They are looked for in the middle column, which costs little.
    """
    middle = flux.shape[2] // 2
    lines = flux[:, :, middle], flux_bkg[:, :, middle]
    some = ((lines[0] == 0) | (lines[0] + lines[1] == 0)).any(axis=1)
    if not some.any():
        return flux
    pixels = flux[some]
    missing = (pixels == 0) | (pixels + flux_bkg[some] == 0)
    flux = flux.copy()
    flux[some] = np.where(missing, np.float32(np.nan), pixels)
    return flux


def some_times(stamp: StampFile) -> tuple[NDArray, NDArray]:
    """Read a few cadences of a file: of a packed one the first ones, else from all over it.

    Returns
    -------
    cadenceno : (n,) int64 array
    moment : (n,) float64 array
        Mid-times at the spacecraft [BTJD], as they stand in the file; NaN where it has none.

    Raises
    ------
    InputDataError
        If it cannot be read.
    """
    n_rows, size = min(SOME_CADENCES, stamp.n_cadences), stamp.row.itemsize
    step = 1 if stamp.path.suffix == ".gz" else stamp.n_cadences // n_rows
    with told_as_damage(stamp.path), open_tpf(stamp.path) as file:
        rows = []
        for index in range(0, n_rows * step, step):
            file.seek(stamp.begin + index * size)
            rows.append(file.read(size))
        table = np.frombuffer(b"".join(rows), dtype=stamp.row)
    return table["CADENCENO"].astype(np.int64), table["TIME"].astype(float) - table["TIMECORR"]


def check_whole(stamp: StampFile) -> None:
    """Read a file to its end: its checksums tell whether it is whole.

    Raises
    ------
    InputDataError
        If it is damaged or truncated.
    """
    with told_as_damage(stamp.path), open_tpf(stamp.path) as file:
        datasum = None if stamp.summed_from is None else DataSum()
        if datasum is not None:
            file.seek(stamp.begin)
            for _ in _rows(stamp, file, datasum):
                pass
        _check_end(stamp, file, datasum)


def _rows(stamp: StampFile, file: BinaryIO, datasum: DataSum | None) -> Iterator[NDArray]:
    """Rows of the table, some at a time, as `read_rows` gives them."""
    at_once = min(CADENCES_AT_ONCE, max(64, BYTES_AT_ONCE // stamp.row.itemsize // 4 * 4))
    return read_rows(file, stamp.row, stamp.n_cadences, at_once, datasum=datasum)


def _check_end(stamp: StampFile, file: BinaryIO, datasum: DataSum | None) -> None:
    """Look at the checksums when the table has been read."""
    if stamp.path.suffix == ".gz":
        read_to_end(file)
    elif datasum is not None and stamp.summed_from is not None:
        file.seek(stamp.summed_from)
        try:
            datasum.check(file.read(stamp.begin - stamp.summed_from), index=1)
        except InputDataError as error:
            raise OSError(f"{error} {CHANGED}") from None


def _is_summed(path: Path, table: fits.Header) -> bool:
    """Whether a table has a sum by which it can be checked; packed files have their own."""
    is_plain = path.suffix != ".gz" and table.get("PCOUNT") == 0
    return is_plain and ("CHECKSUM" in table or "DATASUM" in table)


def _headers(path: Path, file: BinaryIO) -> tuple[fits.Header, fits.Header, int]:
    """Primary header, that of PIXELS, and where this begins; the file is then at its first row."""
    primary = fits.Header.fromfile(file)
    begin = file.tell()
    try:
        table = fits.Header.fromfile(file)
    except EOFError:
        table = fits.Header()
    if str(table.get("XTENSION")).strip() != "BINTABLE" or table.get("EXTNAME") != "PIXELS":
        raise InputDataError(f"{path}: it has no table PIXELS: not a target pixel file?")
    return primary, table, begin


class _Keywords(Mapping[str, Any]):
    """Values of keywords, each understood when it is asked for, which takes most of the time.

    Of the last header that has one; None where there is none, or it cannot be understood.
    """

    def __init__(self, *headers: fits.Header) -> None:
        self._headers = headers[::-1]

    def __getitem__(self, key: str) -> str | float | bool | None:
        for header in self._headers:
            if key in header:
                try:
                    value = header[key]
                except (fits.VerifyError, ValueError):
                    return None
                return None if isinstance(value, fits.card.Undefined) else value
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for header in self._headers for key in header))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _column_number(table: fits.Header, name: str) -> int:
    """One-based number of a column that is there."""
    n_columns = read_count(table, "TFIELDS")
    names = [str(table[f"TTYPE{number}"]).strip() for number in range(1, n_columns + 1)]
    return names.index(name) + 1


def _ccd_id(path: Path, header: Mapping[str, Any]) -> CcdId:
    """CCD and cadence that the headers name."""
    sector, camera, ccd = (_whole(path, header, key) for key in ("SECTOR", "CAMERA", "CCD"))
    cadence = _whole(path, header, "NUM_FRM") * FRAME_TIME
    try:
        return CcdId(sector, camera, ccd, round(cadence))
    except ConfigError as err:
        raise InputDataError(f"{path}: {err}") from err


def _exposure_time(path: Path, header: Mapping[str, Any]) -> float:
    """Exposure time of a cadence [s]: of the frames that cosmic-ray mitigation leaves."""
    kept = KEPT_FRAMES if header.get("CRMITEN") is True else 1.0
    of_frame = _number(path, header, "INT_TIME") if "INT_TIME" in header else FRAME_TIME
    return kept * _number(path, header, "NUM_FRM") * of_frame


def _window(
    path: Path, table: Mapping[str, Any], number: int, shape: tuple[int, ...]
) -> tuple[Window, tuple[slice, slice]]:
    """Science pixels of a stamp, and where they are in its images."""
    first = [
        _whole(path, table, f"{axis}CRV{number}P")
        + 1
        - round(_number(path, table, f"{axis}CRP{number}P"))
        for axis in (2, 1)
    ]
    row0, column0 = first[0] - 1, first[1] - 1 - FIRST_SCIENCE_COLUMN
    row1, column1 = row0 + shape[0], column0 + shape[1]
    top, bottom = max(row0, 0), min(row1, SCIENCE_ROWS)
    left, right = max(column0, 0), min(column1, SCIENCE_COLUMNS)
    if top >= bottom or left >= right:
        raise InputDataError(
            f"{path}: none of its pixels are science pixels: rows {row0} to {row1 - 1}, "
            f"columns {column0} to {column1 - 1}"
        )
    cut = slice(top - row0, bottom - row0), slice(left - column0, right - column0)
    return Window(top, bottom, left, right), cut


def _wcs(path: Path, table: Mapping[str, Any], number: int) -> "WCS":
    """The celestial WCS of a column of images."""
    from astropy.wcs import WCS

    value = {
        key: _number(path, table, f"{key[0]}{key[1:]}{number}")
        for key in ("1CRPX", "2CRPX", "1CRVL", "2CRVL", "1CDLT", "2CDLT")
    }
    matrix = [[_number(path, table, f"{i}{j}PC{number}") for j in (1, 2)] for i in (1, 2)]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [value["1CRPX"], value["2CRPX"]]
    wcs.wcs.crval = [value["1CRVL"], value["2CRVL"]]
    wcs.wcs.cd = np.diag([value["1CDLT"], value["2CDLT"]]) @ np.array(matrix)
    if abs(np.linalg.det(wcs.wcs.cd)) == 0:
        raise InputDataError(f"{path}: the WCS of its column FLUX is singular")
    wcs.wcs.set()
    return wcs


def _target(header: Mapping[str, Any]) -> tuple[float, float]:
    """RA_OBJ and DEC_OBJ; the table's are at the epoch of the sector."""
    values = header.get("RA_OBJ"), header.get("DEC_OBJ")
    ra, dec = (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else float("nan")
        for value in values
    )
    return ra, dec


def _number(path: Path, header: Mapping[str, Any], key: str) -> float:
    """Value of a keyword, which must be a finite number."""
    value: Any = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputDataError(f"{path}: keyword {key} is {value!r}, not a number")
    return float(value)


def _whole(path: Path, header: Mapping[str, Any], key: str) -> int:
    """Value of a keyword, which must be a whole number."""
    value = _number(path, header, key)
    if value != round(value):
        raise InputDataError(f"{path}: keyword {key} is {value!r}, not a whole number")
    return round(value)
