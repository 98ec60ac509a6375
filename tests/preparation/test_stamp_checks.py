"""Files that contradict the others, by hand-made positions and times."""

import numpy as np
import pytest

from tessphot_lib.preparation.stamp_checks import is_misplaced, is_off_the_clock

SCALE = 21.0 / 3600
ROW, COLUMN = np.array([100.0, 1900.0, 700.0, 1200.0]), np.array([1500.0, 300.0, 900.0, 20.0])


def sky(row, column):
    """Sky of a CCD at the equator without distortion: columns are right ascension."""
    return 40 + SCALE * column, SCALE * (row - 1000)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_stamps_of_one_ccd_are_where_they_should_be(n):
    row, column = ROW[:n], COLUMN[:n]
    assert not is_misplaced(row, column, *sky(row, column)).any()


@pytest.mark.parametrize("wrong", range(4))
@pytest.mark.parametrize(("d_row", "d_column"), [(300, 0), (0, -400), (5000, 3000)])
def test_the_stamp_that_is_elsewhere_is_found(wrong, d_row, d_column):
    is_wrong = np.arange(4) == wrong
    seen = sky(ROW + d_row * is_wrong, COLUMN + d_column * is_wrong)
    np.testing.assert_array_equal(is_misplaced(ROW, COLUMN, *seen), is_wrong)


def test_of_two_that_do_not_go_together_both_are_told():
    ra, dec = sky(ROW[:2] + np.array([0, 900]), COLUMN[:2])
    assert is_misplaced(ROW[:2], COLUMN[:2], ra, dec).all()


@pytest.mark.parametrize("wrong", range(3))
@pytest.mark.parametrize("off", [-0.6, 0.6, 10.0, 43200.0])
def test_the_file_with_other_times_is_found(wrong, off):
    """Files begin and end at different cadences, and lack times of some."""
    numbers = [np.arange(first, first + 50) for first in (700, 705, 690)]
    times = [1683.0 + number * 120 / 86400 for number in numbers]
    times[1][7] = np.nan
    assert not is_off_the_clock(numbers, times, cadence=120.0).any()
    times[wrong] = times[wrong] + off * 120 / 86400
    found = is_off_the_clock(numbers, times, cadence=120.0)
    np.testing.assert_array_equal(found, np.arange(3) == wrong)


def test_one_file_alone_is_believed():
    assert not is_off_the_clock([np.array([4, 5])], [np.array([np.nan, 1683.0])], cadence=20.0)[0]
    assert is_off_the_clock([], [], cadence=20.0).shape == (0,)
