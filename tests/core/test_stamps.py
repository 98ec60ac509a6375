"""Pixels at and around positions: each on its own row and column, nothing wraps around."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import add_stamps, cut_stamps, nearest_pixel, stamp_pixels, values_at

IMAGE = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)
# In the middle; beyond the first row and column; beyond the last ones; far off.
FIRST_ROW, FIRST_COLUMN = np.array([1, -1, 4, -9]), np.array([2, -2, 5, 3])


def test_half_way_between_two_pixels_is_the_higher_one():
    assert nearest_pixel(np.array([0.49, 0.5, 1.5, 2.5, -0.5, -0.51])).tolist() == [
        0,
        1,
        2,
        3,
        0,
        -1,
    ]


def test_stamps_hold_the_pixels_that_they_cover():
    stamps = cut_stamps(IMAGE, FIRST_ROW, FIRST_COLUMN, (2, 3))
    assert stamps.dtype == np.float64
    nan = np.nan
    expected = [
        [[9, 10, 11], [16, 17, 18]],
        [[nan, nan, nan], [nan, nan, 0]],
        [[33, 34, nan], [nan, nan, nan]],
        [[nan] * 3] * 2,
    ]
    np.testing.assert_array_equal(stamps, expected)


def test_stamps_of_several_images():
    images, number = np.stack([IMAGE, IMAGE + 100, IMAGE + 200]), np.array([2, 0, 1, 2])
    stamps = cut_stamps(images, FIRST_ROW, FIRST_COLUMN, (2, 3), number)
    alone = cut_stamps(IMAGE, FIRST_ROW, FIRST_COLUMN, (2, 3))
    np.testing.assert_array_equal(stamps, alone + 100 * number[:, None, None])


def test_whole_numbers_and_flags_can_be_cut():
    stamps = cut_stamps(IMAGE.astype(int), FIRST_ROW[:2], FIRST_COLUMN[:2], (2, 3))
    assert stamps[0, 1, 2] == 18
    assert np.isnan(stamps[1, 0, 0])


def test_flat_indices():
    flat, inside = stamp_pixels(FIRST_ROW, FIRST_COLUMN, (2, 3), IMAGE.shape)
    assert flat.shape == inside.shape == (4, 2, 3)
    assert inside.sum(axis=(1, 2)).tolist() == [6, 1, 2, 0]
    assert flat[inside].tolist() == [9, 10, 11, 16, 17, 18, 0, 33, 34]


def test_no_stamps():
    flat, inside = stamp_pixels(np.zeros(0, int), np.zeros(0, int), (2, 3), IMAGE.shape)
    assert flat.shape == inside.shape == (0, 2, 3)


def test_light_adds_up_where_stamps_overlap():
    image = np.ones((4, 5))
    pixels = stamp_pixels(np.array([1, 2, -1]), np.array([1, 2, 4]), (2, 2), image.shape)
    light = np.array([[[1.0, 2], [3, 4]], [[10, 20], [30, 40]], [[0, 0], [100, 200]]])
    add_stamps(image, *pixels, light)
    expected = [[1, 1, 1, 1, 101], [1, 2, 3, 1, 1], [1, 4, 15, 21, 1], [1, 1, 31, 41, 1]]
    assert image.tolist() == expected


def test_stamps_off_the_image_add_nothing():
    image = np.ones((4, 5))
    pixels = stamp_pixels(np.array([-3, 9]), np.array([1, 2]), (2, 2), image.shape)
    add_stamps(image, *pixels, np.full((2, 2, 2), 7.0))
    assert (image == 1).all()


def test_values_at_positions():
    window = Window(11, 16, 21, 28)
    row, column = np.array([11.0, 12.4, 15.4, 16.0, np.nan]), np.array([21.0, 23.6, 27.2, 22, 22])
    assert values_at(IMAGE, window, row, column, outside=-5.0).tolist() == [0, 10, 34, -5, -5]
    found = values_at(IMAGE > 9, window, row, column, outside=False)
    assert (found.dtype, found.tolist()) == (bool, [False, True, True, False, False])


def test_position_on_the_border_of_a_pixel_is_on_the_next():
    """Half a pixel rounds to the even neighbor in Python, which may lie off the window."""
    average = np.ones((5, 6))
    average[-1], average[:, -1] = np.nan, np.nan
    window = Window(11, 16, 21, 27)
    row, column = np.array([10.5, 12.0, 14.5, 12.0]), np.array([23.0, 20.5, 23.0, 25.5])
    found = values_at(average, window, row, column, outside=np.nan)
    assert np.isfinite(found).tolist() == [True, True, False, False]


@pytest.mark.parametrize("last", [np.nextafter(2046.5, 0), np.nextafter(4.5, 0)])
def test_position_just_before_the_end_of_the_window(last):
    """The sum with a half may be rounded up to the pixel behind the last one."""
    size = int(last + 1)
    image = np.arange(float(size))[:, None]
    window = Window(0, size, 0, 1)
    assert values_at(image, window, np.array([last]), np.zeros(1), outside=-1.0) == size - 1
