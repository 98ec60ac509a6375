"""Cotrending basis vectors as FITS: what lightkurve's CBVCorrector does with them."""

import gc
from dataclasses import replace

import lightkurve
import numpy as np
import pytest
from astropy.io import fits
from lightkurve.correctors import CBVCorrector

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.cbv_fits import cbv_path, write_cbvs
from tests.io.products.test_lightcurve_fits import CADENCE, CCD_ID, light_curve, write

N_CADENCES, LEVEL = 300, 2000.0
GAP = slice(100, 112)
OTHER = CcdId(14, 2, 4)


def trends(n_vectors=2, remark=""):
    """Vectors that are not alike, a gap, stars in an order of their own."""
    rng = np.random.default_rng(3)
    phase = np.linspace(0, 1, N_CADENCES)
    vectors = np.column_stack([np.sqrt(3) * (2 * phase - 1), np.sqrt(2) * np.sin(9 * phase)])
    vectors[GAP] = np.nan
    arrays = {
        "vectors": vectors[:, :n_vectors],
        "cadenceno": 22000 + np.arange(N_CADENCES),
        "time": 1683.35 + np.arange(N_CADENCES) * CADENCE / 86400,
        "tic_id": np.array([14_340_000_001, 7, 99]),
        "row": np.array([5.5, 1900.0, 3.0]),
        "column": np.array([8.0, 40.0, 2000.0]),
        "loadings": rng.normal(0, 1e-3, (3, n_vectors)),
    }
    attributes = {"cadence_seconds": CADENCE, "remark": remark, "software": "tessphot 0.1"}
    return arrays, attributes | {"settings": "{}", "inputs": "[]", "ccd": str(CCD_ID)}


@pytest.fixture
def folder(tmp_path):
    for ccd_id in (OTHER, CCD_ID):
        write_cbvs(tmp_path / cbv_path(ccd_id, CADENCE), *trends(), ccd_id)
    return tmp_path


def test_readers_that_go_by_the_ccd_find_one_file(folder):
    """lightkurve takes the first file with sector, camera and CCD in its name."""
    stamps = replace(CCD_ID, cadence=120)
    assert cbv_path(stamps, 120.0).as_posix() == "c0120/tess-s0014-2-3-c0120_cbv.fits"
    assert [path.name for path in folder.glob("*s0014-2-3-*.fits")] == [
        cbv_path(CCD_ID, CADENCE).name
    ]


def test_layout_is_that_of_the_mission(folder):
    arrays, _ = trends()
    path = folder / "tess-s0014-2-3-c1800_cbv.fits"
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus]
        assert names == ["PRIMARY", "CBV.single-scale.2.3", "CBV.spike.2.3", "QUIET_STARS"]
        table, stars = hdus[1], hdus["QUIET_STARS"].data
        assert table.columns.names == ["TIME", "CADENCENO", "GAP", "VECTOR_1", "VECTOR_2"]
        assert hdus[2].columns.names == ["TIME", "CADENCENO", "GAP"]
        assert (table.header["CAMERA"], table.header["CCD"], table.header["SECTOR"]) == (2, 3, 14)
        np.testing.assert_array_equal(table.data["TIME"], arrays["time"])
        np.testing.assert_array_equal(np.flatnonzero(table.data["GAP"]), np.arange(100, 112))
        known = ~table.data["GAP"]
        np.testing.assert_array_equal(table.data["VECTOR_2"][known], arrays["vectors"][known, 1])
        assert (table.data["VECTOR_1"][GAP] == 0).all()
        np.testing.assert_array_equal(stars["TICID"], arrays["tic_id"])
        np.testing.assert_array_equal(stars["ROW"], arrays["row"])
        np.testing.assert_array_equal(stars["LOADING_2"], arrays["loadings"][:, 1])


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # lightkurve's own
def test_lightkurve_corrects_a_light_curve_with_them(folder, tmp_path):
    arrays, _ = trends()
    rng = np.random.default_rng(8)
    common = np.nan_to_num(arrays["vectors"]) @ [4e-3, -2e-3]
    noise = rng.normal(0, 3e-4, N_CADENCES)
    quality = np.zeros(N_CADENCES, dtype=np.int32)
    quality[GAP] = 1
    curve = replace(
        light_curve(N_CADENCES),
        flux=LEVEL * (1 + common + noise),
        flux_err=np.full(N_CADENCES, LEVEL * 3e-4),
        quality=quality,
    )
    # Some cadences of the vectors are not in the light curve.
    rows = np.r_[0:40, 43:N_CADENCES]
    arrays_of_curve = {
        name: values[rows] for name, values in vars(curve).items() if name != "tic_id"
    }
    path = write(tmp_path / "lc.fits", light_curve=replace(curve, **arrays_of_curve))
    read = lightkurve.read(path).select_flux("flux_raw")
    corrector = CBVCorrector(read[read.quality == 0], cbv_dir=str(folder))
    assert [one.cbv_type for one in corrector.cbvs] == ["SingleScale", "Spike"]
    assert corrector.cbvs[0].cbv_indices == [1, 2]
    corrected = corrector.correct_gaussian_prior(
        cbv_type=["SingleScale"], cbv_indices=["ALL"], alpha=1e-4
    )
    assert len(corrected) == len(rows) - 12
    left = corrected.flux.value / np.median(corrected.flux.value) - 1
    assert np.std(left) < 1.05 * 3e-4
    assert np.std(common) > 3e-3
    del corrector
    gc.collect()  # the files that lightkurve leaves open are closed while that is no error


def test_no_vectors_are_told_of(tmp_path):
    path = tmp_path / "none.fits"
    write_cbvs(path, *trends(0, "3 quiet stars, 30 are needed"), CCD_ID)
    with fits.open(path) as hdus:
        assert hdus[0].header["REMARK"] == "3 quiet stars, 30 are needed"
        assert hdus[1].columns.names == ["TIME", "CADENCENO", "GAP"]
