"""Is a FITS file whole and undamaged? Structure and checksums, without reading it as images.

``CHECKSUM`` makes the sum over a whole HDU, in ones' complement arithmetic of
32-bit words, minus zero; ``DATASUM`` is the sum over the data (FITS Standard 4.0,
Appendix J). A full-frame image takes 8 ms (astropy: 16 ms).

In SPOC's files the comment of ``CHECKSUM`` holds the second at which the sum was
made, and is part of the sum. Where the clock went on before it was written, the
sum is wrong, and right with the second before: so it is in the first HDU of
``tess2018206192942-s0001-1-4-0120-s_ffic.fits``. astropy would refuse that image.
"""

import math
import mmap
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tessphot_lib.core.errors import InputDataError

BLOCK = 2880  # [bytes]
CARD = 80  # [bytes]
MINUS_ZERO = 0xFFFFFFFF
SECONDS_LATE = (1, 2)  # [s] by which the date beside a checksum may be wrong
DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def verify_fits(path: Path, *, n_hdus: int = 1) -> int:
    """Check that a FITS file is complete and its checksums are right.

    Parameters
    ----------
    path : Path
        Not compressed.
    n_hdus : int
        How many HDUs it must have, at least.

    Returns
    -------
    int
        How many HDUs carry a checksum; what carries none cannot be checked.

    Raises
    ------
    InputDataError
        With the reason, and without the path.
    """
    if path.stat().st_size == 0:
        raise InputDataError("it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _verify(content, n_hdus)


class DataSum:
    """Sum of the data of an HDU that come part by part, to be compared with its header."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, part: memoryview | bytes) -> None:
        """Add bytes, of all parts but the last a multiple of 4; what is missing counts as 0."""
        n_whole = len(part) // 4 * 4
        self._sum += _sum32(part[:n_whole])
        rest = bytes(part[n_whole:])
        self._sum += int.from_bytes(rest.ljust(4, b"\0"), "big") if rest else 0

    def check(self, cards: bytes, index: int) -> None:
        """Compare ``CHECKSUM`` and ``DATASUM`` of the header of an HDU, if it has them.

        Raises
        ------
        InputDataError
            If one is wrong, without the path.
        """
        _verify_sums(cards, _values(cards), self._sum % MINUS_ZERO, index)


def header_length(content: bytes | mmap.mmap, begin: int = 0) -> int | None:
    """Return the length of the header that begins somewhere; None if its end is not there."""
    for block in range(begin, len(content) - BLOCK + 1, BLOCK):
        cards = content[block : block + BLOCK]
        if any(cards[at : at + 8] == b"END     " for at in range(0, BLOCK, CARD)):
            return block + BLOCK - begin
    return None


def check_begin(content: bytes | mmap.mmap, begin: int = 0) -> None:
    """Check that an HDU begins somewhere.

    Raises
    ------
    InputDataError
        If none does.
    """
    if content[begin : begin + 9] not in (b"SIMPLE  =", b"XTENSION="):
        raise InputDataError(f"it is not FITS: {bytes(content[begin : begin + 40])!r}")


def _verify(content: mmap.mmap, n_hdus: int) -> int:
    begin, index, n_with_sum = 0, 0, 0
    while begin < len(content):
        check_begin(content, begin)
        length = header_length(content, begin)
        if length is None:
            raise InputDataError(f"it ends in the header of HDU {index}")
        cards = bytes(content[begin : begin + length])
        try:
            values = _values(cards)
            data = begin + length
            end = data + _data_length(values)
            if end > len(content):
                raise InputDataError(f"it ends in HDU {index}, after {len(content)} of {end} bytes")
            n_with_sum += _verify_sums(cards, values, _sum32(content, data, end), index)
        except (KeyError, ValueError) as error:
            raise InputDataError(f"HDU {index} cannot be understood: {error}") from None
        begin, index = end, index + 1
    if index < n_hdus:
        raise InputDataError(f"it has {index} HDUs, not {n_hdus}")
    return n_with_sum


def _values(cards: bytes) -> dict[str, str]:
    """Values of the keywords as texts, without quotes; enough for those that are needed here."""
    values = {}
    for at in range(0, len(cards), CARD):
        card = cards[at : at + CARD].decode("latin-1")
        if card[8:10] == "= ":
            quoted = re.match(r" *'([^']*)'", card[10:])
            value = quoted[1] if quoted else card[10:].partition("/")[0]
            values[card[:8].rstrip()] = value.strip()
    return values


def _data_length(values: dict[str, str]) -> int:
    """Return the size of the data of an HDU [bytes], padding included."""
    axes = [int(values[f"NAXIS{axis}"]) for axis in range(1, int(values["NAXIS"]) + 1)]
    if not axes:
        return 0
    n_values = int(values.get("GCOUNT", 1)) * (int(values.get("PCOUNT", 0)) + math.prod(axes))
    n_bytes = n_values * abs(int(values["BITPIX"])) // 8
    if n_bytes < 0:
        raise ValueError(f"its data have {n_bytes} bytes")
    return -(-n_bytes // BLOCK) * BLOCK


def _verify_sums(cards: bytes, values: dict[str, str], data_sum: int, index: int) -> bool:
    """Check the sums of one HDU; return whether it has any."""
    said = values.get("DATASUM")
    if said and data_sum != int(said) % MINUS_ZERO:
        raise InputDataError(f"HDU {index} has a wrong DATASUM: {data_sum}, not {said}")
    if values.get("CHECKSUM"):
        sums = [(_sum32(one) + data_sum) % MINUS_ZERO for one in (cards, *_dated_earlier(cards))]
        if 0 not in sums:
            raise InputDataError(f"HDU {index} has a wrong CHECKSUM: it is off by {sums[0]}")
    return bool(said or values.get("CHECKSUM"))


def _dated_earlier(cards: bytes) -> list[bytes]:
    """The header, with earlier dates in the comment of its checksum."""
    for at in range(0, len(cards), CARD):
        if cards[at : at + 9] != b"CHECKSUM=":
            continue
        date = DATE.search(cards, at, at + CARD)
        if date is None:
            return []
        try:
            said = datetime.fromisoformat(date[0].decode())
        except ValueError:
            return []
        earlier = [(said - timedelta(seconds=late)).isoformat() for late in SECONDS_LATE]
        return [cards[: date.start()] + one.encode() + cards[date.end() :] for one in earlier]
    return []


def _sum32(content: bytes | memoryview | mmap.mmap, begin: int = 0, end: int | None = None) -> int:
    """Sum the big-endian 32-bit words modulo 2**32 - 1."""
    count = ((len(content) if end is None else end) - begin) // 4
    words = np.frombuffer(content, dtype=">u4", offset=begin, count=count)
    return int(words.sum(dtype=np.uint64)) % MINUS_ZERO
