"""peaks_of(): ways uphill in images small enough to see them."""

import numpy as np

from tessphot_lib.core.peaks import peaks_of


def test_each_pixel_belongs_to_the_peak_above_it():
    image = np.array(
        [
            [9.0, 5.0, 1.0, 2.0, 3.0],
            [4.0, 3.0, 0.0, 4.0, 8.0],
            [1.0, 2.0, 0.5, 1.0, 7.0],
        ]
    )
    # In the middle column 5 is higher than 4, and 4 higher than 3.
    expected = [[0, 0, 0, 9, 9], [0, 0, 0, 9, 9], [0, 0, 9, 9, 9]]
    np.testing.assert_array_equal(peaks_of(image).reshape(image.shape), expected)
    np.testing.assert_array_equal(peaks_of(image, np.array([13, 6])), [9, 0])


def test_a_long_way_and_none():
    """A ridge along a row; and pixels without any light."""
    ridge = np.full((3, 400), -np.inf)
    ridge[1] = np.arange(400.0)
    peaks = peaks_of(ridge).reshape(ridge.shape)
    assert (peaks == 799).all()
    assert peaks_of(np.full((2, 3), -np.inf)).tolist() == list(range(6))
    assert peaks_of(np.zeros((2, 3)), np.zeros(0, dtype=int)).size == 0
