"""FITS files from outside: what libraries raise on damaged ones, and how they are opened."""

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from astropy.io import fits
from isal import isal_zlib

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
    ValueError,
    fits.VerifyError,
    isal_zlib.error,
    zlib.error,
)
MAX_AXES = 999  # FITS Standard 4.0, section 4.4.1.1
GZIP = b"\x1f\x8b"


def open_fits(path: Path, **options: Any) -> fits.HDUList:
    """Open a FITS file, plain or gzipped, once its headers name possible numbers of axes.

    astropy counts through the axes that ``NAXIS`` names before it looks at any
    of them: a damaged one keeps it busy for hours, and takes all memory.

    Parameters
    ----------
    path : Path
    **options
        Of `astropy.io.fits.open`.

    Raises
    ------
    OSError
        If ``NAXIS`` of any HDU is no number from 0 to 999, or the file cannot be opened.
    """
    with path.open("rb") as file:
        is_packed = file.read(len(GZIP)) == GZIP
    # As astropy does it: igzip would see some damage before it, and other damage after it.
    with gzip.open(path) if is_packed else path.open("rb") as file:
        _check_axes(file)
    return fits.open(path, **options)


def _check_axes(file: BinaryIO) -> None:
    """Go from header to header; where there is none, the rest is left for astropy to judge."""
    number = 0
    while (header := _next_header(file)) is not None:
        n_axes = header.get("NAXIS", 0)
        if type(n_axes) is not int or not 0 <= n_axes <= MAX_AXES:
            raise OSError(f"NAXIS of HDU {number} is {n_axes!r}, not a number from 0 to {MAX_AXES}")
        size = header.data_size_padded
        if size < 0:
            raise OSError(f"the size of HDU {number} is {size} bytes")
        try:
            file.seek(size, 1)
        except (EOFError, OSError, OverflowError, zlib.error):
            return  # the file ends before
        number += 1


def _next_header(file: BinaryIO) -> fits.Header | None:
    """Read a header; None at the end of the file, or where something else stands there."""
    try:
        return fits.Header.fromfile(file)
    except (EOFError, OSError, ValueError, fits.VerifyError, zlib.error):
        return None
