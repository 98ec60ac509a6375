"""cbv_area(): rings by distance from the camera's centre; a quarter is 4.2426 deg."""

import numpy as np
import pytest

from tessphot_lib.catalog.cbv_area import cbv_area


def rings(ra, dec, centre):
    return (cbv_area(3, 2, np.array(ra), np.array(dec), centre) - 320).tolist()


def test_number_is_made_of_camera_ccd_and_ring():
    assert cbv_area(3, 2, np.array([10.0]), np.array([5.0]), (10.0, 5.0)).tolist() == [321]


def test_rings_along_the_meridian():
    dec = np.array([0.0, 4.24, 4.25, 8.48, 8.49, 12.72, 12.73, 16.97, 17.5, 40.0])
    expected = [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert rings(np.full(10, 80.0), 10 + dec, (80.0, 10.0)) == expected
    assert rings(np.full(10, 80.0), 10 - dec, (80.0, 10.0)) == expected


def test_right_ascension_counts_with_the_cosine_of_declination():
    # On the equator a degree of right ascension is a degree; at dec 60 about half of one.
    assert rings([14.24, 14.25, 5.76, 5.75], [0.0] * 4, (10.0, 0.0)) == [1, 2, 1, 2]
    assert rings([18.2, 18.8], [60.0] * 2, (10.0, 60.0)) == [1, 2]


def test_across_zero_right_ascension():
    assert rings([358.0, 356.9, 3.0, 355.7], [0.0] * 4, (1.2, 0.0)) == [1, 2, 1, 2]


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_camera_at_a_pole(pole):
    ra = [0.0, 77.0, 180.0, 311.0]
    near, far = np.sign(pole) * 85.77, np.sign(pole) * 85.74
    assert rings(ra, [near] * 4, (123.0, pole)) == [1] * 4
    assert rings(ra, [far] * 4, (123.0, pole)) == [2] * 4


def test_star_beyond_the_pole():
    # 2 deg this side and 3 deg beyond: 5 deg apart.
    assert rings([190.0, 10.0], [87.0, 84.0], (10.0, 88.0)) == [2, 1]
