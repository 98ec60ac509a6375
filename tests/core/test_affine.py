"""Motions against the mean of some images."""

import numpy as np

from tessphot_lib.core.affine import against_mean


def test_motion_against_the_average_image_is_that_of_its_images():
    motion = np.arange(24.0).reshape(4, 6) ** 2
    motion[2] = np.nan
    expected = motion - 0.5 * (motion[0] + motion[1])
    np.testing.assert_allclose(against_mean(motion, np.array([True, True, True, False])), expected)
    np.testing.assert_allclose(against_mean(motion, np.array([0, 1])), expected)
    np.testing.assert_array_equal(against_mean(motion, np.zeros(4, dtype=bool)), motion)
