"""Target pixel files: found by CCD, and read without their pixels."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images import tpf as module
from tessphot_lib.io.images.tpf import read_tpf_cadences
from tessphot_lib.io.images.tpf_files import (
    ccd_of_tpf,
    find_tpfs,
    read_tpf_listing,
    write_tpf_listing,
)

CCD, OTHER = CcdId(14, 2, 3), CcdId(14, 2, 4)


def write_tpf(
    folder, tic_id, *, n=7, ccd_id=CCD, fast=False, compressed=False, shape=(5, 3), **keys
):
    """Target pixel file with SPOC's columns."""
    rng = np.random.default_rng(tic_id)
    size, dim = shape[0] * shape[1], f"({shape[1]},{shape[0]})"
    time = 1683.4 + np.arange(n) / 720
    time[2] = np.nan
    columns = [
        fits.Column("TIME", "D", array=time),
        fits.Column("TIMECORR", "E", array=np.linspace(0.001, 0.002, n)),
        fits.Column("CADENCENO", "J", array=1000 + np.arange(n)),
        *(
            fits.Column(name, f"{size}{form}", dim=dim, array=rng.integers(1, 9, (n, *shape)))
            for name, form in (("RAW_CNTS", "J"), ("FLUX", "E"), ("FLUX_ERR", "E"))
        ),
        fits.Column("QUALITY", "J", array=rng.integers(0, 1 << 20, n)),
        fits.Column("POS_CORR1", "E", array=rng.random(n)),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update({"SECTOR": ccd_id.sector, "CAMERA": ccd_id.camera, "CCD": ccd_id.ccd})
    primary.header.update({"DATA_REL": 60} | keys)
    table = fits.BinTableHDU.from_columns(columns, name="PIXELS")
    kind = "a_fast-tp" if fast else "s_tp"
    name = f"tess2019198215352-s{ccd_id.sector:04d}-{tic_id:016d}-0150-{kind}.fits"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name + (".gz" if compressed else ""))
    fits.HDUList([primary, table]).writeto(path)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("bytes_at_once", [1, 10**7])
def test_columns_are_read_from_between_the_pixels(tmp_path, monkeypatch, compressed, bytes_at_once):
    monkeypatch.setattr(module, "BYTES_AT_ONCE", bytes_at_once)
    path = write_tpf(tmp_path, 5, compressed=compressed)
    found = read_tpf_cadences(path, CCD)
    with fits.open(path) as hdus:
        data = hdus["PIXELS"].data
        np.testing.assert_array_equal(found.time, data["TIME"])
        np.testing.assert_array_equal(found.timecorr, data["TIMECORR"])
        np.testing.assert_array_equal(found.cadenceno, data["CADENCENO"])
        np.testing.assert_array_equal(found.quality, data["QUALITY"] % (1 << 16))
    assert (found.time.dtype, found.timecorr.dtype) == (np.float64, np.float64)


def test_times_of_early_releases_are_shifted(tmp_path):
    late = read_tpf_cadences(write_tpf(tmp_path / "late", 5), CCD)
    early = read_tpf_cadences(write_tpf(tmp_path / "early", 5, DATA_REL=12), CCD)
    np.testing.assert_allclose(86400 * (early.time - late.time)[[0, 1, 3]], -1.979, atol=1e-4)


def test_times_that_this_package_wrote_are_shifted_once(tmp_path):
    """The files that `tessphot pixels` writes have the release of the images, and right times."""
    as_it_is = read_tpf_cadences(write_tpf(tmp_path / "late", 5), CCD)
    ours = read_tpf_cadences(write_tpf(tmp_path / "ours", 5, DATA_REL=12, TIMESHFT=-1.979), CCD)
    np.testing.assert_array_equal(ours.time, as_it_is.time)


def test_file_of_another_ccd(tmp_path):
    path = write_tpf(tmp_path, 5)
    with pytest.raises(InputDataError, match=r"it is of s0014-cam2-ccd3, expected s0014-cam2-ccd4"):
        read_tpf_cadences(path, OTHER)


def test_truncated_file(tmp_path):
    path = write_tpf(tmp_path, 5, n=400)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputDataError, match=r"s_tp\.fits: cannot be read"):
        read_tpf_cadences(path, CCD)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(b"x" * 9000)[:50])
    with pytest.raises(InputDataError, match=r"s_tp\.fits\.gz: cannot be read"):
        read_tpf_cadences(packed, CCD)


def test_files_are_found_by_ccd(tmp_path):
    first = write_tpf(tmp_path / "a", 7)
    packed = write_tpf(tmp_path / "b" / "c", 6, compressed=True)
    fast = write_tpf(tmp_path, 9, fast=True)
    elsewhere = write_tpf(tmp_path, 8, ccd_id=OTHER)
    write_tpf(tmp_path, 8, ccd_id=CcdId(15, 2, 3))
    (tmp_path / "tess2019198215352-s0014-0000000000000001-0150-s_tp.fits").write_text("damaged")
    (tmp_path / "tess2019198215352-s0014-0000000000000001-0150-s_lc.fits").write_text("no pixels")
    assert find_tpfs(tmp_path, [CCD, OTHER]) == {
        CCD: [str(packed), str(first), str(fast)],
        OTHER: [str(elsewhere)],
    }
    assert find_tpfs(tmp_path, [CcdId(14, 1, 1)]) == {CcdId(14, 1, 1): []}
    assert ccd_of_tpf(str(packed)) == CCD


def test_a_few_files_are_enough(tmp_path):
    for tic_id in range(1, 26):
        write_tpf(tmp_path, tic_id, n=3)
        if tic_id < 8:
            write_tpf(tmp_path, tic_id, n=3, fast=True)
    found = find_tpfs(tmp_path, [CCD])[CCD]
    assert sum("fast" in path for path in found) == 4
    assert len(found) == 24
    assert "0000000000000020" in found[-1]


def test_listing_for_other_processes(tmp_path):
    path = tmp_path / "below" / "tpfs.json"
    assert read_tpf_listing(path) == {}
    write_tpf_listing(path, {CCD: ["a.fits", "b.fits"], OTHER: []})
    assert read_tpf_listing(path) == {CCD: ["a.fits", "b.fits"], OTHER: []}


@pytest.mark.realdata
@pytest.mark.skipif(not REALDATA.is_dir(), reason="real TESS data are not beside the project")
def test_file_of_spoc():
    path = REALDATA / "lightcurves" / "tess25155310-s01-first-cadences_tp.fits.gz"
    assert ccd_of_tpf(str(path)) == CcdId(1, 4, 1)
    found = read_tpf_cadences(path, CcdId(1, 4, 1))
    assert found.quality.tolist() == [8, 0, 0, 0, 0]
    assert np.diff(found.time) == pytest.approx(120 / 86400, abs=1e-6)
