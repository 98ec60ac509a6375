"""FITS files straight to bytes, for the files of which millions are written.

astropy's ``HDUList`` is made for any FITS file. This module knows primary
headers, images and simple binary tables only, and costs a twentieth: 0.8 ms for
a light-curve file of 1,300 rows, 1.1 ms with the compression by igzip (91 kB),
where astropy takes 17 ms and 30 ms (86 kB), fitsio with gzip 8.8 ms (88 kB);
CPU time; `probe.py` gave 0.15 to 0.3 s.

Cards are the 80-byte strings of a header, made by `format_cards`; what is the
same in many files is made once and joined. ``CHECKSUM`` and ``DATASUM`` are in
every HDU. Follows the FITS Standard 4.0 (Appendix J for the checksums).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

BLOCK = 2880  # [bytes] headers and data are filled up to a multiple of this
GZIP_LEVEL = 2  # of 0-3
BITPIX = {"u1": 8, "i2": 16, "i4": 32, "i8": 64, "f4": -32, "f8": -64}
TABLE_DTYPES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}

_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_NOT_PRINTABLE = re.compile(r"[^ -~]")


@dataclass(frozen=True)
class TableColumn:
    """Name, format (one letter of `TABLE_DTYPES`), unit, display format and comment."""

    name: str
    format: str
    unit: str | None = None
    display: str | None = None
    comment: str = ""
    unit_comment: str = ""


@dataclass(frozen=True)
class TableLayout:
    """The columns of a binary table; made once for all tables of a kind."""

    columns: tuple[TableColumn, ...]

    @cached_property
    def dtype(self) -> np.dtype:
        """Big-endian record of one row."""
        return np.dtype([(column.name, TABLE_DTYPES[column.format]) for column in self.columns])

    @cached_property
    def cards(self) -> bytes:
        """The ``TTYPEn``, ``TFORMn``, ``TUNITn`` and ``TDISPn`` cards."""
        cards: list[tuple[str, Any, str]] = []
        for number, column in enumerate(self.columns, start=1):
            cards.append((f"TTYPE{number}", column.name, column.comment))
            cards.append((f"TFORM{number}", column.format, ""))
            if column.unit is not None:
                cards.append((f"TUNIT{number}", column.unit, column.unit_comment))
            if column.display is not None:
                cards.append((f"TDISP{number}", column.display, ""))
        return format_cards(cards)


def format_card(keyword: str, value: Any, comment: str = "") -> bytes:
    """Format one header card of 80 bytes.

    Parameters
    ----------
    keyword : str
        One to eight of A-Z, 0-9, ``_``, ``-``.
    value : bool, int, float, str or None
        numpy's scalars count as Python's. Floats keep all their digits. None,
        NaN and the infinities, which FITS cannot express, give an undefined
        value. Characters that FITS does not know become ``?``, and a string
        that does not fit into one card loses its end.
    comment : str
        Cut at the end of the card.

    Raises
    ------
    ValueError
        If the keyword is not one, or the value is of another type.
    """
    if _KEYWORD.fullmatch(keyword) is None:
        raise ValueError(f"not a FITS keyword: {keyword!r}")
    text = _format_value(keyword, value)
    card = f"{keyword:<8}= {text}"
    if comment:
        card += f" / {_printable(comment)}"
    return card[:80].ljust(80).encode("ascii")


def format_cards(cards: Iterable[tuple[str, Any, str]]) -> bytes:
    """Join the cards of ``(keyword, value, comment)`` triples, see `format_card`."""
    return b"".join([format_card(*card) for card in cards])


def primary_hdu(cards: bytes) -> bytes:
    """Make a primary HDU without data; ``cards`` follow the mandatory ones."""
    return _hdu(_PRIMARY_CARDS + cards, b"")


def image_hdu(image: NDArray, cards: bytes) -> bytes:
    """Make an image extension.

    Parameters
    ----------
    image : array
        uint8, int16, int32, int64, float32 or float64, of any number of axes.
    cards : bytes
        Of `format_cards`; they follow the mandatory ones, ``EXTNAME`` is among them.

    Raises
    ------
    ValueError
        If FITS has no images of this data type.
    """
    kind = image.dtype.str[1:]
    if kind not in BITPIX:
        raise ValueError(f"FITS has no images of type {image.dtype}")
    mandatory: list[tuple[str, Any, str]] = [
        ("XTENSION", "IMAGE", "image extension"),
        ("BITPIX", BITPIX[kind], "array data type"),
        ("NAXIS", image.ndim, "number of array dimensions"),
    ]
    mandatory += [(f"NAXIS{n}", size, "") for n, size in enumerate(image.shape[::-1], start=1)]
    mandatory += [("PCOUNT", 0, "number of parameters"), ("GCOUNT", 1, "number of groups")]
    return _hdu(format_cards(mandatory) + cards, image.astype(f">{kind}", copy=False).tobytes())


def table_hdu(layout: TableLayout, arrays: Mapping[str, NDArray], cards: bytes) -> bytes:
    """Make a binary-table extension.

    Parameters
    ----------
    layout : TableLayout
    arrays : mapping of str to (n_rows,) array
        The values of each column by its name. Floats may be rounded to the
        column's precision; integers have to fit.
    cards : bytes
        Of `format_cards`; they follow those of the columns, ``EXTNAME`` is among them.

    Raises
    ------
    ValueError
        If the arrays differ in length, or values do not fit into their column.
    """
    n_rows = len(arrays[layout.columns[0].name])
    table = np.empty(n_rows, dtype=layout.dtype)
    for name in layout.dtype.names:
        values = arrays[name]
        if values.shape != (n_rows,):
            raise ValueError(f"column {name} has shape {values.shape}, expected ({n_rows},)")
        _check_fits(name, values, layout.dtype[name])
        table[name] = values
    mandatory = [
        ("XTENSION", "BINTABLE", "binary table extension"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 2, "number of array dimensions"),
        ("NAXIS1", layout.dtype.itemsize, "length of a row in bytes"),
        ("NAXIS2", n_rows, "number of rows"),
        ("PCOUNT", 0, "number of group parameters"),
        ("GCOUNT", 1, "number of groups"),
        ("TFIELDS", len(layout.columns), "number of columns"),
    ]
    return _hdu(format_cards(mandatory) + layout.cards + cards, table.tobytes())


def gzip_bytes(data: bytes, level: int = GZIP_LEVEL) -> bytes:
    """Compress into a gzip file without name and time: equal data give equal bytes.

    Parameters
    ----------
    data : bytes
    level : int
        0 (fast) to 3 (small), the levels of igzip.
    """
    return isal_zlib.compress(data, level, wbits=31)


def _format_value(keyword: str, value: Any) -> str:
    """Value field of a card: right-justified to column 30 (strings: left), longer if need be."""
    if value is None:
        return " " * 20
    if isinstance(value, str):
        return _format_string(value)
    if isinstance(value, bool | np.bool):
        return f"{'T' if value else 'F':>20}"
    if isinstance(value, int | np.integer):
        return f"{int(value):>20}"
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return " " * 20
        text = str(value) if isinstance(value, np.floating) else repr(value)
        mantissa, _, exponent = text.partition("e")
        if "." not in mantissa:
            mantissa += ".0"
        return f"{mantissa + ('E' + exponent if exponent else ''):>20}"
    raise ValueError(f"{keyword}: no FITS header value can be made of {value!r}")


def _format_string(value: str) -> str:
    text = _printable(value).rstrip().replace("'", "''")
    if len(text) > 68:
        text = text[:68]
        if (len(text) - len(text.rstrip("'"))) % 2:  # half of a doubled apostrophe
            text = text[:-1]
    padded = f"'{text:<8}'" if text else "''"
    return f"{padded:<20}"


def _printable(text: str) -> str:
    return _NOT_PRINTABLE.sub("?", text)


def _check_fits(name: str, values: NDArray, dtype: np.dtype) -> None:
    """Raise if integers would wrap around, or floats become integers."""
    if np.can_cast(values.dtype, dtype, "safe") or dtype.kind == "f":
        return
    limits = np.iinfo(dtype)
    if values.dtype.kind not in "iu" or (
        values.size and (values.min() < limits.min or values.max() > limits.max)
    ):
        raise ValueError(f"column {name}: {values.dtype} values do not fit into {dtype}")


def _hdu(cards: bytes, data: bytes) -> bytes:
    """Fill up header and data to whole blocks, with the checksums in the header."""
    data += bytes(-len(data) % BLOCK)
    data_sum = _sum32(data)
    cards += _CHECKSUM_CARD + format_card("DATASUM", str(data_sum), "checksum of the data")
    header = cards + _END_CARD
    header += b" " * (-len(header) % BLOCK)
    checksum = _encode_checksum(~(_fold(_sum32(header) + data_sum)) & 0xFFFFFFFF)
    at = len(cards) - 160 + 11  # inside the quotes of the CHECKSUM card, last but one
    return header[:at] + checksum + header[at + 16 :] + data


def _sum32(data: bytes) -> int:
    """Sum the big-endian 32-bit words in ones' complement arithmetic."""
    return _fold(int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64)))


