"""FITS files read without astropy: as astropy reads them, or refused."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from tessphot_lib.io.files.fits_bytes import (
    TableColumn,
    TableLayout,
    format_cards,
    gzip_bytes,
    image_hdu,
    primary_hdu,
    table_hdu,
)
from tessphot_lib.io.files.fits_read import NOT_READABLE, read_hdus

CARDS = [
    ("STRING", "it's 1 / 2", "a / comment"),
    ("EMPTY", "", ""),
    ("YES", True, ""),
    ("NO", False, "no"),
    ("COUNT", -17, ""),
    ("SMALL", 1.25e-300, "[d]"),
    ("WHOLE", 3.0, ""),
    ("NOTHING", None, "undefined"),
]
KNOWN = {name: value for name, value, _ in CARDS if value is not None}


def test_what_this_package_writes_is_read_back(tmp_path):
    layout = TableLayout((TableColumn("A", "J"), TableColumn("B", "D"), TableColumn("C", "E")))
    values = {"A": np.array([3, -4, 5]), "B": np.array([1.5, np.nan, -2e300])}
    values["C"] = np.array([0.25, 7.0, -1.0], dtype=np.float32)
    image = np.arange(6, dtype=np.int32).reshape(2, 3) - 4
    content = primary_hdu(format_cards(CARDS))
    content += table_hdu(layout, values, format_cards([("EXTNAME", "ROWS", "")]))
    content += image_hdu(image, format_cards([("EXTNAME", "PICTURE", ""), *CARDS]))
    for name, data in (("a.fits", content), ("a.fits.gz", gzip_bytes(content))):
        (tmp_path / name).write_bytes(data)
        hdus = read_hdus(tmp_path / name)
        assert list(hdus) == ["PRIMARY", "ROWS", "PICTURE"]
        assert hdus["PRIMARY"].header.items() >= KNOWN.items()
        assert "NOTHING" not in hdus["PRIMARY"].header
        for column, expected in values.items():
            np.testing.assert_array_equal(hdus["ROWS"].table()[column], expected)
        np.testing.assert_array_equal(hdus["PICTURE"].image(), image)
        assert hdus["PICTURE"].image().dtype == np.int32


def test_what_astropy_writes_is_read_as_astropy_does(tmp_path):
    random = np.random.default_rng(5)
    columns = [
        fits.Column("TIME", "1D", array=random.normal(size=7)),
        fits.Column("NAME", "5A", array=["ab", "c", "", "d'e", "12345", "x", "y"]),
        fits.Column("PAIR", "2E", array=random.normal(size=(7, 2))),
    ]
    primary = fits.PrimaryHDU(random.normal(size=(3, 4, 5)))
    primary.header.update({"TEXT": "x" * 60, "EXPONENT": 1.5e22})
    primary.header["COMMENT"] = "= no value"
    hdus = fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name="T")])
    hdus.writeto(tmp_path / "a.fits.gz")
    found = read_hdus(tmp_path / "a.fits.gz")
    np.testing.assert_array_equal(found["PRIMARY"].image(), primary.data)
    header = found["PRIMARY"].header
    assert (header["TEXT"], header["EXPONENT"]) == ("x" * 60, 1.5e22)
    table = found["T"].table()
    np.testing.assert_array_equal(table["PAIR"], hdus["T"].data["PAIR"])
    assert [name.decode() for name in table["NAME"]] == hdus["T"].data["NAME"].tolist()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ({"format": "J", "bzero": 2**31}, np.array([1, 2**31 + 5], dtype=np.uint32)),
        ({"format": "PJ()"}, np.array([[1, 2], [3]], dtype=object)),
        ({"format": "E", "bscale": 0.5}, np.array([1.0, 2.5], dtype=np.float32)),
    ],
    ids=["unsigned", "of variable length", "scaled"],
)
def test_columns_that_are_not_plain_numbers_are_refused(tmp_path, column, values):
    hdu = fits.BinTableHDU.from_columns([fits.Column("A", array=values, **column)], name="T")
    hdu.writeto(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="1 is"):
        read_hdus(tmp_path / "a.fits")["T"].table()


def test_scaled_images_are_refused(tmp_path):
    fits.PrimaryHDU(np.array([[1, 2]], dtype=np.uint16)).writeto(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="scaled"):
        read_hdus(tmp_path / "a.fits")["PRIMARY"].image()


def test_damaged_files_are_refused(tmp_path):
    """Cut anywhere, or with a changed byte in a header; never read for ever."""
    content = primary_hdu(b"") + image_hdu(np.ones((30, 40)), format_cards([("EXTNAME", "I", "")]))
    path = tmp_path / "a.fits"
    for size in (0, 1, 79, 2000, 2880 + 80, 2880 + 2000, 2 * 2880, len(content) - 2880):
        path.write_bytes(content[:size])
        with pytest.raises(NOT_READABLE):
            read_hdus(path)["I"].image()
    path.write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(NOT_READABLE):
        read_hdus(path)
    random = np.random.default_rng(2)
    for at in random.integers(0, 2 * 2880, 200):
        changed = bytearray(content)
        changed[at] = random.choice(list(b"-0T' \xff9/"))
        path.write_bytes(changed)
        try:
            read_hdus(path)["I"].image()
        except NOT_READABLE:
            continue
    for value in ("-80", "-9999", "9" * 20, "'a'", "1E400", "T", " "):
        path.write_bytes(content.replace(b"=" + b"40".rjust(21), b"=" + value.encode().rjust(21)))
        with pytest.raises(NOT_READABLE):
            read_hdus(path)["I"].image()
