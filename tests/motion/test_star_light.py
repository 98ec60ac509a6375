"""Light and sharpness of stars: what changes them, and what does not."""

import numpy as np
import pytest
from scipy.special import erf

from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.star_light import measure_stars

WINDOW = Window(600, 640, 100, 170)
ROW, COLUMN = np.array([611.3, 622.8]), np.array([118.6, 150.2])


def image(flux=(1000.0, 3000.0), *, width=0.75, shift=(0.0, 0.0), sky=150.0):
    rows, columns = np.arange(600, 640)[:, None], np.arange(100, 170)

    def profile(position, centre):
        low, high = position - 0.5 - centre, position + 0.5 - centre
        return 0.5 * (erf(high / width / np.sqrt(2)) - erf(low / width / np.sqrt(2)))

    stars = zip(ROW + shift[0], COLUMN + shift[1], flux, strict=True)
    return sky + sum(f * profile(rows, r) * profile(columns, c) for r, c, f in stars)


def measured(pixels, background=150.0):
    return measure_stars(pixels, WINDOW, ROW, COLUMN, np.full(2, background))


def test_light_is_proportional_to_the_flux_and_sharpness_is_not():
    one, other = measured(image()), measured(image((500.0, 6000.0)))
    np.testing.assert_allclose(other.light / one.light, [0.5, 2.0], rtol=1e-3)
    np.testing.assert_allclose(other.sharpness, one.sharpness, rtol=1e-3)
    np.testing.assert_allclose(one.row, ROW, atol=0.02)
    np.testing.assert_allclose(one.column, COLUMN, atol=0.02)


def test_an_error_of_the_background_or_a_small_motion_hardly_matters():
    usual = measured(image())
    for pixels in (image(sky=160.0), image(shift=(0.1, -0.2))):
        found = measured(pixels)
        np.testing.assert_allclose(found.light, usual.light, rtol=5e-3)
        np.testing.assert_allclose(found.sharpness, usual.sharpness, rtol=0.03)


def test_blurred_stars_keep_their_light_and_lose_sharpness():
    usual, blurred = measured(image()), measured(image(width=0.95))
    np.testing.assert_allclose(blurred.light, usual.light, rtol=0.08)
    assert (blurred.sharpness < 0.93 * usual.sharpness).all()


def test_without_stars_or_pixels():
    dark = measured(np.full(WINDOW.shape, 150.0))
    assert np.isnan(dark.row).all()
    np.testing.assert_allclose(dark.light, 0.0, atol=1e-9)
    assert np.isnan(dark.sharpness).all()
    pixels = image()
    pixels[12, 20] = np.nan
    found = measured(pixels)
    assert [np.isnan(values[0]) for values in found] == [True] * 4
    assert found.light[1] == pytest.approx(measured(image()).light[1])
