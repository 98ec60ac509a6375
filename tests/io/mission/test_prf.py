"""PRF files: ours there and back, and the mission's in both forms."""

import numpy as np
import pytest
from astropy.io import fits
from paths import REALDATA
from scipy.io import savemat

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.mission.prf_spoc import find_spoc_prf, read_spoc_prf
from tessphot_lib.io.products.prf_fits import read_prf, write_prf
from tessphot_lib.prf.evaluate import prf_from_samples, prf_stamps
from tessphot_lib.prf.generic import generic_prf
from tests.prf.test_evaluate import lopsided

CCD = CcdId(14, 3, 4)
PLACES = [(row, column) for row in (1, 1025, 2048) for column in (45, 2092)]


def samples_at(row, column):
    """45 x 45 samples, five per pixel, that tell their place."""
    offset = (np.arange(45) - 22) / 5
    bell = np.exp(-0.5 * (offset[:, None] - 0.2) ** 2 / (1 + row / 4000) - offset**2)
    return bell / bell.sum() * 25 * (1 + column * 1e-9)


def write_spoc(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for row, column in PLACES:
        hdu = fits.PrimaryHDU(samples_at(row, column))
        hdu.header["CCD_RREF"], hdu.header["CCD_CREF"], hdu.header["NSAMP"] = row, column, 5
        hdu.writeto(folder / f"tess2019107181902-prf-3-4-row{row:04d}-col{column:04d}.fits")


@pytest.mark.parametrize("prf", [lopsided(), generic_prf()], ids=["wings", "none"])
def test_prf_there_and_back(tmp_path, prf):
    path = tmp_path / "prf.fits"
    write_prf(path, prf, CCD, attributes={"software": "tessphot 1"})
    back = read_prf(path)
    for name, values in vars(prf).items():
        np.testing.assert_array_equal(getattr(back, name), values)
    assert fits.getheader(path)["CAMERA"] == 3


def test_file_that_is_no_prf(tmp_path):
    path = tmp_path / "prf.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(InputDataError, match=r"prf\.fits: cannot be read as a PRF"):
        read_prf(path)


def test_the_missions_fits_files(tmp_path):
    write_spoc(tmp_path / "cam3_ccd4")
    read = read_spoc_prf(find_spoc_prf(tmp_path, CCD))
    assert read.row.tolist() == [0, 1024, 2047]
    assert read.column.tolist() == [0, 2047]
    assert read.per_pixel == 5
    assert read.samples.shape == (3, 2, 45, 45)
    np.testing.assert_array_equal(read.samples[1, 1], samples_at(1025, 2092))


def test_the_missions_matlab_file_says_the_same(tmp_path):
    entries = np.empty(len(PLACES), dtype=object)
    for index, (row, column) in enumerate(PLACES):
        entries[index] = {
            "ccdRow": float(row),
            "ccdColumn": float(column),
            "prfRow": (np.arange(45) - 22) / 5,
            "prfColumn": (np.arange(45) - 22) / 5,
            "values": samples_at(row, column),
        }
    path = tmp_path / "tess2019107181902-00195_045-3-4-characterized-prf.mat"
    savemat(path, {"prfStruct": entries})
    write_spoc(tmp_path / "fits")
    expected = read_spoc_prf(find_spoc_prf(tmp_path / "fits", CCD))
    (tmp_path / "fits").rename(tmp_path.parent / "elsewhere")
    read = read_spoc_prf(find_spoc_prf(tmp_path, CCD))
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(read, name), values)


def test_version_of_the_sector_is_taken(tmp_path):
    write_spoc(tmp_path / "start_s0001" / "cam3_ccd4")
    write_spoc(tmp_path / "start_s0004" / "cam3_ccd4")
    assert all("start_s0004" in str(path) for path in find_spoc_prf(tmp_path, CCD))
    early = find_spoc_prf(tmp_path, CcdId(3, 3, 4))
    assert all("start_s0001" in str(path) for path in early)
    assert len(early) == len(PLACES)


def test_no_file_of_this_ccd(tmp_path):
    write_spoc(tmp_path)
    with pytest.raises(InputDataError, match=r"prf\.folder: no PRF file of camera 1, CCD 2"):
        find_spoc_prf(tmp_path, CcdId(14, 1, 2))


def test_missing_place(tmp_path):
    write_spoc(tmp_path)
    paths = find_spoc_prf(tmp_path, CCD)
    with pytest.raises(InputDataError, match="do not make a grid: 5 positions, 3 rows, 2 columns"):
        read_spoc_prf(paths[1:])


@pytest.mark.parametrize("suffix", [".fits", ".mat"])
def test_broken_file(tmp_path, suffix):
    path = tmp_path / f"tess2019107181902-prf-3-4-row0001-col0045{suffix}"
    path.write_bytes(b"SIMPLE  = nothing of it")
    with pytest.raises(InputDataError, match=r"not a PRF file of the mission"):
        read_spoc_prf([path])


REAL = REALDATA / "prf_s0004_cam3_ccd4"


@pytest.mark.realdata
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/realdata")
def test_real_files():
    read = read_spoc_prf(find_spoc_prf(REAL, CCD))
    assert read.samples.shape == (5, 5, 117, 117)
    assert (read.row[0], read.row[-1]) == (0, 2047)
    assert (read.column[0], read.column[-1]) == (0, 2047)
    prf = prf_from_samples(read.row, read.column, read.samples, read.per_pixel, source="spoc")
    # The file's own samples at a place of the grid, for a star in the middle of a pixel.
    stamp = prf_stamps(
        prf, np.array([1024.0]), np.array([1024.0]), np.array([1018]), np.array([1018]), (13, 13)
    )[0]
    np.testing.assert_allclose(stamp, read.samples[2, 2, 4::9, 4::9], atol=2e-3)
    assert stamp.sum() == pytest.approx(1, abs=1e-3)
