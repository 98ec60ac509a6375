"""What known stars leave of an image."""

import numpy as np

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.residuals import prf_residuals
from tessphot_lib.prf.scene import scene_image
from tests.prf.test_evaluate import lopsided

WINDOW = Window(300, 316, 400, 421)  # not square
PRF = lopsided()
ROW = np.array([305.3, 311.9, 298.5])  # the last one beside the window
COLUMN = np.array([404.8, 413.2, 416.1])
FLUX = np.array([9e3, 2e3, 5e3])


def test_a_source_that_no_list_has_is_what_is_left():
    hidden = scene_image(PRF, WINDOW, np.array([312.1]), np.array([404.2]), np.array([60.0]))
    image = scene_image(PRF, WINDOW, ROW, COLUMN, FLUX)
    model, residual = prf_residuals(PRF, WINDOW, image + hidden, ROW, COLUMN, 1.1 * FLUX)
    np.testing.assert_allclose(model, image, atol=0.002 * image.max())
    assert np.unravel_index(residual.argmax(), WINDOW.shape) == (12, 4)
    assert np.abs(residual - hidden).max() < 0.2 * hidden.max()


def test_missing_and_full_pixels_and_unknown_stars():
    image = scene_image(PRF, WINDOW, ROW, COLUMN, FLUX)
    image[5, 4], image[0, 1] = FULL_WELL_RATE, np.nan
    row = np.append(ROW, np.nan)
    _, residual = prf_residuals(PRF, WINDOW, image, row, np.append(COLUMN, 1), np.append(FLUX, 1))
    assert np.argwhere(np.isnan(residual)).tolist() == [[0, 1], [5, 4]]
    assert np.nanmax(np.abs(residual)) < 0.002 * image[4, 4]


def test_no_stars():
    image = np.arange(WINDOW.shape[0] * WINDOW.shape[1], dtype=float).reshape(WINDOW.shape)
    model, residual = prf_residuals(PRF, WINDOW, image, *[np.zeros(0)] * 3)
    assert not model.any()
    np.testing.assert_array_equal(residual, image)
