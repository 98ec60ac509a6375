"""Images that are taken off the average image again."""

import numpy as np
import pytest
from images_block import write_images_block

from tessphot_lib.core.flags import CadenceFlag, PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.preparation.averaged import (
    averaged_images,
    light_of_images,
    removed_images,
)

WINDOW = Window(10, 140, 300, 390)
COARSE, CHANGED = int(CadenceFlag.COARSE_MEASURED), int(CadenceFlag.STARS_CHANGED)
MANUAL, FOREIGN = int(PixelFlag.MANUAL_EXCLUDE), int(PixelFlag.BACKGROUND_ANOMALY)


def test_what_the_comparison_finds_is_not_averaged():
    quality = np.array([0, COARSE, CHANGED, int(CadenceFlag.NO_MOTION), 0])
    assert averaged_images(np.array([1, 1, 1, 1, 0]), quality).tolist() == [1, 0, 0, 1, 0]
    # Better some that changed than none.
    assert averaged_images(np.array([0, 1, 1, 0, 0]), quality).tolist() == [0, 1, 1, 0, 0]


@pytest.fixture
def block(tmp_path):
    """A block of 5 images; returns its path, fluxes and flags."""
    rng = np.random.default_rng(0)
    flux = rng.normal(150, 20, (5, *WINDOW.shape)).astype(np.float32)
    flux[3, 5, 7] = np.nan
    flags = np.zeros(flux.shape, dtype=np.uint8)
    flags[1, 3:9, 2:5] = MANUAL
    flags[3, 8, 11] = FOREIGN
    flags[3, 12] = int(PixelFlag.SATURATED)
    path = write_images_block(tmp_path / "block.hdf5", WINDOW, flux, pixel_flags=flags)
    return path, flux, flags


def test_light_of_some_images_on_patches(block):
    """Patches that overlap, and one of them too bright in one of the images."""
    path, flux, flags = block
    windows = [Window(10, 30, 300, 320), Window(25, 45, 310, 330), Window(120, 140, 370, 390)]
    patches = Patches.of(windows)
    assert len(patches.windows) == 2
    models = np.zeros((2, 2, N_TERMS))
    models[:, :, 0] = [[100.0, 120.0], [140.0, 2000.0]]
    images = np.array([1, 3])
    total, count = light_of_images(path, images, models, patches, max_background=1000.0)
    expected = np.full((2, *WINDOW.shape), np.nan)
    for index, image in enumerate(images):
        for part, level in enumerate(models[index, :, 0]):
            mine = (patches.index == part) & (level < 1000)
            expected[index][mine] = flux[image][mine] - level
        expected[index][(flags[image] & (MANUAL | FOREIGN)) != 0] = np.nan
    np.testing.assert_allclose(total, np.nansum(expected, axis=0), rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(count, np.isfinite(expected).sum(axis=0))
    assert count[0, 0] == 2
    assert count[-1, -1] == 1


def test_changed_image_leaves_all_patches_whatever_its_sky_is_elsewhere(block):
    """Image 1 is too bright in two of three patches, but was summed in the third."""
    path, _, _ = block
    windows = [Window(10, 30, 300, 320), Window(60, 80, 310, 330), Window(120, 140, 370, 390)]
    patches = Patches.of(windows)
    models = np.zeros((5, 3, N_TERMS))
    models[:, :, 0] = 100.0
    models[1, 1:, 0] = 2000.0
    is_good = np.array([True, True, True, True, False])
    quality = np.array([0, CHANGED, COARSE, 0, CHANGED])
    is_averaged = averaged_images(np.array([1, 0, 1, 1, 0]), quality)  # by their median sky
    removed = removed_images(is_good, is_averaged, quality)
    assert removed.tolist() == [False, True, True, False, False]

    def sums(which):
        images = np.flatnonzero(which)
        return light_of_images(path, images, models[images], patches, max_background=1000.0)

    (of_all, n_all), (less, n_less), (left, n_left) = map(sums, (is_good, removed, is_averaged))
    np.testing.assert_array_equal(n_all - n_less, n_left)
    np.testing.assert_allclose(of_all - less, left, atol=1e-3)
    assert n_less[0, 0] == 2
    # Better some that changed than none.
    all_changed = np.full(5, CHANGED)
    some = averaged_images(np.array([1, 0, 1, 1, 0]), all_changed)
    assert removed_images(is_good, some, all_changed).tolist() == [False, True] + [False] * 3
