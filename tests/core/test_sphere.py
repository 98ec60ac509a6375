"""Directions on the sphere."""

import numpy as np
import pytest

from tessphot_lib.core.sphere import separation, tangent_axes, unit_vector


def test_directions_of_the_axes():
    vectors = unit_vector(np.array([0.0, 90.0, 123.0]), np.array([0.0, 0.0, -90.0]))
    np.testing.assert_allclose(vectors, [[1, 0, 0], [0, 1, 0], [0, 0, -1]], atol=1e-15)


@pytest.mark.parametrize(
    ("first", "second", "angle"),
    [
        ((10.0, 0.0), (10.0, 30.0), 30.0),
        ((359.0, 0.0), (2.0, 0.0), 3.0),
        ((0.0, 89.0), (180.0, 89.0), 2.0),
        ((77.0, -12.0), (257.0, 12.0), 180.0),
        ((100.0, 60.0), (100.0 + 2e-9, 60.0), 1e-9),
    ],
)
def test_separation(first, second, angle):
    assert separation(*first, *second) == pytest.approx(angle, rel=1e-5)


def test_east_and_north_are_where_right_ascension_and_declination_grow():
    ra, dec = np.array([[10.0, 200.0, 359.9]]), np.array([[-70.0, 5.0, 89.0]])
    east, north = tangent_axes(ra, dec)
    assert east.shape == north.shape == (1, 3, 3)
    step = 1e-5
    by_ra = (unit_vector(ra + step, dec) - unit_vector(ra - step, dec)) / np.radians(2 * step)
    by_dec = (unit_vector(ra, dec + step) - unit_vector(ra, dec - step)) / np.radians(2 * step)
    np.testing.assert_allclose(by_ra, np.cos(np.radians(dec))[..., None] * east, atol=1e-9)
    np.testing.assert_allclose(by_dec, north, atol=1e-9)
