"""Derivatives of images from their pixels."""

import numpy as np

from tessphot_lib.core.slopes import image_curvatures, image_slopes


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


def test_curvatures_of_a_parabola_are_exact_beside_unknown_pixels_too():
    """Half the second derivatives, and the mixed one; of a block of pixels nothing is known."""
    rows, columns = np.indices((12, 10))
    image = 3.0 * rows**2 - 0.5 * rows * columns + 2.0 * columns**2 + 7 * rows
    image[4:8, 3:6] = np.nan
    found = image_curvatures(image)
    known = np.isfinite(image)
    for curvature, true in zip(found, (3.0, -0.5, 2.0), strict=True):
        assert ((np.abs(curvature - true) < 1e-9) | (curvature == 0))[known].all()
    np.testing.assert_allclose(found[0, 1:-1, :3], 3.0)
    np.testing.assert_allclose(found[1, 1:-1, :3], -0.5)
    np.testing.assert_allclose(found[2, :4, 1:-1], 2.0)


def test_a_single_row_has_no_curvature_across():
    found = image_curvatures(np.array([[1.0, 4.0, 9.0]]))
    np.testing.assert_allclose(found, [[[0, 0, 0]], [[0, 0, 0]], [[0, 1, 0]]])
