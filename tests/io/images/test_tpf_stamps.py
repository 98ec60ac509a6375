"""Pixels of target pixel files: read in parts, on the right pixels, and bad files told apart."""

import gzip
import shutil
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from paths import REALDATA
from tpf_header import write_tpf_header

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images import tpf_stamps as module
from tessphot_lib.io.images.tpf_files import find_stamps, star_in_name
from tessphot_lib.io.images.tpf_stamps import check_whole, read_stamp, stamp_pixels

CCD = CcdId(14, 2, 3, 120)
SHAPE = (4, 7)  # not square
PIXELS = np.arange(28.0).reshape(SHAPE)


def write_stamp(folder, *, tic_id=5, n=6, row=101, column=345, change=None, compressed=False):
    """A target pixel file with all that is needed, its first pixel at one-based row and column."""
    size, dim = SHAPE[0] * SHAPE[1], f"({SHAPE[1]},{SHAPE[0]})"
    cube = PIXELS + 100 * np.arange(n)[:, None, None]
    arrays = {"RAW_CNTS": cube, "FLUX": cube, "FLUX_ERR": cube / 10, "FLUX_BKG": cube / 100}
    columns = [
        fits.Column("TIME", "D", array=1683.4 + np.arange(n) / 720),
        fits.Column("TIMECORR", "E", array=np.full(n, 0.001)),
        fits.Column("CADENCENO", "J", array=1000 + np.arange(n)),
        *(
            fits.Column(name, f"{size}{'J' if name == 'RAW_CNTS' else 'E'}", dim=dim, array=array)
            for name, array in arrays.items()
        ),
        fits.Column("QUALITY", "J", array=np.arange(n)),
        fits.Column("POS_CORR1", "E", array=0.1 * np.arange(n)),
        fits.Column("POS_CORR2", "E", array=-0.2 * np.arange(n)),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update({"SECTOR": 14, "CAMERA": 2, "CCD": 3, "TICID": tic_id, "DATA_REL": 60})
    table = fits.BinTableHDU.from_columns(columns, name="PIXELS")
    wcs = {"1CRPX5": 4.0, "2CRPX5": 2.0, "1CRVL5": 63.0, "2CRVL5": -60.0}
    wcs |= {"1CDLT5": -0.0057, "2CDLT5": 0.0057, "11PC5": 1.0, "12PC5": 0.0, "21PC5": 0.0}
    wcs |= {"22PC5": 1.0, "1CRV5P": column, "2CRV5P": row, "1CRP5P": 1, "2CRP5P": 1}
    table.header.update(wcs | {"NUM_FRM": 60, "RA_OBJ": 63.0, "DEC_OBJ": -60.0})
    if change is not None:
        change(primary, table)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"tess2019198215352-s0014-{tic_id:016d}-0150-s_tp.fits"
    fits.HDUList([primary, table]).writeto(path, overwrite=True)
    if compressed:
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        return packed
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("bytes_at_once", [1, 10**6])
def test_pixels_in_parts(tmp_path, monkeypatch, compressed, bytes_at_once):
    monkeypatch.setattr(module, "BYTES_AT_ONCE", bytes_at_once)
    stamp = read_stamp(write_stamp(tmp_path, n=150, compressed=compressed), CCD)
    assert (stamp.window, stamp.tic_id) == (Window(100, 104, 300, 307), 5)
    x, y = stamp.wcs.all_world2pix(63.0, -60.0, 0)
    assert (float(x), float(y)) == pytest.approx((3.0, 1.0))
    parts = list(stamp_pixels(stamp))
    assert len(parts) == (3 if bytes_at_once == 1 else 1)
    flux = np.concatenate([part.flux for part in parts])
    np.testing.assert_array_equal(flux, PIXELS + 100 * np.arange(150)[:, None, None])
    np.testing.assert_allclose(np.concatenate([part.flux_bkg for part in parts]), flux / 100)
    number = np.concatenate([part.cadenceno for part in parts])
    np.testing.assert_array_equal(number, 1000 + np.arange(150))
    column, row = (
        np.concatenate([getattr(part, f"pos_corr_{axis}") for part in parts])
        for axis in ("column", "row")
    )
    np.testing.assert_allclose(column, 0.1 * np.arange(150), rtol=1e-6)
    np.testing.assert_allclose(row, -0.2 * np.arange(150), rtol=1e-6)


@pytest.mark.parametrize("compressed", [False, True])
def test_headers_are_parsed_once(tmp_path, monkeypatch, compressed):
    stamp = read_stamp(write_stamp(tmp_path, compressed=compressed), CCD)
    monkeypatch.delattr(fits.Header, "fromfile")
    (part,) = stamp_pixels(stamp)
    np.testing.assert_array_equal(part.flux[2], PIXELS + 200)


def test_collateral_pixels_are_left_out(tmp_path):
    """Columns 43 and 44 of the full image are virtual, rows from 2049 on a buffer."""
    stamp = read_stamp(write_stamp(tmp_path, row=2047, column=43), CCD)
    assert stamp.window == Window(2046, 2048, 0, 5)
    (part,) = stamp_pixels(stamp)
    np.testing.assert_array_equal(part.flux[0], PIXELS[:2, 2:])
    x, y = stamp.wcs.all_world2pix(63.0, -60.0, 0)
    assert (float(x), float(y)) == pytest.approx((1.0, 1.0))


def lacks_pixels(primary, table):
    table.name = "OTHER"


def is_elsewhere(primary, table):
    primary.header["CCD"] = 4


def is_fast(primary, table):
    table.header["NUM_FRM"] = 10


def is_of_another_sector(primary, table):
    primary.header["SECTOR"] = 15


def has_no_position(primary, table):
    del table.header["2CRV5P"]


def has_text_for_a_number(primary, table):
    table.header["1CRVL5"] = "east"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lacks_pixels, "it has no table PIXELS: not a target pixel file"),
        (is_elsewhere, "it is of s0014-cam2-ccd4-c0120, expected s0014-cam2-ccd3-c0120"),
        (is_fast, "it is of s0014-cam2-ccd3-c0020, expected s0014-cam2-ccd3-c0120"),
        (is_of_another_sector, "it is of s0015-cam2-ccd3-c0120, expected"),
        (has_no_position, "keyword 2CRV5P is None, not a number"),
        (has_text_for_a_number, "keyword 1CRVL5 is 'east', not a number"),
    ],
)
def test_bad_header(tmp_path, change, said):
    path = write_stamp(tmp_path, change=change)
    with pytest.raises(InputDataError, match=said) as caught:
        read_stamp(path, CCD)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_and_rows_that_were_never_filled_are_missing(tmp_path):
    """Without any quality bit, as at the start of sector 23."""

    def change(primary, table):
        for name in ("FLUX", "FLUX_ERR", "FLUX_BKG"):
            table.data[name][2] = 0
        table.data["FLUX"][3, 1:] = -table.data["FLUX_BKG"][3, 1:]  # subtracted all the same

    (part,) = stamp_pixels(read_stamp(write_stamp(tmp_path, change=change), CCD))
    missing = np.zeros(part.flux.shape, dtype=bool)
    missing[2], missing[3, 1:] = True, True
    np.testing.assert_array_equal(np.isnan(part.flux), missing)
    (as_it_is,) = stamp_pixels(read_stamp(write_stamp(tmp_path / "x"), CCD))
    np.testing.assert_array_equal(part.flux[~missing], as_it_is.flux[~missing])


