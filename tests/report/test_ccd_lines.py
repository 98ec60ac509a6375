"""What the summary says of errors and zero points."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pixel_cube import CCD, open_cube

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf, write_prf
from tessphot_lib.io.products.star_checks_ecsv import CensusExtent, write_list_check
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.report.ccd_lines import ccd_lines

WINDOW = Window(40, 52, 505, 520)  # over two outputs
NOISE = NoiseModel((0.04, 0.09, 0.02, 0.02), 6e-4, "pixels", faint=1.56, bright=1.15)


def lines(folder, noise=None, density=None, list_checks=(), **zeropoint):
    prf = replace(generic_prf(), **zeropoint)
    write_prf(folder / "prf.fits", prf, CCD, attributes={})
    attributes = {} if noise is None else {"noise": noise.to_json()}
    if density is not None:
        attributes["star_density"] = density
    open_cube(folder, WINDOW, np.full((3, *WINDOW.shape), 50.0), attributes=attributes).close()
    return ccd_lines([folder / "pixels.hdf5"], [folder / "prf.fits"], list_checks)


def test_measured_errors_and_the_factor_are_told(tmp_path):
    text = lines(tmp_path, NOISE, zeropoint=20.5, zeropoint_error=0.02, zeropoint_stars=9)
    assert text == (
        "s0014-cam2-ccd3: errors of pixels: from the scatter of the pixels (uncertainties of the "
        "images / scatter: 1.56 in the sky, 1.15 in bright pixels); zero point 20.500 +- 0.020 mag "
        "from 9 stars\n"
    )


@pytest.mark.parametrize(
    ("zeropoint", "said"),
    [
        ({"zeropoint": 20.55, "zeropoint_stars": 1}, "1 star; WARNING: +0.11 mag from"),
        ({"zeropoint": 20.32, "zeropoint_stars": 30}, "30 stars; WARNING: -0.12 mag from"),
        ({"zeropoint": 20.44}, "assumed: no isolated star shows it"),
    ],
)
def test_zero_points_that_are_off_or_assumed_are_told(tmp_path, zeropoint, said):
    assert said in lines(tmp_path, **zeropoint)


@pytest.mark.parametrize(("broken", "is_told"), [(0.0, False), (0.02, True), (1.0, True)])
def test_errors_that_are_none_are_told(tmp_path, broken, is_told):
    text = lines(tmp_path, replace(NOISE, source="images", broken=broken))
    assert ("cannot be errors" in text) == is_told
    assert (f"WARNING: {100 * broken:.3g} %" in text) == is_told


def test_the_cube_gives_the_errors_that_count(tmp_path):
    lines(tmp_path, NOISE)
    with PixelCube(tmp_path / "pixels.hdf5") as cube:
        found = cube.read("flux_err", Window(41, 43, 510, 514), slice(1, 3))
    # 1 e-/s is stated; sky of 50 e-/s, read noise of outputs A and B.
    expected = np.sqrt(np.array([0.04, 0.04, 0.09, 0.09]) + 0.03)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (2, 2, 4)), rtol=1e-6)


def test_zero_points_are_kept_with_the_prf(tmp_path):
    lines(tmp_path, zeropoint=20.61, zeropoint_error=0.07, zeropoint_stars=4)
    prf = read_prf(tmp_path / "prf.fits")
    assert (prf.zeropoint, prf.zeropoint_error, prf.zeropoint_stars) == (20.61, 0.07, 4)


def test_a_catalog_that_was_off_and_a_step_of_the_pointing_are_told(tmp_path):
    motion = np.zeros((8, 6))
    motion[5:, 3] = 1.5
    write_prf(tmp_path / "prf.fits", generic_prf(), CCD, attributes={})
    shift = np.array([0.8, 0, 0, -0.4, 0, 0, 0.8, -0.4, 31])
    quality = np.where(np.arange(8) < 5, 0, int(CadenceFlag.STARS_CHANGED))
    images = np.full((8, *WINDOW.shape), 50.0)
    more = {"motion": motion, "quality": quality, "attributes": {"catalog_shift": shift}}
    open_cube(tmp_path, WINDOW, images, **more).close()
    text = ccd_lines([tmp_path / "pixels.hdf5"], [tmp_path / "prf.fits"])
    assert "catalog were off by +0.80 rows, -0.40 columns (31 stars)" in text
    assert "WARNING: 3 of 8 images are displaced by 1.5 pixels and are flagged" in text


@pytest.mark.parametrize(("density", "is_told"), [(5000.0, False), (19_300.0, True)])
def test_crowded_fields_are_told(tmp_path, density, is_told):
    text = lines(tmp_path, density=density)
    assert ("WARNING: 19,000 stars to Tmag 17 per square degree" in text) == is_told
    assert ("WARNING" in text) == is_told


@pytest.mark.parametrize(("fitted", "is_told"), [(900, False), (41, True)])
def test_cells_that_were_not_compared_with_the_list_are_told(tmp_path, fitted, is_told):
    checks = tmp_path / "list_check.ecsv"
    write_list_check(checks, pd.DataFrame(), CCD, {}, CensusExtent(900, fitted))
    text = lines(tmp_path, list_checks=[checks])
    assert ("WARNING: image and star list differ in 900 cells" in text) == is_told
    assert (f"the {fitted} most significant of them were fitted" in text) == is_told
