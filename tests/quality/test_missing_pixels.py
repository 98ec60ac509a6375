"""Pixels of an image that were never written."""

import numpy as np

from tessphot_lib.quality.missing_pixels import without_missing


def test_pixels_that_are_exactly_zero_are_missing():
    flux = np.random.default_rng(0).normal(100, 5, (3, 15, 13)).astype(np.float32)
    flux[1, 7:] = 0.0  # the lower 8 of 15 rows in one of the images
    flux[2, 3, 4] = np.nan
    before = flux.copy()
    found = without_missing(flux)
    expected = np.zeros(flux.shape, dtype=bool)
    expected[1, 7:] = expected[2, 3, 4] = True
    np.testing.assert_array_equal(np.isnan(found), expected)
    np.testing.assert_array_equal(found[~expected], before[~expected])
    np.testing.assert_array_equal(flux, before)
    assert found.dtype == flux.dtype


def test_images_without_such_pixels_stay_as_they_are():
    flux = np.array([-0.1, 1e-30, 5.0])
    assert without_missing(flux) is flux
