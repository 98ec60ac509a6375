"""FITS files from outside: what libraries raise on damaged ones, and how they are opened."""

import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from astropy.io import fits
from isal import igzip, isal_zlib

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
    fits.VerifyError,
    isal_zlib.error,
    zlib.error,
)
COUNTS = ("NAXIS", "TFIELDS")
MOST = 999  # of both: FITS Standard 4.0, sections 4.4.1.1 and 7.3.1
GZIP = b"\x1f\x8b"


def open_fits(path: Path, **options: Any) -> fits.HDUList:
    """Open a FITS file, maybe gzipped, if its headers name possible numbers of axes and columns.

    astropy counts through the axes that ``NAXIS`` names, and the columns of
    ``TFIELDS``, before it looks at any of them:
    a damaged one keeps it busy for hours, and takes all memory.

    Parameters
    ----------
    path : Path
    **options
        Of `astropy.io.fits.open`.

    Raises
    ------
    OSError
        If ``NAXIS`` or ``TFIELDS`` of any HDU is no number from 0 to 999, or the file cannot
        be opened.
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
    """Go from header to header; where there is none, the rest is left for astropy to judge."""
    number = 0
    while (header := _next_header(file)) is not None:
        for key in COUNTS:
            count = header.get(key, 0)
            if type(count) is not int or not 0 <= count <= MOST:
                raise OSError(f"{key} of HDU {number} is {count!r}, not a number from 0 to {MOST}")
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
