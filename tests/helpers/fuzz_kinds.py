"""Faults that files have in practice, one per case, and what must come of each.

`known_fault` makes one of: rows of pixels that are exactly 0, errors of 0, sentinels, files of
another kind under the name, archives under the name, keys that are there twice, rows that are
missing. Either the file is refused with words that say why, or what is read is known.
"""

import bz2
import copy
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from fuzz_exact import STAR_COLUMNS, assert_same, assert_same_stars

from tessphot_lib.core.noise_model import is_sane
from tessphot_lib.quality.missing_pixels import without_missing

PAGE = b"<!DOCTYPE html>\n<html><head><title>503</title></head><body>Try later</body></html>\n"
SENTINELS = {  # values that stand for none, and are impossible
    "ra": (-999.0, 999.0, -9999.0),
    "dec": (-999.0, 99.0, -9999.0),
    "Tmag": (-9999.0, -99.0, 99.0, 9999.0),
    "pmRA": (-9999.0, 1e20, 99999.0),
    "pmDEC": (-9999.0, 1e20),
    "Teff": (-9999.0, 0.0, -1.0),
    "ID": (-1, 0, -9999),
}
FFI_KEYS = ("TSTART", "TSTOP", "BARYCORR", "EXPOSURE", "CAMERA", "CCD")


class Fault(NamedTuple):
    """A file, and what must come of it.

    ``refused`` is a word of the message if it must be refused; else ``check`` takes what was
    read, and ``may_refuse`` says whether it may be refused, too.
    """

    content: bytes
    refused: str | None = None
    check: Callable[[Any], None] | None = None
    may_refuse: bool = False


def known_fault(kind, content, good, others, draw):
    """Make one fault.

    Parameters
    ----------
    kind : str
        Of the sample, without ".gz".
    content : bytes
    good : object
        What is read from it.
    others : dict of str to bytes
        The samples of all kinds.

    Returns
    -------
    name : str
    fault : Fault
    """
    ways = [foreign, archive, *WAYS.get(kind, ())]
    way = draw.choice(ways)
    if way is foreign:
        return "foreign", foreign(kind, others, draw)
    if way is archive:
        return "archive", archive(kind, content, good, draw)
    return way.__name__, way(content, good, draw)


def family(kind):
    """Kinds that one reader takes for the same."""
    kind = kind.removesuffix(" .gz")
    return "TIC" if kind.startswith("TIC") else "orbit" if kind in ("ephemeris", "kernel") else kind


def foreign(kind, others, draw):
    """A file of another kind, or of none, under the name."""
    found = [one for name, one in others.items() if family(name) != family(kind)]
    return Fault(
        draw.choice([*found, PAGE, b"\x89PNG\r\n\x1a\n" + bytes(300), b"{}\n", b"\n" * 9]), ""
    )


def archive(kind, content, good, draw):
    """The file in an archive, or compressed once more: refused, or read as what is in it."""
    packed = {"zip": io.BytesIO(), "tar": io.BytesIO()}
    with zipfile.ZipFile(packed["zip"], "w") as file:
        file.writestr("member", content)
    with tarfile.open(fileobj=packed["tar"], mode="w") as file:
        about = tarfile.TarInfo("member")
        about.size = len(content)
        file.addfile(about, io.BytesIO(content))
    made = {name: one.getvalue() for name, one in packed.items()}
    made |= {"bz2": bz2.compress(content), "xz": lzma.compress(content, preset=0)}
    made["gz"] = gzip.compress(content, 1, mtime=0)
    return Fault(
        made[draw.choice(list(made))], None, lambda found: same(found, good), may_refuse=True
    )


def same(found, good):
    """What was read is as of the good file."""
    assert type(found) is type(good)
    if isinstance(good, tuple):
        for one, other in zip(found, good, strict=True):
            same(one, other)
    elif hasattr(good, "__dataclass_fields__"):
        for name in ("flux", "flux_err", "time", "timecorr", "cadenceno", "quality", "position"):
            if hasattr(good, name):
                assert_same(getattr(found, name), getattr(good, name), name)
    elif hasattr(good, "columns"):
        assert_same_stars(found, good)
    elif isinstance(good, np.ndarray):
        assert_same(found, good, "array")


def rewritten(content, change):
    """Change the HDUs of a FITS file; returns the new file."""
    result = io.BytesIO()
    with fits.open(io.BytesIO(content)) as hdus:
        change(hdus)
        hdus.writeto(result)
    return result.getvalue()


