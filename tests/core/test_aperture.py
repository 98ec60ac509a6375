"""Apertures: which pixels, and where they are."""

import numpy as np
import pytest

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.geometry import Window

APERTURE = Aperture(
    Window(510, 514, 910, 915),
    np.array([[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]], dtype=bool),
)


def test_positions_in_an_aperture():
    row = np.array([511.0, 510.6, 511.49, 511.0, 513.4, 513.6, 511.0, np.nan, 512.0])
    column = np.array([911.0, 910.6, 912.49, 910.4, 912.0, 912.0, 913.0, 911.0, 911.0])
    expected = [True, True, True, False, True, False, False, False, False]
    assert APERTURE.contains(row, column).tolist() == expected


def test_window_around_the_pixels():
    assert APERTURE.bounding_window() == Window(511, 514, 911, 913)
    empty = Aperture(Window(510, 514, 910, 915), np.zeros((4, 5), dtype=bool))
    assert empty.bounding_window() == Window(510, 511, 910, 911)
    whole = Aperture.whole(Window(510, 514, 910, 915))
    assert whole.mask.shape == (4, 5)
    assert whole.bounding_window() == whole.window


def test_mask_of_another_shape_than_its_window_is_refused():
    with pytest.raises(ValueError, match=r"mask is \(3, 2\), the window \(2, 3\)"):
        Aperture(Window(4, 6, 7, 10), np.ones((3, 2), dtype=bool))
