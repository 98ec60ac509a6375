"""Files in which one value is changed to another that could be true, and what must come of it.

`one_value` changes one byte of a pixel or cell, one header card, one word of a table or one
setting. What is read has to have that value in its place (decoded here by numpy alone) and be
as before in all else; or the file is refused.
"""

import copy
import io
import re
import struct

import numpy as np
import yaml
from astropy.io import fits

FFI_WINDOW = np.s_[3:20, 44 + 2 : 44 + 14]  # of the whole image: that of fuzz.py
MISSION = 1 << 16  # from this bit on a quality is not the mission's
FFI_KEYS = {  # keyword to the attribute that it is
    "TSTART": "time_start",
    "TSTOP": "time_stop",
    "BARYCORR": "timecorr",
    "FFIINDEX": "cadenceno",
    "DQUALITY": "quality",
    "EXPOSURE": "exposure_time",
}
FFI_ATTRIBUTES = ("flux", "flux_err", *FFI_KEYS.values())
SECONDS = 86400.0
STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|TFIELDS|CHECKSUM|DATASUM"
)
STAR_COLUMNS = {"ID": "tic_id", "ra": "ra_j2000", "dec": "dec_j2000", "Tmag": "tmag"}
STAR_COLUMNS |= {"pmRA": "pm_ra", "pmDEC": "pm_dec", "Teff": "teff"}


def one_value(kind, content, good, draw):
    """Change one value.

    Returns
    -------
    changed : bytes, or None
        None where no way is known.
    check : callable
        Takes what was read, and raises AssertionError if that is not what it should be.
    """
    ways = {
        "FFI": [ffi_pixel, ffi_card],
        "target pixel file": [tpf_cell],
        "cutout": [cutout_cell],
        "TIC .csv": [star_word],
        "TIC .ecsv": [star_word],
        "TIC .fits": [star_cell],
        "ephemeris": [vector_word],
        "kernel": [kernel_byte],
        "config": [setting],
    }.get(kind)
    return draw.choice(ways)(content, good, draw) if ways else (None, None)


def assert_same(found, wanted, what):
    np.testing.assert_array_equal(found, wanted, err_msg=what, strict=False)


def data_of(content, number):
    """Place of the data of an HDU, and the HDU."""
    with fits.open(io.BytesIO(content)) as hdus:
        hdus[number].data  # noqa: B018  (astropy reads when it is asked)
        return hdus[number].fileinfo()["datLoc"], hdus[number]


def another_byte(content, place, draw):
    changed = bytearray(content)
    changed[place] = (changed[place] + draw.randrange(1, 256)) % 256
    return bytes(changed)


def ffi_pixel(content, good, draw):
    """A byte of a pixel, in the window or out of it."""
    places = [data_of(content, number)[0] for number in (1, 2)]
    shape = data_of(content, 1)[1].shape
    n_bytes = 4 * shape[0] * shape[1]
    changed = another_byte(content, draw.choice(places) + draw.randrange(n_bytes), draw)
    images = [
        np.frombuffer(changed, ">f4", shape[0] * shape[1], place).reshape(shape)[FFI_WINDOW]
        for place in places
    ]

    def check(found):
        for name in FFI_ATTRIBUTES[2:]:
            assert_same(getattr(found, name), getattr(good, name), name)
        for name, image in zip(("flux", "flux_err"), images, strict=True):
            assert_same(getattr(found, name), image, name)

    return changed, check


def ffi_card(content, good, draw):
    """The number in a card of the image header, another by 1 or by a thousandth."""
    header = data_of(content, 1)[1].header
    cards = [
        card
        for card in header.cards
        if type(card.value) in (int, float) and not STRUCTURE.fullmatch(card.keyword)
    ]
    card = draw.choice(cards)
    step = 1 if type(card.value) is int else 1e-3 * draw.choice([1.0, 0.1, 1e-3])
    sign = draw.choice([-1, 1])
    start = len(data_of(content, 0)[1].header.tostring())
    place = content.index(f"{card.keyword:8s}=".encode(), start)
    changed = bytearray(content)
    value = card.value + sign * step
    changed[place + 10 : place + 80] = f"{value!r:>20}".encode().ljust(70)
    attribute = FFI_KEYS.get(card.keyword)

    def check(found):
        assert card.keyword not in ("CAMERA", "CCD", "SECTOR"), card.keyword
        for name in FFI_ATTRIBUTES:
            wanted = getattr(good, name)
            if name == attribute:
                wanted = wanted + sign * step * (SECONDS if name == "exposure_time" else 1)
                wanted = wanted % MISSION if name == "quality" else wanted
                np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-13, err_msg=name)
            else:
                assert_same(getattr(found, name), wanted, f"{name}, of {card.keyword}")

    return bytes(changed), check


def table_with_another_byte(content, draw, columns=None):
    """Change a byte in the rows of HDU 1; returns the file and the rows as numpy sees them."""
    place, hdu = data_of(content, 1)
    form, n_rows = hdu.columns.dtype.newbyteorder(">"), hdu.header["NAXIS2"]
    name = draw.choice(list(columns or form.names))
    offset = form.fields[name][1] + draw.randrange(form.fields[name][0].itemsize)
    row = draw.randrange(n_rows)
    changed = another_byte(content, place + row * form.itemsize + offset, draw)
    return changed, np.frombuffer(changed, form, n_rows, place), hdu, (name, row)


