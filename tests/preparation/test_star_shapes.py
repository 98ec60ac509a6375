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


@pytest.mark.parametrize(("with_shapes", "gain"), [(True, 1.0), (False, 0.7)])
def test_motion_of_narrow_stars_is_found_whole(with_shapes, gain):
    """Slopes from differences of pixels show some 0.7 of it."""
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
    np.testing.assert_allclose(slopes, gain, atol=0.01 if with_shapes else 0.1)
    if with_shapes:
        assert np.std(shift - moves) == pytest.approx(np.median(error), rel=0.2)


@pytest.mark.parametrize("hit", [30.0, 300.0, 3000.0])
@pytest.mark.parametrize("at", [(3, 4), (3, 5), (2, 4), (6, 8)])
def test_cosmic_rays_on_stars_are_no_motion(at, hit):
    """Also in the pixel that shows most of the motion: all it costs is what that one tells."""
    rng = np.random.default_rng(5)
    flux = images([(0, 0)])[0] + np.zeros((30, 1, 1))
    average = flux[0].copy()
    noise, areas = known(average)
    flux = flux + noise * rng.normal(size=flux.shape)
    shapes = light_of_stars(average, noise, areas, WINDOW)
    clean, error = joined_shift(shift_information(flux - average, average, noise, areas, shapes))
    flux[7, *at] += hit
    shift, _ = joined_shift(shift_information(flux - average, average, noise, areas, shapes))
    assert np.abs(shift[7] - clean[7]).max() < 4 * error[7]
    np.testing.assert_allclose(np.delete(shift, 7, axis=0), np.delete(clean, 7, axis=0), atol=1e-9)