def test_truncated_files(tmp_path):
    path = write_stamp(tmp_path, n=60)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(InputDataError, match=r"s_tp\.fits: cannot be read: it is truncated"):
        read_stamp(path, CCD)
    packed = write_stamp(tmp_path, n=60, compressed=True)
    packed.write_bytes(packed.read_bytes()[:-300])
    with pytest.raises(InputDataError, match=r"s_tp\.fits\.gz: cannot be read"):
        list(stamp_pixels(read_stamp(packed, CCD)))


def with_sums(path, *, without=()):
    """Add CHECKSUM and DATASUM as astropy computes them, then take keywords away."""
    with fits.open(path) as hdus:
        hdus[1].data["TIME"][0] = np.nan
        hdus.writeto(path.with_name("summed_tp.fits"), checksum=True)
    path = path.with_name("summed_tp.fits")
    content = path.read_bytes()
    for key in without:
        assert content.count(key.ljust(8).encode() + b"=") == 2
        head, _, tail = content.rpartition(key.ljust(8).encode() + b"=")
        content = head + b"COMMENT  " + tail
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("without", [(), ("CHECKSUM",)])
@pytest.mark.parametrize("n", [61, 90])  # with and without bytes that are left over
def test_flipped_bit_in_a_plain_file_is_noticed(tmp_path, monkeypatch, without, n):
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 1)  # in several parts
    path = with_sums(write_stamp(tmp_path, n=n), without=without)
    stamp = read_stamp(path, CCD)
    assert sum(len(part.flux) for part in stamp_pixels(stamp)) == n
    check_whole(stamp)
    content = bytearray(path.read_bytes())
    content[stamp.begin + 5000] ^= 0x10
    path.write_bytes(content)
    for look in (check_whole, lambda stamp: list(stamp_pixels(stamp))):
        with pytest.raises(InputDataError, match=r"summed_tp\.fits: cannot be read: HDU 1 has a w"):
            look(read_stamp(path, CCD))