def tpf_cell(content, good, draw):
    changed, rows, _, _ = table_with_another_byte(content, draw)

    def check(found):
        for name in ("TIME", "TIMECORR", "CADENCENO", "QUALITY"):
            wanted = rows[name] % MISSION if name == "QUALITY" else rows[name]
            assert_same(getattr(found, name.lower()), wanted, name)

    return changed, check


def cutout_cell(content, good, draw):
    """A pixel or a quality; times are put on a steady clock, so that they may change all."""
    names = ("FLUX", "FLUX_ERR", "QUALITY")
    changed, rows, hdu, _ = table_with_another_byte(content, draw, names)
    shape = (len(rows), *hdu.data["FLUX"].shape[1:])
    flux, flux_err = (rows[name].reshape(shape).astype(np.float32) for name in ("FLUX", "FLUX_ERR"))
    with np.errstate(invalid="ignore"):
        empty = ~(np.isfinite(flux) & (flux != 0)).any(axis=0)
    flux[:, empty] = flux_err[:, empty] = np.nan

    def check(found):
        cutout, found_flux, found_err = found
        assert_same(found_flux, flux, "FLUX")
        assert_same(found_err, flux_err, "FLUX_ERR")
        assert_same(cutout.quality, rows["QUALITY"] % MISSION, "QUALITY")
        for name in ("name", "time", "timecorr", "cadenceno"):
            assert_same(getattr(cutout, name), getattr(good[0], name), name)

    return changed, check


def star_with(stars, tic_id, column, value):
    """The stars with another value, of one that may not be among them."""
    stars = stars.copy()
    stars.loc[stars["tic_id"] == tic_id, STAR_COLUMNS[column]] = value
    return stars.drop_duplicates("tic_id", ignore_index=True)  # the number of another one


def assert_same_stars(found, wanted):
    assert list(found.columns) == list(wanted.columns)
    assert len(found) == len(wanted)
    for name in wanted:
        assert_same(found[name].to_numpy(), wanted[name].to_numpy(), name)


def star_word(content, good, draw):
    """A number of a text table."""
    lines = content.decode().splitlines()
    first = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    separator = "," if "," in lines[first] else " "
    names = lines[first].split(separator)
    row = draw.randrange(first + 1, len(lines))
    words = lines[row].split(separator)
    name, tic_id = draw.choice(list(STAR_COLUMNS)), int(words[names.index("ID")])
    value = draw.randrange(100, 10**9) if name == "ID" else round(draw.uniform(0, 60), 4)
    words[names.index(name)] = str(value)
    lines[row] = separator.join(words)
    wanted = star_with(good, tic_id, name, value)
    return ("\n".join(lines) + "\n").encode(), lambda found: assert_same_stars(found, wanted)


def star_cell(content, good, draw):
    """A byte of a number of a FITS table."""
    changed, rows, _, (name, row) = table_with_another_byte(content, draw, STAR_COLUMNS)
    tic_id = np.frombuffer(content, rows.dtype, len(rows), data_of(content, 1)[0])["ID"][row]
    wanted = star_with(good, tic_id, name, rows[name][row])
    return changed, lambda found: assert_same_stars(found, wanted)


def assert_moved_by(found, good, axis, distance):
    """One coordinate has changed by at most so much, the others have not."""
    moved = found.position - good.position
    assert found.center == good.center
    for other in {0, 1, 2} - {axis}:
        assert_same(moved[:, other], 0, "another axis")
    if axis is not None:
        assert np.all(np.abs(moved[:, axis]) <= distance)


def vector_word(content, good, draw):
    """A coordinate in a row of vectors; splines swing over by less than a third."""
    rows = list(
        re.finditer(rb"^[\d.]+, A\.D\.[^,]*, *(\S+), *(\S+), *(\S+),$", content, re.MULTILINE)
    )
    match, axis = draw.choice(rows), draw.randrange(3)
    start, stop = match.span(axis + 1)
    value, change = float(match[axis + 1]), draw.uniform(-1000.0, 1000.0)
    changed = content[:start] + f"{value + change:.15E}".encode() + content[stop:]
    return changed, lambda found: assert_moved_by(found, good, axis, 1.5 * abs(change))


def kernel_byte(content, good, draw):
    """A byte of a coordinate or velocity in a kernel; cubic interpolation through four points."""
    n_words = len(content) // 8
    words = np.frombuffer(content, "<f8", n_words)
    first, n_states = (
        3 * 1024 // 8,
        351,
    )  # behind the file's, the summaries' and their names' record
    word = first + draw.randrange(6 * n_states)
    changed = another_byte(content, 8 * word + draw.randrange(8), draw)
    (value,) = struct.unpack_from("<d", changed, 8 * word)
    component = (word - first) % 6
    axis = component if component < 3 else None
    # Of coordinates some 1e5 km large: rounding.
    distance = 1.001 * abs(value - words[word]) + 1e-9

    def check(found):
        assert axis is None or np.isfinite(value) or not np.any(found.position != good.position)
        assert_moved_by(found, good, axis, distance)

    return changed, check


def setting(content, good, draw):
    """A number or a switch of the configuration."""
    config = yaml.safe_load(content)
    section = draw.choice([key for key, value in good.items() if isinstance(value, dict)])
    leaves = [key for key, value in good[section].items() if type(value) in (int, float, bool)]
    if not leaves:
        return None, None
    key = draw.choice(leaves)
    old = good[section][key]
    value = not old if isinstance(old, bool) else old + 1 if isinstance(old, int) else old * 1.25
    config.setdefault(section, {})[key] = value
    wanted = copy.deepcopy(good)
    wanted[section][key] = value

    def check(found):
        assert found == wanted

    return yaml.safe_dump(config).encode(), check
