"""average_image(): sums of blocks, over the number of images of each pixel."""

import numpy as np
import pytest

from tessphot_lib.background.average import average_image

SHAPE = (64, 96)


def test_blocks_of_unequal_length():
    """A mean of the blocks' means would be wrong."""
    images = np.random.default_rng(1).uniform(0, 1e4, (5, *SHAPE))
    everywhere = np.ones(SHAPE, dtype=np.int32)
    sums = [(images[:1].sum(axis=0), everywhere), (images[1:].sum(axis=0), 4 * everywhere)]
    average, count = average_image(iter(sums))
    np.testing.assert_allclose(average, images.mean(axis=0), rtol=1e-12)
    assert (count == 5).all()


def test_pixel_missing_in_some_or_all_images():
    flux_sum, flux_count = np.full(SHAPE, 330.0), np.full(SHAPE, 3)
    flux_sum[5, 7], flux_count[5, 7] = 220.0, 2
    flux_sum[9, 60], flux_count[9, 60] = 0.0, 0
    average, count = average_image([(flux_sum, flux_count)])
    assert np.isnan(average[9, 60])
    assert np.isnan(average).sum() == 1
    np.testing.assert_allclose(average[np.isfinite(average)], 110.0)
    assert (count[5, 7], count[9, 60], count[0, 0]) == (2, 0, 3)


def test_sums_are_left_as_they_were():
    sums = [(np.ones(SHAPE), np.ones(SHAPE, dtype=np.int32)) for _ in range(2)]
    average_image(sums)
    assert all((total == 1).all() and (count == 1).all() for total, count in sums)


def test_nothing_to_average():
    zeros = np.zeros(SHAPE), np.zeros(SHAPE, dtype=np.int32)
    with pytest.raises(ValueError, match="no good images"):
        average_image([zeros])
    with pytest.raises(ValueError, match="no good images"):
        average_image([])
