"""Completeness and checksums of FITS files; astropy makes the files."""

import numpy as np
import pytest
from archive import ffi_bytes
from astropy.io import fits

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.fits_checksum import header_length, verify_fits
from tests.io.images.test_ffi import REALDATA, needs_realdata

CONTENT = ffi_bytes(3)


@pytest.fixture
def verify(tmp_path):
    def call(content, **options):
        (tmp_path / "one.fits").write_bytes(content)
        return verify_fits(tmp_path / "one.fits", **options)

    return call


def test_undamaged_file(verify):
    assert verify(CONTENT, n_hdus=3) == 3


@pytest.mark.parametrize("seed", range(100))
def test_any_flipped_bit_is_found(verify, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(CONTENT)
    place = rng.integers(len(content))
    while CONTENT[place // 80 * 80 :].startswith(b"CHECKSUM"):  # there, dates may be wrong
        place = rng.integers(len(content))
    content[place] ^= 1 << rng.integers(8)
    with pytest.raises(InputDataError):
        verify(bytes(content))


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (0, "it is empty"),
        (100, "it ends in the header of HDU 0"),
        (2880, "it has 1 HDUs, not 3"),
        (5000, "it ends in the header of HDU 1"),
        (7000, "it ends in HDU 1, after 7000 of"),
        (-1, "it ends in HDU 2"),
        (-2880, "it ends in HDU 2"),
    ],
)
def test_truncated_file(verify, length, reason):
    with pytest.raises(InputDataError, match=f"^{reason}"):
        verify(CONTENT[:length], n_hdus=3)


def test_more_than_the_file(verify):
    with pytest.raises(InputDataError, match=r"it ends in the header of HDU 3|not FITS"):
        verify(CONTENT + b"and more")


@pytest.mark.parametrize("content", [b"<html>sorry</html>", b"x" * 9000])
def test_other_file(verify, content):
    with pytest.raises(InputDataError, match=r"^it is not FITS: b'"):
        verify(content)


def test_file_without_checksums(verify, tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 5)))]).writeto(tmp_path / "a.fits")
    assert verify_fits(tmp_path / "a.fits", n_hdus=2) == 0


def test_tables_with_columns_of_variable_length(tmp_path):
    column = fits.Column("A", "PJ()", array=np.array([[1, 2], [3]], dtype=object))
    table = fits.BinTableHDU.from_columns([column])
    table.writeto(tmp_path / "a.fits", checksum=True)
    assert verify_fits(tmp_path / "a.fits") == 2


@pytest.mark.parametrize(("later", "is_right"), [(0, True), (1, True), (2, True), (30, False)])
def test_date_beside_the_checksum_may_be_a_second_late(verify, later, is_right):
    """As SPOC's program writes it: DATASUM is absent, the date in the comment counts."""
    hdu = fits.PrimaryHDU()
    hdu.header["TELESCOP"] = "TESS"
    hdu.add_checksum(when="HDU checksum updated 2018-09-05T16:38:29Z")
    del hdu.header["DATASUM"]
    cards = hdu.header.tostring().encode()
    at = cards.index(b"CHECKSUM=")
    # The sum over the rest decides the sixteen letters; found by astropy once DATASUM has gone.
    encoded = hdu._char_encode(
        ~hdu._compute_checksum(np.frombuffer(cards[: at + 11] + b"0" * 16 + cards[at + 27 :], "u1"))
    )
    cards = cards[: at + 11] + encoded.encode() + cards[at + 27 :]
    second = f"{29 + later:02d}".encode()
    cards = cards.replace(b"16:38:29Z", b"16:38:" + second + b"Z")
    if is_right:
        assert verify(cards) == 1
    else:
        with pytest.raises(InputDataError, match="HDU 0 has a wrong CHECKSUM: it is off by"):
            verify(cards)


def test_header_ends_at_its_end_card():
    assert header_length(CONTENT) == 2880
    assert header_length(CONTENT[:2879]) is None
    assert header_length(b"END     ".ljust(80) * 36, 2880) is None


@pytest.mark.realdata
@needs_realdata
def test_real_image_whose_checksum_was_dated_a_second_late(verify):
    (path,) = (REALDATA / "ffi_cropped").glob("*_ffic.fits")
    with path.open("rb") as file:
        primary = file.read(2880)
    assert verify(primary) == 1


@pytest.mark.realdata
@needs_realdata
def test_real_light_curve_of_spoc():
    (path,) = (REALDATA / "lightcurves").glob("*tess-spoc*_lc.fits")
    assert verify_fits(path, n_hdus=3) == 3
