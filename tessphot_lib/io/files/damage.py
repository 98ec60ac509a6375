"""FITS files from outside: what libraries raise on damaged ones, and how they are opened."""

import io
import math
import re
import traceback
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from isal import igzip, isal_zlib

from tessphot_lib.core.errors import InputDataError

# Found by damaging files at random (make fuzz): a header whose cards contradict each other, or
# hold text where a number is meant, gives any of these, not only what the libraries document.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    UnboundLocalError,  # in astropy, of a TFORM that it does not understand
    ValueError,
    AstropyWarning,  # which the reader of VOTables raises, too
    fits.VerifyError,
    isal_zlib.error,
    zlib.error,
)
# Of these, what our own code raises itself is a mistake in it, and no damage to a file.
MISTAKES = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, NameError)
OUR_PACKAGE = __name__.split(".")[0]
COUNTS = ("NAXIS", "TFIELDS")
MOST = 999  # of both: FITS Standard 4.0, sections 4.4.1.1 and 7.3.1
GZIP = b"\x1f\x8b"
FITS_BLOCK = 2880  # [bytes]
FIRST_WORDS = (b"SIMPLE  ", b"XTENSION")  # of headers


@contextmanager
def told_as_damage(path: Path) -> Iterator[None]:
    """Turn what libraries raise on damaged content into one line that names the file.

    The block should do nothing but read. Errors that tell of a mistake in a program
    (`MISTAKES`) count as damage only where a library raises them, not this package: it has to
    look at what it takes from a file.

    Raises
    ------
    InputDataError
    """
    try:
        yield
    except DAMAGED as error:
        if isinstance(error, MISTAKES) and _is_raised_by_us(error):
            raise
        reason = str(error) or type(error).__name__
        raise InputDataError(f"{path}: cannot be read: {reason}") from error


def _is_raised_by_us(error: BaseException) -> bool:
    """Return whether the innermost Python function that it comes from is one of this package."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").split(".")[0] == OUR_PACKAGE


def read_count(header: fits.Header, key: str) -> int:
    """Value of a keyword that tells how many there are of something.

    Raises
    ------
    KeyError, ValueError
        If it is missing, or no whole number from 0.
    """
    value = header[key]
    if type(value) is not int or value < 0:
        raise ValueError(f"keyword {key} is {value!r}, not a whole number")
    return value


def read_number(path: Path, header: fits.Header, key: str, default: float | None = None) -> float:
    """Value of a keyword, which must be a finite number; ``default`` where there is none.

    Raises
    ------
    InputDataError
        If it is missing without a default, or no finite number.
    """
    if key not in header and default is not None:
        return default
    try:
        value = header[key]
    except (fits.VerifyError, KeyError) as err:
        raise InputDataError(f"{path}: keyword {key}: {err}") from err
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputDataError(f"{path}: keyword {key} is {value!r}, not a number")
    return float(value)


def refuse_twice(path: Path, header: fits.Header, keys: Iterable[str]) -> None:
    """Refuse keywords that a header has twice with different values.

    Raises
    ------
    InputDataError
    """
    for key in keys:
        if key in header and header.count(key) > 1:
            values = [card.value for card in header.cards if card.keyword == key]
            if any(value != values[0] for value in values):
                said = " and ".join(map(repr, values))
                raise InputDataError(f"{path}: keyword {key} is there twice: {said}")


def open_fits(path: Path, **options: Any) -> fits.HDUList:
    """Open a FITS file, maybe gzipped, if it is whole and its headers name possible numbers.

    astropy counts through the axes that ``NAXIS`` names, and the columns of
    ``TFIELDS``, before it looks at any of them:
    a damaged one keeps it busy for hours, and takes all memory. Of a file that ends too early it
    reads what is there.

    Parameters
    ----------
    path : Path
    **options
        Of `astropy.io.fits.open`.

    Raises
    ------
    OSError
        If ``NAXIS`` or ``TFIELDS`` of any HDU is no number from 0 to 999, the file is empty or
        ends before its headers say, or it cannot be opened.
    Other exceptions of `DAMAGED`
        Of astropy and of the decompression.
    """
    with path.open("rb") as file:
        if file.read(len(GZIP)) != GZIP:
            file.seek(0)
            _check_axes(file)
            return fits.open(path, **options)
    # At once: of a damaged packed file astropy takes the size for that of what is in it, goes
    # back to where it has been, and never ends.
    unpacked = io.BytesIO(igzip.decompress(path.read_bytes()))
    _check_axes(unpacked)
    unpacked.seek(0)
    return fits.open(unpacked, **options)


def _check_axes(file: BinaryIO) -> None:
    """Go from header to header; what is no header is left for astropy to judge."""
    n_bytes = file.seek(0, 2)
    if n_bytes == 0:
        raise OSError("it is empty")
    number = position = 0
    while position < n_bytes:
        file.seek(position)
        header = _next_header(file)
        if header is None:
            _check_cut_header(file, position, number)
            return
        for key in COUNTS:
            count = header.get(key, 0)
            if type(count) is not int or not 0 <= count <= MOST:
                raise OSError(f"{key} of HDU {number} is {count!r}, not a number from 0 to {MOST}")
        size, padded = header.data_size, header.data_size_padded
        if type(size) is not int or size < 0:
            raise OSError(f"the size of HDU {number} is {size} bytes")
        wanted = file.tell() + size  # some programs leave out the last padding
        if wanted > n_bytes:
            raise OSError(
                f"it is truncated: {n_bytes} bytes, the header of HDU {number} asks for {wanted}"
            )
        position = file.tell() + padded
        number += 1


def _check_cut_header(file: BinaryIO, position: int, number: int) -> None:
    """Raise OSError where the file ends within a header."""
    file.seek(position)
    content = file.read()
    end = re.search(rb"END {77}", content)
    is_complete = end is not None and len(content) >= -(-end.end() // FITS_BLOCK) * FITS_BLOCK
    if content.startswith(FIRST_WORDS) and not is_complete:
        raise OSError(f"it is truncated: it ends in the header of HDU {number}")


def _next_header(file: BinaryIO) -> fits.Header | None:
    """Read a header; None at the end of the file, or where something else stands there."""
    try:
        return fits.Header.fromfile(file)
    except (EOFError, OSError, ValueError, fits.VerifyError, zlib.error):
        return None
