"""The pixels that a PRF fit's background and flags are of."""

import numpy as np
from pixel_cube import open_cube

from tessphot_lib.core.geometry import Window
from tessphot_lib.photometry.linpsf import _pixels_around

WINDOW = Window(60, 72, 200, 216)


def test_pixels_beyond_a_stamp_do_not_count(tmp_path):
    average = np.ones(WINDOW.shape)
    average[:3], average[:, 14:] = np.nan, np.nan  # the stamp begins at row 63 and ends at 213
    flux = np.full((2, *WINDOW.shape), 50.0)
    with open_cube(tmp_path, WINDOW, flux, average_image=average) as cube:
        found = _pixels_around(cube, Window(61, 66, 211, 216))
        nowhere = _pixels_around(cube, Window(60, 62, 211, 216))
    expected = np.zeros((5, 5), dtype=bool)
    expected[2:, :3] = True
    np.testing.assert_array_equal(found.mask, expected)
    assert nowhere.mask.all()
