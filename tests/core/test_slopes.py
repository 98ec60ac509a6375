"""Derivatives of images from their pixels."""

import numpy as np

from tessphot_lib.core.slopes import image_slopes


def test_slopes_of_a_plane_are_exact_everywhere():
    rows, columns = np.indices((6, 9))
    found = image_slopes(3.0 * rows - 0.5 * columns + 7)
    np.testing.assert_allclose(found[0], 3.0)
    np.testing.assert_allclose(found[1], -0.5)


def test_unknown_pixels_spoil_only_what_needs_them():
    image = np.add.outer(2.0 * np.arange(7), np.zeros(5))
    image[3, 2] = np.nan
    found = image_slopes(image)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, [0, 1, 2, 4, 5, 6], 2], 2.0)
    assert found[0, 3, 2] == 2.0  # from the pixels beside it


def test_a_single_row_has_no_slope_across():
    found = image_slopes(np.array([[1.0, 4.0, 9.0]]))
    np.testing.assert_array_equal(found, [[[0, 0, 0]], [[3, 4, 5]]])
