"""FITS bytes: astropy must read back what went in, and find the checksums right."""

import gzip
import io
import math

import numpy as np
import pytest
from astropy.io import fits

from tessphot_lib.io.files.fits_bytes import (
    BLOCK,
    TableColumn,
    TableLayout,
    format_card,
    format_cards,
    gzip_bytes,
    image_hdu,
    primary_hdu,
    table_hdu,
)

pytestmark = pytest.mark.filterwarnings("error")
LAYOUT = TableLayout(
    (
        TableColumn("TIME", "D", "d", "F17.10", "a comment", "another"),
        TableColumn("SMALL", "E"),
        TableColumn("NUMBER", "J", None, "I10"),
        TableColumn("LARGE", "K"),
        TableColumn("SHORT", "I"),
        TableColumn("BYTE", "B"),
    )
)


def name_card(name):
    return format_card("EXTNAME", name)


def opened(*hdus):
    """Read by astropy, with the checksums verified (a wrong one is a warning, so an error)."""
    data = b"".join(hdus)
    assert len(data) % BLOCK == 0
    with fits.open(io.BytesIO(data), checksum=True, lazy_load_hdus=False, memmap=False) as hdulist:
        hdulist.verify("exception")
        for hdu in hdulist:
            assert hdu.verify_checksum() == hdu.verify_datasum() == 1
            _ = hdu.data
    return hdulist


def card_back(*card):
    """The value and comment that astropy reads from a card, verified."""
    image = format_card(*card)
    assert len(image) == 80
    read = fits.Card.fromstring(image)
    read.verify("exception")
    return read


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        0,
        -17,
        2**63 - 1,
        -(10**25),
        0.1,
        -1.0,
        1e22,
        5e-324,
        -2.2250738585072014e-308,
        1.7976931348623157e308,
        1325.318778691997,
        2457000.0,
        "TESS",
        "",
        "8.2",
        "T",
        "'",
        "Barnard's star",
        "'quoted', no / comment",
        "x" * 66 + "'",
        "y" * 68,
        np.int64(-5),
        np.float64(1 / 3),
        np.bool(True),
    ],
)
def test_values_come_back(value):
    card = card_back("KEYWORD", value, "what it means")
    assert card.value == value
    assert type(card.value) is type(value.item() if isinstance(value, np.generic) else value)
    assert "what it means".startswith(card.comment)


