"""Noise that stars have in common, from the pixels of blocks."""

import numpy as np
import pandas as pd
import pytest
from images_block import CCD, write_images_block
from star_images import gaussian_star

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.preparation.common_noise import measure_common_noise

STAMPS = [Window(203, 214, 480, 492), Window(210, 222, 500, 511), Window(225, 236, 483, 495)]
PATCHES = Patches.of(STAMPS)
WINDOW = PATCHES.window
MESH = Mesh.over(WINDOW, 64)
ROW, COLUMN = np.array([208.3, 215.9, 230.4]), np.array([486.1, 505.2, 489.5])
FLUX = np.array([40_000.0, 20_000.0, 30_000.0])
STARS = pd.DataFrame({"row": ROW, "column": COLUMN, "tmag": 20.44 - 2.5 * np.log10(FLUX)})
N_IMAGES, SKY = 300, 100.0
EXPECTED = NoiseModel.expected(1800.0)


def measured(folder, common, grid, *, motion=0.0):
    """The noise that is found if the stars' light scatters by ``common``."""
    rng = np.random.default_rng(2)
    move = motion * rng.normal(size=N_IMAGES)
    still, moved = (
        sum(gaussian_star(WINDOW, *star) for star in zip(ROW + d_row, COLUMN, FLUX, strict=True))
        for d_row in (0.0, 0.01)
    )
    light = still + move[:, None, None] * (moved - still) / 0.01
    light *= 1 + common * rng.normal(size=(N_IMAGES, 1, 1))
    flux = light + SKY
    flux += rng.normal(size=flux.shape) * EXPECTED.sigma(flux, WINDOW)
    model = np.full((N_IMAGES, *MESH.shape), SKY)
    if grid is PATCHES:
        flux[:, grid.index < 0] = np.nan
        model = np.zeros((N_IMAGES, len(STAMPS), N_TERMS))
        model[:, :, 0] = SKY
    blocks = [
        write_images_block(folder / f"{first}.hdf5", WINDOW, flux[part], ccd_id=CCD)
        for first, part in ((0, slice(0, 130)), (130, slice(130, None)))
    ]
    images = {
        "time": 1683.0 + np.arange(N_IMAGES) / 48,
        "background": model,
        "background_level": np.full(N_IMAGES, SKY),
        "motion": np.zeros((N_IMAGES, 6)),
    }
    images["motion"][:, 0] = move
    given = blocks, images, flux.mean(axis=0) - SKY, grid, STARS, CCD
    good = np.ones(N_IMAGES, dtype=bool)
    return measure_common_noise(*given, expected=EXPECTED, is_good=good, seconds=1800.0)


@pytest.mark.parametrize("grid", [PATCHES, MESH], ids=["stamps", "images"])
def test_noise_of_all_stars_is_found(tmp_path, grid):
    assert measured(tmp_path, 2e-4, grid) == pytest.approx(2e-4, rel=0.25)


@pytest.mark.parametrize("grid", [PATCHES, MESH], ids=["stamps", "images"])
def test_motion_is_none_and_stars_without_it_have_little(tmp_path, grid):
    assert measured(tmp_path, 0.0, grid, motion=0.02) < 0.8e-4


def test_without_images_or_stars_it_is_what_is_expected(tmp_path):
    block = write_images_block(tmp_path / "b.hdf5", WINDOW, np.ones((5, *WINDOW.shape)), ccd_id=CCD)
    images = {
        "time": 1683.0 + np.arange(5) / 48,
        "background": np.zeros((5, *MESH.shape)),
        "background_level": np.full(5, np.nan),
        "motion": np.zeros((5, 6)),
    }
    given = [block], images, np.ones(WINDOW.shape), MESH, STARS.iloc[:0], CCD
    bad = np.zeros(5, dtype=bool)
    found = measure_common_noise(*given, expected=EXPECTED, is_good=bad, seconds=1800.0)
    assert found == pytest.approx(2.5e-4)


@pytest.mark.parametrize("window", [Window(203, 211, 480, 515), Window(203, 236, 484, 485)])
def test_windows_narrower_than_what_is_looked_at_show_nothing(tmp_path, window):
    flux = np.random.default_rng(3).normal(SKY, 1.0, (40, *window.shape))
    block = write_images_block(tmp_path / "b.hdf5", window, flux, ccd_id=CCD)
    mesh = Mesh.over(window, 64)
    images = {
        "time": 1683.0 + np.arange(40) / 48,
        "background": np.full((40, *mesh.shape), SKY),
        "background_level": np.full(40, SKY),
        "motion": np.zeros((40, 6)),
    }
    given = [block], images, flux.mean(axis=0) - SKY, mesh, STARS, CCD
    good = np.ones(40, dtype=bool)
    found = measure_common_noise(*given, expected=EXPECTED, is_good=good, seconds=1800.0)
    assert found == pytest.approx(2.5e-4)
