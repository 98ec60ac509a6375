"""FITS files of simple HDUs from bytes: the counterpart of `tessphot_lib.io.files.fits_bytes`.

astropy reads any FITS file, and takes 20 ms for the headers of a light-curve file. This module
knows images and binary tables of numbers and texts of fixed length, as this package writes them.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from tessphot_lib.io.files.fits_bytes import BITPIX, BLOCK, TABLE_DTYPES

CARD = 80  # [bytes]
NOT_READABLE = (
    *(OSError, EOFError, isal_zlib.error),
    *(ArithmeticError, LookupError, TypeError, ValueError),
)
DTYPES = TABLE_DTYPES | {"A": "S", "L": "i1"}
COMMENTARY = ("", "COMMENT", "HISTORY")  # keywords that have no value

_FORM = re.compile(r"(\d*)([A-Z]) *")
_TEXT = re.compile(r" *'((?:[^']|'')*)'")
_KIND_OF_BITPIX = {bitpix: f">{kind}" for kind, bitpix in BITPIX.items()}
_LOGICAL = {"T": True, "F": False}


@dataclass(frozen=True)
class Hdu:
    """Header and data of one HDU.

    Attributes
    ----------
    header : dict
        Values by keyword, without comments and keywords without a value.
    data : memoryview
        Without the bytes that fill the last block.
    """

    header: dict[str, Any]
    data: memoryview

    def image(self) -> NDArray:
        """Return the image, as a copy in the byte order of the machine.

        Raises
        ------
        ValueError
            If it is scaled.
        """
        if "BZERO" in self.header or "BSCALE" in self.header:
            raise ValueError("its images are scaled")
        kind = np.dtype(_KIND_OF_BITPIX[self.header["BITPIX"]])
        return np.frombuffer(self.data, kind).reshape(_shape(self.header)).astype(kind.type)

    def table(self) -> NDArray:
        """Return the rows of the table, big-endian and not to be written to.

        Raises
        ------
        ValueError
            If a column is of variable length, of another type, or scaled.
        """
        columns = []
        for number in range(1, self.header["TFIELDS"] + 1):
            form = _FORM.fullmatch(self.header[f"TFORM{number}"])
            is_scaled = {f"TZERO{number}", f"TSCAL{number}"} & self.header.keys()
            if form is None or form[2] not in DTYPES or is_scaled:
                raise ValueError(f"TFORM{number} is {self.header[f'TFORM{number}']!r}")
            repeat, kind = form[1] or "1", DTYPES[form[2]]
            kind = f"S{repeat}" if kind == "S" else kind if repeat == "1" else f"{repeat}{kind}"
            columns.append((self.header[f"TTYPE{number}"], kind))
        row = np.dtype(columns)
        if row.itemsize != self.header["NAXIS1"]:
            raise ValueError(f"rows of {self.header['NAXIS1']} bytes, columns of {row.itemsize}")
        return np.frombuffer(self.data, row, count=self.header["NAXIS2"])


def read_hdus(path: Path) -> dict[str, Hdu]:
    """Read the HDUs of a file, gzipped or not, by their names; the first one is ``PRIMARY``.

    Raises
    ------
    One of NOT_READABLE
        If the file is not there, or is no such file.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = igzip.decompress(content)
    return {str(hdu.header.get("EXTNAME", "PRIMARY")): hdu for hdu in _split(content)}


def _split(content: bytes) -> Iterator[Hdu]:
    """Find the HDUs one after the other."""
    if not content.startswith(b"SIMPLE  ="):
        raise ValueError("it is no FITS file")
    view = memoryview(content)
    at = 0
    while at < len(content):
        header: dict[str, Any] = {}
        while (card := content[at : at + CARD]).rstrip() != b"END":
            if len(card) < CARD:
                raise EOFError("it ends within a header")
            keyword = card[:8].decode("ascii").rstrip()
            if card[8:10] == b"= " and keyword not in COMMENTARY:
                value = _value(card[10:].decode("ascii"))
                header |= {} if value is None else {keyword: value}
            at += CARD
        at += CARD
        at += -at % BLOCK
        size = math.prod(_shape(header)) + header.get("PCOUNT", 0) if header["NAXIS"] else 0
        size *= abs(header["BITPIX"]) // 8
        if not 0 <= size <= len(content) - at:
            raise EOFError("it ends within the data")
        yield Hdu(header, view[at : at + size])
        at += size + -size % BLOCK


def _shape(header: dict[str, Any]) -> tuple[int, ...]:
    return tuple(header[f"NAXIS{axis}"] for axis in range(header["NAXIS"], 0, -1))


def _value(field: str) -> bool | int | float | str | None:
    """Value of a card from what follows its ``=``; None: undefined."""
    if (text := _TEXT.match(field)) is not None:
        return text[1].replace("''", "'").rstrip()
    word = field.partition("/")[0].strip()
    if not word:
        return None
    if word in _LOGICAL:
        return _LOGICAL[word]
    try:
        return int(word)
    except ValueError:
        return float(word.replace("D", "E"))
