"""Headers that would keep astropy busy for hours are refused before it sees them."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.damage import open_fits, read_count, told_as_damage
from tessphot_lib.io.stars.tic import read_tic

SOME = Path("some.fits")
ARRAY = np.arange(6.0).reshape(2, 3)


@pytest.fixture(params=["two.fits", "two.fits.gz"])
def good(request, tmp_path):
    path = tmp_path / request.param
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(ARRAY), fits.ImageHDU(2 * ARRAY)]
    fits.HDUList(hdus).writeto(path)
    return path


def change(path, place, card):
    """Put another card in the place of the ``place``-th NAXIS card."""
    content = path.read_bytes()
    is_packed = path.suffix == ".gz"
    parts = (gzip.decompress(content) if is_packed else content).split(b"NAXIS   = ")
    parts[place + 1] = card.rjust(20).encode().ljust(70) + parts[place + 1][70:]
    content = b"NAXIS   = ".join(parts)
    path.write_bytes(gzip.compress(content) if is_packed else content)


def test_number_of_columns_that_cannot_be(tmp_path):
    path = tmp_path / "table.fits"
    fits.BinTableHDU.from_columns([fits.Column("ID", "K", array=[1, 2])]).writeto(path)
    content = path.read_bytes().replace(
        b"TFIELDS =                    1", b"TFIELDS = " + b"9" * 20
    )
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"TFIELDS of HDU 1 is 9+, not a number from 0 to 999"):
        open_fits(path)


def test_good_files_open_as_ever(good):
    with open_fits(good, memmap=False) as hdus:
        np.testing.assert_array_equal(hdus[2].data, 2 * ARRAY)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", ["99999999999999999999", "1000", "-1", "T", "2.0"])
def test_number_of_axes_that_cannot_be(good, place, value):
    change(good, place, value)
    with pytest.raises(OSError, match=rf"NAXIS of HDU {place} is .*, not a number from 0 to 999"):
        open_fits(good)


def cut(path, n_bytes):
    """Leave the first bytes of what is in a file, packed or not."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(gzip.decompress(content)[:n_bytes]))
    else:
        path.write_bytes(content[:n_bytes])


# HDU 0 has 2880 bytes; HDUs 1 and 2 a header of 2880 and data of 48 and padding.
@pytest.mark.parametrize(
    ("n_bytes", "reason"),
    [
        (0, r"it is empty"),
        (100, r"it is truncated: it ends in the header of HDU 0"),
        (2879, r"it is truncated: it ends in the header of HDU 0"),
        (2880 + 2000, r"it is truncated: it ends in the header of HDU 1"),
        (5760 + 47, r"it is truncated: 5807 bytes, the header of HDU 1 asks for 5808"),
        (8640 + 2870, r"it is truncated: it ends in the header of HDU 2"),
        (11520 + 47, r"it is truncated: 11567 bytes, the header of HDU 2 asks for 11568"),
    ],
)
def test_file_that_ends_too_early_is_truncated(good, n_bytes, reason):
    cut(good, n_bytes)
    with pytest.raises(OSError, match=reason):
        open_fits(good)


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_missing_padding_at_the_end_is_no_damage(good):
    cut(good, 11520 + 48)
    with open_fits(good, memmap=False) as hdus:
        np.testing.assert_array_equal(hdus[2].data, 2 * ARRAY)


def test_what_stands_behind_the_last_hdu_is_for_astropy(good):
    with (gzip.open if good.suffix == ".gz" else open)(good, "ab") as file:
        file.write(b"x" * 2880)
    with open_fits(good) as hdus:
        np.testing.assert_array_equal(hdus[1].data, ARRAY)


def test_star_list_with_such_a_header_is_named(tmp_path):
    path = tmp_path / "tic.fits"
    hdu = fits.BinTableHDU.from_columns([fits.Column("ID", "K", array=[1, 2])])
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    change(path, 1, "99999999999999999999")
    with pytest.raises(InputDataError, match=r"tic\.fits: cannot be read: NAXIS of HDU 1"):
        read_tic(path)


def test_errors_of_libraries_are_told_by_the_name_of_the_file():
    told = r"^some\.fits: cannot be read: "
    with pytest.raises(InputDataError, match=told + "AssertionError$"), told_as_damage(SOME):
        np.testing.assert_(False)
    with pytest.raises(InputDataError, match=told + ".*'TSTART'"), told_as_damage(SOME):
        fits.Header()["TSTART"]


@pytest.mark.parametrize("value", [None, "7", 3.0, True, -1])
def test_numbers_of_something_are_whole(value):
    with pytest.raises(ValueError, match=r"keyword NAXIS1 is .*, not a whole number"):
        read_count({"NAXIS1": value}, "NAXIS1")
    assert read_count({"NAXIS1": 7}, "NAXIS1") == 7


def test_mistakes_of_this_package_are_not_taken_for_damage():
    """A missing key in `read_count` itself, as any mistake of ours: with its traceback."""
    with pytest.raises(KeyError, match="NAXIS1"), told_as_damage(SOME):
        read_count({}, "NAXIS1")