def _fold(total: int) -> int:
    """Add the carries back in."""
    while total > 0xFFFFFFFF:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encode_checksum(value: int) -> bytes:
    """Write 32 bits as the 16 letters and digits whose own sum they are."""
    groups = [_ENCODED_BYTES[byte] for byte in value.to_bytes(4, "big")]
    text = bytes(group[i] for i in range(4) for group in groups)
    return text[-1:] + text[:-1]  # the value of the card begins one byte off a word


def _encode_byte(byte: int) -> tuple[int, ...]:
    """Spread a byte over four ASCII letters or digits."""
    quarter, remainder = divmod(byte, 4)
    codes = [48 + quarter + remainder, 48 + quarter, 48 + quarter, 48 + quarter]
    for first in (0, 2):
        while not all(bytes([code]).isalnum() for code in codes[first : first + 2]):
            codes[first] += 1
            codes[first + 1] -= 1
    return tuple(codes)


_ENCODED_BYTES = tuple(_encode_byte(byte) for byte in range(256))
_END_CARD = b"END".ljust(80)
_CHECKSUM_CARD = format_card("CHECKSUM", "0" * 16, "checksum of the HDU")
_PRIMARY_CARDS = format_cards(
    [
        ("SIMPLE", True, "conforms to FITS standards"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 0, "number of array dimensions"),
        ("EXTEND", True, "file contains extensions"),
    ]
)
