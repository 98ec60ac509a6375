"""Blurred images of cutouts: known blur, variable stars, single stars."""

import numpy as np
import pandas as pd
import pytest
from images_block import CCD, write_images_block
from star_images import gaussian_star

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.motion.pixel_shift import ShiftInformation
from tessphot_lib.preparation.blur import blurred_by, blurred_images
from tessphot_lib.preparation.common_noise import measure_common_noise

STAMPS = [Window(203, 214, 480, 492), Window(220, 232, 500, 511)]
GRID = Patches.of(STAMPS)
ROW, COLUMN = np.array([208.3, 226.9, 223.2]), np.array([486.1, 505.2, 501.8])
FLUX = np.array([6000.0, 8000.0, 2500.0])
N_IMAGES, SKY = 120, 100.0
EXPECTED = NoiseModel.expected(1800.0)
EVENT = slice(50, 56)


def found(folder, *, wider=0.0, ratio=(1.0, 1.0, 1.0), motion=0.0, stars=slice(None)):
    """Which images are blurred, if some are wider by a variance, or their stars brighter."""
    rng = np.random.default_rng(4)

    def light(variance=0.0, ratio=(1.0, 1.0, 1.0), move=0.0):
        width = 0.9
        return sum(
            gaussian_star(GRID.window, row + move, column, flux * one, np.sqrt(width**2 + variance))
            for row, column, flux, one in list(zip(ROW, COLUMN, FLUX, ratio, strict=True))[stars]
        )

    scene = np.array([light()] * N_IMAGES)
    scene[EVENT] = light(wider, ratio, motion)
    flux = scene + SKY
    flux += rng.normal(size=flux.shape) * EXPECTED.sigma(flux, GRID.window)
    flux[:, GRID.index < 0] = np.nan
    blocks = [
        write_images_block(folder / f"{first}.hdf5", GRID.window, flux[part], ccd_id=CCD)
        for first, part in ((0, slice(0, 52)), (52, slice(52, None)))
    ]
    model = np.zeros((N_IMAGES, 2, N_TERMS))
    model[:, :, 0] = SKY
    images = {"background": model, "background_level": np.full(N_IMAGES, SKY)}
    given = blocks, images, flux.mean(axis=0) - SKY, GRID, CCD
    good = np.ones(N_IMAGES, dtype=bool)
    return blurred_images(*given, expected=EXPECTED, is_good=good)


@pytest.mark.parametrize("motion", [0.0, 0.05])
def test_blurred_images_are_found(tmp_path, motion):
    expected = np.zeros(N_IMAGES, dtype=bool)
    expected[EVENT] = True
    np.testing.assert_array_equal(found(tmp_path, wider=0.05, motion=motion), expected)


def variance_seen(wider):
    """Of the blur, as two stars of a window show it in images with some errors."""
    rng = np.random.default_rng(3)
    blur = np.zeros((len(wider), 3))
    blur[:, 0] = blur[:, 2] = np.array(wider) / 2
    normal = np.tile(1e6 * np.eye(3), (len(wider), 3, 1, 1))  # 1 mpx^2, each star
    right = normal @ (blur[:, None, :, None] + 1e-3 * rng.normal(size=(len(wider), 3, 3, 1)))
    return ShiftInformation(normal, right[..., 0])


def test_images_beside_blurred_ones_need_less():
    wider = np.zeros(60)
    wider[[20, 30, 31, 32, 40]] = 0.012, 0.012, 0.03, 0.012, 0.03
    found = blurred_by(variance_seen(wider), np.ones(60, dtype=bool))
    assert np.flatnonzero(found).tolist() == [30, 31, 32, 40]
    bad = np.arange(60) != 32
    assert np.flatnonzero(blurred_by(variance_seen(wider), bad)).tolist() == [30, 31, 40]


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0, 20.0])
@pytest.mark.parametrize("star", [0, 1])
def test_stars_that_change_in_brightness_are_not_blurred(tmp_path, factor, star):
    ratio = np.ones(3)
    ratio[star] = factor
    assert not found(tmp_path, ratio=ratio).any()


def test_little_blur_and_motion_are_none(tmp_path):
    assert not found(tmp_path, wider=0.004, motion=0.05).any()


def test_a_single_star_does_not_tell(tmp_path):
    assert not found(tmp_path, wider=0.1, stars=slice(0, 1)).any()


def test_cutouts_without_light(tmp_path):
    dark = np.full((N_IMAGES, *GRID.window.shape), np.nan, dtype=np.float32)
    block = write_images_block(tmp_path / "b.hdf5", GRID.window, dark, ccd_id=CCD)
    images = {
        "time": 1683.0 + np.arange(N_IMAGES) / 48,
        "background": np.zeros((N_IMAGES, 2, N_TERMS)),
        "background_level": np.full(N_IMAGES, SKY),
        "motion": np.zeros((N_IMAGES, 6)),
    }
    stars = pd.DataFrame({"row": ROW, "column": COLUMN, "tmag": 11.0})
    good = {"expected": EXPECTED, "is_good": np.ones(N_IMAGES, dtype=bool)}
    assert not blurred_images([block], images, dark[0], GRID, CCD, **good).any()
    given = [block], images, dark[0], GRID, stars, CCD
    assert measure_common_noise(*given, **good, seconds=1800.0) == pytest.approx(2.5e-4)


def test_full_frame_images_are_not_looked_at():
    mesh = Mesh.over(GRID.window, 64)
    good = np.ones(N_IMAGES, dtype=bool)
    result = blurred_images([], {}, np.zeros((1, 1)), mesh, CCD, expected=EXPECTED, is_good=good)
    assert result.shape == (N_IMAGES,) and not result.any()