def some_rows(n_rows, draw):
    """Rows that stay: not all, in order."""
    gone = draw.sample(range(n_rows), draw.randint(1, max(1, n_rows // 2)))
    return np.setdiff1d(np.arange(n_rows), gone)


# -- full-frame images ---------------------------------------------------------------------------


def ffi_partial_zeros(content, good, draw):
    """Rows of an image that were never filled, flux and error: no data there, all else as ever."""
    n_rows = good.flux.shape[0]
    first = draw.randrange(n_rows)
    rows = slice(first, draw.randint(first + 1, n_rows))

    def change(hdus):
        for hdu in hdus[1:3]:
            hdu.data[3 + rows.start : 3 + rows.stop] = 0  # the window of fuzz.py begins in row 3

    def check(found):
        flux = np.array(good.flux)
        flux[rows] = np.nan
        assert_same(without_missing(found.flux), flux, "flux")
        assert_same(found.flux_err[: rows.start], good.flux_err[: rows.start], "flux_err")

    return Fault(rewritten(content, change), None, check)


def ffi_zero_errors(content, good, draw):
    """Errors of 0 are read as they are, and not believed."""
    value = draw.choice([0.0, -1.0, np.nan, 1e30])

    def change(hdus):
        hdus[2].data[...] = value

    def check(found):
        assert_same(found.flux, good.flux, "flux")
        assert not is_sane(found.flux_err, np.full(found.flux.shape, 5.0)).any()

    return Fault(rewritten(content, change), None, check)


def ffi_card_twice(content, good, draw):
    """A keyword of the image with another value once more."""
    key = draw.choice(FFI_KEYS)
    return Fault(card_twice(content, 1, key), f"keyword {key} is there twice")


def card_twice(content, number, key):
    def change(hdus):
        header = hdus[number].header
        header.append((key, header[key] + 1))

    return rewritten(content, change)


# -- tables of images ----------------------------------------------------------------------------


def tpf_rows_missing(content, good, draw):
    """The other rows are as they were."""
    stay = some_rows(len(good.time), draw)

    def change(hdus):
        hdus[1].data = hdus[1].data[stay]

    def check(found):
        for name in ("time", "timecorr", "cadenceno", "quality"):
            assert_same(getattr(found, name), getattr(good, name)[stay], name)

    return Fault(rewritten(content, change), None, check)


def cutout_rows_missing(content, good, draw):
    """The other rows keep their times and numbers."""
    stay = some_rows(len(good[0].time), draw)

    def change(hdus):
        hdus[1].data = hdus[1].data[stay]

    def check(found):
        for name in ("name", "timecorr", "cadenceno", "quality"):
            assert_same(getattr(found[0], name), getattr(good[0], name)[stay], name)
        np.testing.assert_allclose(found[0].time, good[0].time[stay], rtol=0, atol=1e-9)
        assert_same(found[1], good[1][stay], "flux")

    return Fault(rewritten(content, change), None, check)


def cutout_partial_zeros(content, good, draw):
    """Rows of pixels of one image that are exactly 0."""
    image = draw.randrange(len(good[1]))
    n_rows = good[1].shape[1]
    rows = slice(0, draw.randint(1, n_rows))

    def change(hdus):
        for name in ("FLUX", "FLUX_ERR"):
            hdus[1].data[name][image, rows] = 0

    def check(found):
        flux = np.array(good[1])
        flux[image, rows] = np.nan
        assert_same(without_missing(found[1]), flux, "flux")

    return Fault(rewritten(content, change), None, check)


def cutout_zero_errors(content, good, draw):
    value = draw.choice([0.0, -1.0, np.nan])

    def change(hdus):
        hdus[1].data["FLUX_ERR"][...] = value

    def check(found):
        assert_same(found[1], good[1], "flux")
        assert not is_sane(found[2], np.full(found[1].shape, 5.0)).any()

    return Fault(rewritten(content, change), None, check)


def cutout_image_twice(content, good, draw):
    """The second row of an image has no time and no number."""
    n_rows = len(good[0].time)
    order = np.sort(np.append(np.arange(n_rows), draw.randrange(n_rows)))
    again = np.append(False, np.diff(order) == 0)

    def change(hdus):
        hdus[1].data = hdus[1].data[order]

    def check(found):
        wanted = np.where(again, np.nan, good[0].time[order])
        np.testing.assert_allclose(found[0].time, wanted, rtol=0, atol=1e-9)
        assert_same(found[0].cadenceno, np.where(again, -1, good[0].cadenceno[order]), "cadenceno")

    return Fault(rewritten(content, change), None, check)


def cutout_card_twice(content, good, draw):
    key = draw.choice(["SECTOR", "CAMERA", "CCD", "FFIINDEX", "TSTART", "RA_OBJ"])
    return Fault(card_twice(content, 0, key), f"keyword {key} is there twice")


# -- lists of stars ------------------------------------------------------------------------------


def lines_of(content):
    """Comments, names and separator, and rows of a table in text."""
    lines = content.decode().splitlines()
    first = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return lines[: first + 1], "," if "," in lines[first] else " ", lines[first + 1 :]


def joined(head, rows):
    return ("\n".join([*head, *rows]) + "\n").encode()


def star_sentinel(content, good, draw):
    """Numbers that stand for none are refused with their row and value."""
    head, separator, rows = lines_of(content)
    names, row = head[-1].split(separator), draw.choice([0, 1, 3])  # not the phantom
    name = draw.choice(list(SENTINELS))
    words = rows[row].split(separator)
    words[names.index(name)] = str(draw.choice(SENTINELS[name]))
    rows[row] = separator.join(words)
    return Fault(joined(head, rows), f"row {row + 1}, column {name}: ")


def star_sentinel_in_table(content, good, draw):
    row, name = draw.choice([0, 1, 3]), draw.choice(list(SENTINELS))
    value = draw.choice(SENTINELS[name])

    def change(hdus):
        hdus[1].data[name][row] = value

    return Fault(rewritten(content, change), f"row {row + 1}, column {name}: ")


def star_twice(content, good, draw):
    """Of rows of one number the first counts."""
    head, _, rows = lines_of(content)
    rows.append(rows[draw.randrange(len(rows))])
    return Fault(joined(head, rows), None, lambda found: assert_same_stars(found, good))


def star_rows_missing(content, good, draw):
    head, separator, rows = lines_of(content)
    stay = some_rows(len(rows), draw)
    number = head[-1].split(separator).index("ID")
    numbers = [int(rows[row].split(separator)[number]) for row in stay]
    wanted = good[good["tic_id"].isin(numbers)].reset_index(drop=True)
    left = [rows[row] for row in stay]
    return Fault(joined(head, left), None, lambda found: assert_same_stars(found, wanted))


def star_column_twice(content, good, draw):
    """Which of the two is meant?"""
    head, separator, rows = lines_of(content)
    name = draw.choice(list(STAR_COLUMNS))
    head[-1] += separator + draw.choice([name, name.lower(), name.upper()])
    rows = [f"{row}{separator}1" for row in rows]
    return Fault(joined(head, rows), f"column {name.lower()!r} is there 2 times")


# -- others --------------------------------------------------------------------------------------


def vectors_missing(content, good, draw):
    """Between the vectors that are left TESS is where it was, or the gap is told."""
    lines = content.split(b"\n")
    first, last = lines.index(b"$$SOE") + 1, lines.index(b"$$EOE")
    start = draw.randrange(first + 1, last - 4)
    del lines[start : start + draw.randint(1, 3)]

    def check(found):
        assert np.abs(found.position - good.position).max() < 300.0  # [km]: 1 ms

    return Fault(b"\n".join(lines), None, check, may_refuse=True)


def key_twice(content, good, draw):
    """A section, or a key, that is there twice: the first would be lost."""
    section = draw.choice(["input", "catalog", "prepare", "simulation", "output"])
    if draw.random() < 0.5:
        return Fault(content + f"\n{section}: {{}}\n".encode(), f"{section!r} is there twice")
    text = content.decode().replace("  n_images: 96\n", "  n_images: 96\n  n_images: 95\n")
    return Fault(text.encode(), "'n_images' is there twice")


def copied_setting(content, good, draw):
    """The same section in another order: the same."""
    lines = content.decode().split("\n\n")
    wanted = copy.deepcopy(good)

    def check(found):
        assert found == wanted

    return Fault(
        "\n\n".join([lines[0], *draw.sample(lines[1:], len(lines) - 1)]).encode(), None, check
    )


TEXT_STARS = (star_sentinel, star_twice, star_rows_missing, star_column_twice)
WAYS = {
    "FFI": (ffi_partial_zeros, ffi_zero_errors, ffi_card_twice),
    "target pixel file": (tpf_rows_missing,),
    "cutout": (
        *(cutout_rows_missing, cutout_partial_zeros, cutout_zero_errors, cutout_image_twice),
        cutout_card_twice,
    ),
    "TIC .csv": TEXT_STARS,
    "TIC .ecsv": TEXT_STARS,
    "TIC .fits": (star_sentinel_in_table,),
    "ephemeris": (vectors_missing,),
    "config": (key_twice, copied_setting),
}
