"""average_image(): sums of blocks minus the mean background."""

import numpy as np
import pytest

from tessphot_lib.average import average_image
from tessphot_lib.background import Mesh, evaluate_background
from tessphot_lib.model import Window

WINDOW = Window(96, 160, 32, 128)  # 2 x 3 cells of 32
MESH = Mesh.over(WINDOW, 32)


def test_background_of_all_blocks_is_taken_off_once():
    rng = np.random.default_rng(1)
    stars = rng.uniform(0, 1e4, WINDOW.shape)
    backgrounds = rng.uniform(50, 150, (5, *MESH.shape))
    images = stars + evaluate_background(backgrounds, MESH, WINDOW)
    everywhere = np.ones(WINDOW.shape, dtype=np.int32)
    # Blocks of unequal length, so that a mean of means would be wrong.
    sums = [(images[:1].sum(axis=0), everywhere), (images[1:].sum(axis=0), 4 * everywhere)]
    average, count = average_image(iter(sums), backgrounds, MESH)
    np.testing.assert_allclose(average, stars, rtol=0, atol=1e-9)
    assert (count == 5).all()


def test_pixel_missing_in_some_or_all_images():
    flux_sum, flux_count = np.full(WINDOW.shape, 330.0), np.full(WINDOW.shape, 3)
    flux_sum[5, 7], flux_count[5, 7] = 220.0, 2
    flux_sum[9, 60], flux_count[9, 60] = 0.0, 0
    average, count = average_image([(flux_sum, flux_count)], np.full((3, *MESH.shape), 100.0), MESH)
    assert np.isnan(average[9, 60])
    assert np.isnan(average).sum() == 1
    np.testing.assert_allclose(average[np.isfinite(average)], 10.0)
    assert (count[5, 7], count[9, 60], count[0, 0]) == (2, 0, 3)


def test_sums_are_left_as_they_were():
    sums = [(np.ones(WINDOW.shape), np.ones(WINDOW.shape, dtype=np.int32)) for _ in range(2)]
    average_image(sums, np.zeros((2, *MESH.shape)), MESH)
    assert all((total == 1).all() and (count == 1).all() for total, count in sums)


def test_nothing_to_average():
    zeros = np.zeros(WINDOW.shape), np.zeros(WINDOW.shape, dtype=np.int32)
    with pytest.raises(ValueError, match="no good images"):
        average_image([zeros], np.zeros((0, *MESH.shape)), MESH)
    with pytest.raises(ValueError, match="no good images"):
        average_image([zeros], np.zeros((1, *MESH.shape)), MESH)
