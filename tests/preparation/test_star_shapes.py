"""Light of stars in small windows: of known stars, and what it does for the motion."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.pixel_shift import joined_shift, shift_information, star_areas
from tessphot_lib.preparation.star_shapes import light_of_stars
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_derivatives, scene_image

WINDOW = Window(303, 312, 1001, 1012)  # not square
STARS = np.array([306.3, 309.1]), np.array([1004.6, 1009.2]), np.array([3e4, 9e3])


def images(moves):
    row, column, flux = STARS
    return np.array(
        [
            scene_image(generic_prf(), WINDOW, row + d_row, column + d_column, flux)
            for d_row, d_column in moves
        ]
    )


def known(average):
    noise = np.hypot(0.3, 0.02 * np.sqrt(np.maximum(average, 0)))
    areas = star_areas(average, noise)
    return noise, areas


def test_stars_of_the_generic_shape_are_found():
    average = images([(0, 0)])[0]
    noise, areas = known(average)
    found = light_of_stars(average, noise, areas, WINDOW)
    expected = scene_derivatives(generic_prf(), WINDOW, *STARS)[:3]
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_stars_with_pixels_that_do_not_count_are_left_out():
    average = images([(0, 0)])[0]
    noise, areas = known(average)
    noise[3, 4] = np.nan  # full, in the brighter one
    found = light_of_stars(average, noise, areas, WINDOW)
    assert np.argmax(found[0]) == np.ravel_multi_index((6, 8), WINDOW.shape)
    nothing = light_of_stars(average, noise, areas[:1], WINDOW)
    assert (nothing == 0).all()
    assert nothing.shape == (3, *WINDOW.shape)


@pytest.mark.parametrize(("with_shapes", "gain"), [(True, 1.0), (False, 0.75)])
def test_motion_of_narrow_stars_is_found_whole(with_shapes, gain):
    """Slopes from differences of pixels show three quarters of it."""
    rng = np.random.default_rng(4)
    moves = rng.normal(0, 0.01, (80, 2))
    moves -= moves.mean(axis=0)
    flux = images(moves)
    average = flux.mean(axis=0)
    noise, areas = known(average)
    change = flux + noise * rng.normal(size=flux.shape) - average
    shapes = light_of_stars(average, noise, areas, WINDOW) if with_shapes else None
    shift, error = joined_shift(shift_information(change, average, noise, areas, shapes))
    slopes = [np.polyfit(moves[:, axis], shift[:, axis], 1)[0] for axis in (0, 1)]
    np.testing.assert_allclose(slopes, gain, atol=0.01 if with_shapes else 0.06)
    if with_shapes:
        assert np.std(shift - moves) == pytest.approx(np.median(error), rel=0.2)
