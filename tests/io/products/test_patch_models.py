"""Backgrounds of patches that are read as they are needed: as if all had been read."""

import h5py
import numpy as np
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.patches import Patches
from tessphot_lib.io.products.patch_models import IMAGES_AT_ONCE, PatchModels
from tessphot_lib.io.products.pixels_hdf5 import PixelCube

N_IMAGES, N_PATCHES, N_TERMS = IMAGES_AT_ONCE + 37, 7, 3
LEVELS = np.array([0.0, 5.5, 0.0, -2.0, 0.0, 1.0, 0.25])


@pytest.fixture
def dataset(tmp_path):
    values = np.arange(N_IMAGES * N_PATCHES * N_TERMS, dtype=np.float32)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        yield file.create_dataset("a", data=values.reshape(N_IMAGES, N_PATCHES, N_TERMS))


@pytest.mark.parametrize("known", [[], [1, 5], range(N_PATCHES)])
@pytest.mark.parametrize("is_raised", [False, True])
def test_parts_are_those_of_the_whole(dataset, known, is_raised):
    models, whole = PatchModels(dataset, known), dataset[()]
    if is_raised:
        before = models[:, 1].copy()
        raised = models.raised(LEVELS).raised(LEVELS)
        np.testing.assert_array_equal(models[:, 1], before)
        models = raised
        whole[..., 0] += 2 * LEVELS.astype(np.float32)
    assert (len(models), models.shape, models.dtype) == (N_IMAGES, whole.shape, whole.dtype)
    for images in (slice(None), slice(3, N_IMAGES - 5), slice(2, 1050, 7)):
        for patches in (1, 3, np.int64(6), np.array([4, 1]), np.array([], dtype=int)):
            np.testing.assert_array_equal(models[images, patches], whole[images, patches])
            inner = models[images][5:40, patches]
            np.testing.assert_array_equal(inner, whole[images][5:40, patches])
    np.testing.assert_array_equal(np.asarray(models[3:9]), whole[3:9])
    np.testing.assert_array_equal(models[..., 0], whole[..., 0])


def test_only_what_is_asked_for_is_read(dataset):
    models = PatchModels(dataset, [1, 5])
    whole = dataset[()]
    dataset[...] = 0
    np.testing.assert_array_equal(models[:, 5], whole[:, 5])
    np.testing.assert_array_equal(models[:, 2], 0)


@pytest.mark.parametrize("near", [Window(100, 104, 300, 303), Window(0, 50, 0, 50)])
def test_cube_says_the_same_whatever_is_near(tmp_path, near):
    window = Window(100, 118, 300, 330)
    patches = Patches.of([Window(100, 107, 300, 309), Window(110, 118, 312, 330)])
    n_images = 12
    flux = np.random.default_rng(4).normal(50, 3, (n_images, *window.shape)).astype(np.float32)
    background = np.random.default_rng(5).normal(9, 2, (n_images, 2, 3)).astype(np.float32)
    region, used = Window(108, 117, 305, 320), np.array([3, 38, 85])  # the first is off the patches
    runs = np.array([0, 5]), np.ones(n_images, dtype=bool)
    questions = [
        lambda cube: cube.background_in(region),
        lambda cube: cube.background_in(region, slice(2, 9, 3)),
        lambda cube: cube.read_used(region, used)[2],
        lambda cube: cube.mean_background_in(region, slice(None), *runs),
        lambda cube: cube.background_at(103.0, 304.0)[0],
        lambda cube: cube.average_image(),
    ]
    with (
        open_cube(tmp_path, window, flux, patches=patches, background=background) as whole,
        PixelCube(tmp_path / "pixels.hdf5", near=near) as cube,
    ):
        assert not {"background", "background_error"} & vars(cube).keys()  # nothing is read yet
        for _ in range(3):
            for question in questions:
                answer = question(cube)
                assert np.isfinite(answer).any()
                np.testing.assert_array_equal(answer, question(whole))
            for either in (cube, whole):
                either.subtract_residual(np.array([1.5, -0.25]))