@pytest.mark.parametrize("seed", range(3))
def test_floats_keep_all_their_digits(seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(300) * 10.0 ** rng.integers(-300, 300, 300)
    for value in values.tolist():
        assert card_back("X", value).value == value


def test_float32_is_not_given_false_digits():
    assert card_back("X", np.float32(0.1)).value == 0.1


@pytest.mark.parametrize("value", [None, math.nan, np.float32("inf"), -math.inf])
def test_what_fits_cannot_express_is_undefined(value):
    card = card_back("TEFF", value, "[K]")
    assert isinstance(card.value, fits.card.Undefined)
    assert card.comment == "[K]"


def test_fixed_format_columns():
    assert format_card("TICID", 42, "a star") == b"TICID   =                   42 / a star".ljust(
        80
    )
    assert format_card("OK", True)[29:30] == b"T"
    assert format_card("NAME", "x")[10:20] == b"'x       '"


def test_long_strings_lose_their_end_and_comments_are_cut():
    assert card_back("S", "y" * 100, "no room").value == "y" * 68
    assert card_back("S", "'" * 100).value == "'" * 34
    assert card_back("S", "y" * 67 + "'").value == "y" * 67
    assert card_back("N", 1, "c" * 100).comment == "c" * 47


def test_other_characters_become_question_marks():
    card = card_back("OBSERVER", "Børge\n", "na\u00efve\ttab")
    assert (card.value, card.comment) == ("B?rge?", "na?ve?tab")


@pytest.mark.parametrize("keyword", ["", "lower", "TOOLONGKEY", "WITH SPA"])
def test_impossible_keywords_are_rejected(keyword):
    with pytest.raises(ValueError, match="not a FITS keyword"):
        format_card(keyword, 1)


def test_impossible_values_are_rejected():
    with pytest.raises(ValueError, match=r"SETTING: no FITS header value can be made of \[1\]"):
        format_card("SETTING", [1])


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_images_come_back(dtype):
    image = np.random.default_rng(3).normal(0, 100, (5, 7)).clip(0).astype(dtype)
    image[1, 4] = 1
    hdus = opened(primary_hdu(b""), image_hdu(image, name_card("IMAGE")))
    back = hdus["IMAGE"].data
    assert back.dtype.newbyteorder("=") == image.dtype
    np.testing.assert_array_equal(back, image)


def test_nan_survives_in_an_image():
    image = np.full((3, 2), np.nan, dtype=np.float32)
    image[2, 0] = -7.5
    back = opened(primary_hdu(b""), image_hdu(image, b""))[1].data
    np.testing.assert_array_equal(back, image)


def test_images_of_other_types_are_rejected():
    with pytest.raises(ValueError, match="bool"):
        image_hdu(np.ones((2, 2), dtype=bool), b"")


def test_views_and_big_endian_images_are_written_in_order():
    image = np.arange(24, dtype=">i4").reshape(4, 6)[:, ::2].T
    np.testing.assert_array_equal(opened(primary_hdu(b""), image_hdu(image, b""))[1].data, image)


@pytest.mark.parametrize("n_rows", [0, 1, 7, 1000])
def test_tables_come_back(n_rows):
    rng = np.random.default_rng(n_rows)
    arrays = {
        "TIME": rng.normal(2000, 1, n_rows),
        "SMALL": rng.normal(0, 1e-3, n_rows).astype(np.float32),
        "NUMBER": rng.integers(-(2**31), 2**31, n_rows),
        "LARGE": rng.integers(-(2**63), 2**63 - 1, n_rows),
        "SHORT": rng.integers(-(2**15), 2**15, n_rows),
        "BYTE": rng.integers(0, 256, n_rows),
    }
    if n_rows:
        arrays["TIME"][-1] = np.nan
    before = {name: values.copy() for name, values in arrays.items()}
    cards = name_card("TABLE") + format_card("ANSWER", 42)
    table = opened(primary_hdu(b""), table_hdu(LAYOUT, arrays, cards))["TABLE"]
    assert len(table.data) == n_rows
    assert table.columns.formats == ["D", "E", "J", "K", "I", "B"]
    assert table.columns["TIME"].unit == "d"
    assert table.columns["TIME"].disp == "F17.10"
    assert table.header["ANSWER"] == 42
    for name, values in before.items():
        np.testing.assert_array_equal(table.data[name], values)
        np.testing.assert_array_equal(arrays[name], values)


def with_one_row(**changed):
    arrays = {column.name: np.ones(1, dtype=np.int16) for column in LAYOUT.columns}
    return arrays | {name: np.atleast_1d(values) for name, values in changed.items()}


def test_table_values_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match="NUMBER"):
        table_hdu(LAYOUT, with_one_row(NUMBER=2**31), b"")
    with pytest.raises(ValueError, match="BYTE"):
        table_hdu(LAYOUT, with_one_row(BYTE=-1), b"")
    with pytest.raises(ValueError, match="SHORT: float64"):
        table_hdu(LAYOUT, with_one_row(SHORT=1.0), b"")
    with pytest.raises(ValueError, match=r"LARGE has shape \(2,\), expected \(1,\)"):
        table_hdu(LAYOUT, with_one_row(LARGE=[1, 2]), b"")


@pytest.mark.parametrize("seed", range(30))
def test_checksums_agree_with_astropy(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(-(2**31), 2**31, (int(rng.integers(1, 60)), 13)).astype(np.int32)
    cards = format_cards([("SEED", seed, "x" * int(rng.integers(0, 40))), ("F", rng.random(), "")])
    ours = opened(primary_hdu(cards), image_hdu(image, cards))
    buffer = io.BytesIO()
    theirs = fits.HDUList([hdu.copy() for hdu in ours])
    theirs.writeto(buffer, checksum=True)
    for our, their in zip(ours, theirs, strict=True):
        assert our.header["DATASUM"] == their.header["DATASUM"]
        assert our.header["CHECKSUM"].isalnum()


def test_a_changed_byte_is_found():
    data = bytearray(primary_hdu(b"") + image_hdu(np.zeros((2, 3), dtype=np.int16), b""))
    data[-BLOCK + 3] ^= 1
    with fits.open(io.BytesIO(bytes(data))) as hdus:
        assert hdus[0].verify_checksum() == 1
        assert hdus[1].verify_checksum() == hdus[1].verify_datasum() == 0


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_gzip_has_no_time_and_no_name(level):
    content = bytes(range(256)) * 100
    data = gzip_bytes(content, level)
    assert gzip.decompress(data) == content
    assert data[3] == 0  # no optional fields, so no name
    assert data[4:8] == bytes(4)  # no time
    assert data == gzip_bytes(content, level)
