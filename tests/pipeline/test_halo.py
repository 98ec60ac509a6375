"""Halo photometry on the small simulated CCD: what the files of its stars hold."""

import numpy as np
import pytest
from astropy.io import fits
from pipeline_run import SHOWCASE, measure_anew

from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import OutputSettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.steps.lightcurve import run_light_curve

CCD = CcdId(14, 3, 4)
OUTPUT = OutputSettings()
SATURATED, FAINT = SHOWCASE["saturated"], SHOWCASE["faint pulsation"]


@pytest.fixture(scope="module")
def measured(small_run, tmp_path_factory):
    """Light curves of the saturated star and of a faint one, both to be measured by halo."""
    folder = tmp_path_factory.mktemp("halo")
    files, settings, table = measure_anew(small_run, folder, "halo", [SATURATED, FAINT])
    table = table.set_index("tic_id")
    tables = {tic_id: table.loc[tic_id] for tic_id in table.index}
    return folder, files, settings, tables, read_todo(folder / "todo.sqlite").set_index("tic_id")


def test_file_of_a_saturated_star_tells_its_weights(measured, small_run):
    folder, _, _, tables, stars = measured
    star = tables[SATURATED]
    assert star["method_used"] == "halo"
    prf = read_prf(small_run.ccd / "prf.fits")
    expected = 10 ** (0.4 * (prf.zeropoint - stars["tmag"][SATURATED]))
    with (
        fits.open(folder / star["lightcurve"]) as hdus,
        PixelCube(small_run.ccd / "pixels.hdf5") as cube,
    ):
        header, weights = hdus[0].header, hdus["WEIGHTMAP"].data
        assert header["PHOTMET"] == "halo"
        assert header["HALO_OBJ"] == "tv"
        assert (header["HALO_RAD"], header["HALO_GAP"]) == (20.0, 0.5)
        assert (header["HALO_MIN"], header["HALO_MOT"]) == (40, True)
        assert (header["AUTO_TMG"], header["AUTO_LIM"]) == (2.0, 6.0)
        assert (header["AUTO_EDG"], header["AUTO_CON"]) == (0.01, 0.25)
        first = hdus["WEIGHTMAP"].header
        row0, column0 = round(first["CRVAL2P"]) - 1, round(first["CRVAL1P"]) - 45
        n_segments, n_rows, n_columns = weights.shape
        stamp = Window(row0, row0 + n_rows, column0, column0 + n_columns)
        assert n_segments == header["HALO_SEG"]
        assert hdus["SUMIMAGE"].data.shape == (n_rows, n_columns)
        used = (weights > 0).any(axis=0)
        assert (weights >= 0).all()
        assert used.sum() == header["HALO_NPX"] == star["mask_size"] > 10
        in_aperture = hdus["APERTURE"].data & int(ApertureFlag.IN_APERTURE) != 0
        np.testing.assert_array_equal(in_aperture, used)
        assert not used[cube.average_image(stamp) > 6e4].any()
        good = cube.is_good()
        flux = hdus["LIGHTCURVE"].data["FLUX_RAW"]
        assert np.median(flux[good]) == pytest.approx(expected, rel=1e-9)
        light = cube.read("flux", stamp) - cube.background_in(stamp)
        light = np.where(used, light, 0.0)
        summed = (light * weights[0]).sum(axis=(1, 2))
        # But for the light of neighbors and of motion, which is taken off.
        assert np.median(summed[good]) == pytest.approx(expected, rel=0.05)
        assert (hdus["LIGHTCURVE"].data["FLUX_RAW_ERR"][good] < 0.002 * expected).all()
        assert np.std(flux[good]) < 0.002 * expected


def test_star_without_a_halo_is_measured_by_its_aperture(measured):
    folder, _, _, tables, _ = measured
    star = tables[FAINT]
    assert (star["method_used"], star["status"]) == ("aperture", 3)
    assert "usable pixels, at least 40 are needed): measured by" in star["errors"]
    with fits.open(folder / star["lightcurve"]) as hdus:
        assert hdus[0].header["PHOTMET"] == "aperture"
        assert "WEIGHTMAP" not in hdus


def test_one_star_is_the_same_as_in_its_tile(measured):
    folder, files, settings, tables, _ = measured
    path = folder / "star.fits.gz"
    run_light_curve(
        files, CCD, output=path, tic_id=SATURATED, settings=settings, output_settings=OUTPUT
    )
    in_tile = folder / tables[SATURATED]["lightcurve"]
    with fits.open(path) as alone, fits.open(in_tile) as other:
        for name in ("FLUX_RAW", "FLUX_RAW_ERR", "MOM_CENTR1", "QUALITY"):
            np.testing.assert_array_equal(alone[1].data[name], other[1].data[name])
        np.testing.assert_array_equal(alone["WEIGHTMAP"].data, other["WEIGHTMAP"].data)