def test_file_without_sums_is_not_checked(tmp_path):
    stamp = read_stamp(write_stamp(tmp_path), CCD)
    assert stamp.summed_from is None
    check_whole(stamp)


def test_off_the_science_pixels(tmp_path):
    path = write_stamp(tmp_path, row=2049)
    with pytest.raises(InputDataError, match="none of its pixels are science pixels: rows 2048"):
        read_stamp(path, CCD)


def test_cadences_out_of_order(tmp_path):
    def turned(primary, table):
        table.data["CADENCENO"] = table.data["CADENCENO"][::-1]

    stamp = read_stamp(write_stamp(tmp_path, change=turned), CCD)
    with pytest.raises(InputDataError, match="column CADENCENO does not increase"):
        list(stamp_pixels(stamp))


def of_frames(number):
    def change(primary, table):
        table.header["NUM_FRM"] = number

    return change


def test_files_by_ccd_and_cadence(tmp_path):
    """By their headers, whatever users call them; by the name where the header does not say."""
    slow = write_stamp(tmp_path / "below")
    fast, slowest = (
        shutil.move(write_stamp(tmp_path / name, change=of_frames(number)), tmp_path / name / name)
        for name, number in (("fast_tp.fits", 10), ("hlsp_tess-spoc_7-s0014_tp.fits", 900))
    )
    unsaid = tmp_path / slow.name.replace("s_tp", "a_fast-tp")
    write_tpf_header(unsaid, CCD)
    broken = tmp_path / slow.name.replace("0005", "0006")
    broken.write_text("damaged")
    renamed = tmp_path / slow.name.replace("s0014", "s0015").replace("0005", "0007")
    renamed.write_bytes(slow.read_bytes())
    ours = [CCD.of_images, CcdId(14, 1, 1)]
    found, unusable = find_stamps(tmp_path, [*ours, CcdId(15, 1, 1)])
    assert {ccd_id: [file.path for file in files] for ccd_id, files in found.items()} == {
        CCD: [str(slow)],
        replace(CCD, cadence=20): [str(fast), str(unsaid)],
        replace(CCD, cadence=1800): [str(slowest)],
    }
    assert unusable == [
        f"the header of {broken} does not say which CCD it is of",
        f"the header of {renamed} says that it is of sector 14",
    ]
    assert find_stamps(tmp_path, ours)[1] == unusable[:1]
    assert find_stamps(tmp_path, [CcdId(13, 2, 3)]) == ({}, [])


@pytest.mark.parametrize(
    ("name", "tic_id"),
    [
        ("tess2019198215352-s0014-0000000261136679-0150-s_tp.fits", 261136679),
        ("hlsp_tess-spoc_tess_phot_0000000261136679-s0024_tess_v1_tp.fits.gz", 261136679),
        ("tic261136679-s0014-cam1-ccd1-c0120_tp.fits", 261136679),
        ("mine_tp.fits", 0),
    ],
)
def test_star_in_the_name(name, tic_id):
    assert star_in_name(name) == tic_id


@pytest.mark.realdata
@pytest.mark.skipif(not REALDATA.is_dir(), reason="real TESS data are not beside the project")
def test_file_of_spoc():
    path = REALDATA / "lightcurves" / "tess25155310-s01-first-cadences_tp.fits.gz"
    stamp = read_stamp(path, CcdId(1, 4, 1, 120))
    assert (stamp.window, stamp.tic_id) == (Window(388, 399, 1574, 1585), 25155310)
    x, y = stamp.wcs.all_world2pix(*stamp.target, 0)
    assert (float(x), float(y)) == pytest.approx((5.13, 4.27), abs=0.01)
    (part,) = stamp_pixels(stamp)
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(part.flux, hdus[1].data["FLUX"])
        np.testing.assert_array_equal(part.flux_bkg, hdus[1].data["FLUX_BKG"])
    brightest = np.unravel_index(np.nanargmax(part.flux[1]), part.flux.shape[1:])
    assert np.hypot(brightest[0] - 4.27, brightest[1] - 5.13) < 1.5
