"""Magnitudes against pixels: only what is far from possible is replaced."""

import numpy as np
import pytest

from tessphot_lib.catalog.possible_magnitudes import possible_magnitudes
from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(30, 55, 70, 100)
ROW, COLUMN = np.array([35.3, 44.5, 50.1]), np.array([75.2, 88.5, 99.2])
TMAG = np.array([9.8, 12.0, 11.0])


def image():
    return 80.0 + scene_image(generic_prf(), WINDOW, ROW, COLUMN, flux_of(TMAG))


@pytest.mark.parametrize("star", [0, 1, 2])  # the last one at the edge
def test_zero_for_a_star_that_is_none_of_tmag_0(star):
    tmag = TMAG.copy()
    tmag[star] = 0.0
    found = possible_magnitudes(image(), WINDOW, ROW, COLUMN, tmag)
    assert TMAG[star] - 2.5 < found[star] < TMAG[star] + 0.5
    others = np.arange(3) != star
    np.testing.assert_array_equal(found[others], TMAG[others])


def test_what_is_possible_stays():
    off = np.array([-1.5, -1.0, 3.0])
    np.testing.assert_array_equal(
        possible_magnitudes(image(), WINDOW, ROW, COLUMN, TMAG + off), TMAG + off
    )


def test_stars_off_the_pixels_saturated_and_unknown_ones_stay():
    pixels = image()
    pixels[3:15, 20] = FULL_WELL_RATE
    pixels[20:, :5] = np.nan
    row, column = np.array([38.0, 20.0, 53.0, np.nan]), np.array([90.0, 80.0, 71.0, 80.0])
    tmag = np.array([2.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(possible_magnitudes(pixels, WINDOW, row, column, tmag), tmag)
    nothing = np.full(WINDOW.shape, np.nan)
    np.testing.assert_array_equal(possible_magnitudes(nothing, WINDOW, ROW, COLUMN, TMAG), TMAG)
