"""Rows of the table PIXELS of target pixel files, streamed: what `tpf` and `tpf_stamps` share."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from isal import igzip
from numpy.typing import NDArray

from tessphot_lib.io.files.damage import read_count
from tessphot_lib.io.files.fits_checksum import DataSum

BYTES_TO_END = 1 << 20  # at once
DTYPES = {
    **{"L": "u1", "B": "u1", "A": "S1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4"},
    **{"D": ">f8", "C": ">c8", "M": ">c16"},
}


def open_tpf(path: Path) -> BinaryIO:
    """Open a target pixel file, plain or gzipped, as a stream of bytes."""
    return igzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def row_dtype(header: fits.Header, names: Iterable[str]) -> np.dtype:
    """Make the record of some columns of a table's row; pixels are (n_rows, n_columns).

    Parameters
    ----------
    header : Header
        Of the table.
    names : iterable of str

    Raises
    ------
    ValueError
        If a column is missing, or has no format of the FITS standard.
    """
    offsets, formats, position = {}, {}, 0
    for number in range(1, read_count(header, "TFIELDS") + 1):
        name = str(header[f"TTYPE{number}"]).strip()
        dtype = _cell(str(header[f"TFORM{number}"]), header.get(f"TDIM{number}"))
        offsets[name], formats[name] = position, dtype
        position += dtype.itemsize
    names = list(names)
    lacking = [name for name in names if name not in offsets]
    if lacking:
        raise ValueError(f"column {lacking[0]} is missing")
    size = read_count(header, "NAXIS1")
    if position > size:
        raise ValueError(f"its columns need {position} bytes, NAXIS1 is {size}")
    return np.dtype(
        {
            "names": names,
            "formats": [formats[name] for name in names],
            "offsets": [offsets[name] for name in names],
            "itemsize": size,
        }
    )


def read_rows(
    file: BinaryIO, row: np.dtype, n_rows: int, at_once: int, *, datasum: DataSum | None = None
) -> Iterator[NDArray]:
    """Give the rows of a table, some at a time, from a file that stands at its first byte.

    All are read to the same memory, which stays in the cache: they are to be copied before the
    next ones are asked for. To a ``datasum`` all of them are added; ``at_once`` is then a
    multiple of 4.

    Raises
    ------
    OSError
        If the file ends before the last row.
    """
    memory = np.empty(min(at_once, n_rows) * row.itemsize, dtype=np.uint8)
    rows, content = memory.view(row), memoryview(memory)
    for first in range(0, n_rows, at_once):
        count = min(at_once, n_rows - first)
        begin, end = 0, count * row.itemsize
        while begin < end:
            n_read = file.readinto(content[begin:end])
            if not n_read:
                raise OSError("it is truncated: the table ends before its last row")
            begin += n_read
        if datasum is not None:
            datasum.add(content[:end])
        yield rows[:count]


def read_to_end(file: BinaryIO) -> None:
    """Read what is left of a file: the checksum of a gzipped one stands at its end.

    Raises
    ------
    OSError or EOFError
        If it is damaged or truncated.
    """
    while file.read(BYTES_TO_END):
        pass


def _cell(form: str, dim: object) -> np.dtype:
    """Type of a cell of a column with these TFORM and TDIM."""
    match = re.match(r"(\d*)([LBAIJEKDCM])", form.strip())
    if match is None:
        raise ValueError(f"a column has the format {form!r}")
    count = int(match[1] or 1)
    shape: tuple[int, ...] = () if count == 1 else (count,)
    if dim is not None:
        sides = tuple(int(side) for side in re.findall(r"\d+", str(dim)))[::-1]
        if len(sides) == 2 and sides[0] * sides[1] == count:
            shape = sides
    return np.dtype((DTYPES[match[2]], shape))
