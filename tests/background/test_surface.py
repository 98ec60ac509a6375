"""A surface through pixels: exact where light is smooth, and bridging what is hidden."""

import numpy as np
import pytest

from tessphot_lib.background.surface import smooth_surface

SHAPE = (61, 90)
ROW, COLUMN = np.indices(SHAPE, dtype=float)
ONES = np.ones(SHAPE)
INSIDE = (slice(6, -6), slice(6, -6))


def hole(row, column, radius):
    return np.hypot(ROW - row, COLUMN - column) <= radius


def waves(length):
    return 100 * np.sin(2 * np.pi * ROW / length) * np.cos(2 * np.pi * COLUMN / length + 1)


def test_parabolas_are_exact_under_stars_and_at_the_edges():
    parabola = 20 + 0.3 * ROW - 0.02 * (COLUMN - 40) ** 2 + 0.01 * ROW * COLUMN
    weight = np.where(hole(20, 70, 5) | hole(45, 2, 4), 0.0, 1.0)
    np.testing.assert_allclose(smooth_surface(parabola, weight), parabola, atol=0.02)


@pytest.mark.parametrize(("length", "off"), [(40.0, 1.0), (20.0, 5.0)])
def test_summits_under_stars_are_found(length, off):
    light = waves(length)
    hidden = hole(20, 70, 3.5) | hole(40, 33, 3.5)
    found = smooth_surface(np.where(hidden, 1e6, light), np.where(hidden, 0.0, 1.0))
    assert np.abs(found - light)[INSIDE].max() < off


def test_noise_is_averaged_the_more_the_smoother_the_light_is():
    noise = np.random.default_rng(4).normal(0, 1.0, SHAPE)
    of_none = smooth_surface(noise, ONES)
    of_waves = smooth_surface(noise + waves(20.0), ONES) - smooth_surface(waves(20.0), ONES)
    assert of_none.std() < 0.15
    assert of_none.std() < of_waves.std() < 0.35


def test_pixels_of_little_weight_hardly_matter():
    light, star = waves(40.0), 1000.0 * hole(30, 50, 2)
    weight = 1 / (1 + (0.3 * star) ** 2)
    assert np.abs(smooth_surface(light + 0.2 * star, weight) - light)[INSIDE].max() < 1.0


def test_large_holes_are_bridged_calmly():
    light = 50 + 2 * ROW + 10 * np.cos(COLUMN / 6)
    hidden = hole(30, 50, 22)
    found = smooth_surface(light, np.where(hidden, 0.0, 1.0))
    assert found[hidden].min() > light.min() - 20
    assert found[hidden].max() < light.max() + 20


def test_turned_images_have_turned_surfaces():
    light = waves(33.0) + np.random.default_rng(5).normal(0, 1.0, SHAPE)
    weight = np.where(hole(20, 70, 4), 0.0, 1.0)
    np.testing.assert_allclose(
        smooth_surface(light.T, weight.T).T, smooth_surface(light, weight), atol=1e-6
    )


def test_no_pixels_have_no_surface_and_single_ones_their_level():
    assert not smooth_surface(np.full(SHAPE, np.nan), 0 * ONES).any()
    assert smooth_surface(7.0 * np.ones((1, 3)), np.ones((1, 3))) == pytest.approx(7.0, abs=0.01)
