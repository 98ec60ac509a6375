"""The motion of the image, taken off the pixels of stars that vary or do not."""

import numpy as np
import pytest

from tessphot_lib.halo.motion import without_motion

N_CADENCES, N_PIXELS = 300, 40
TIME = np.arange(N_CADENCES) / 48


def moved(variation, seed=1, motion=0.02, drift=0.1):
    """Pixels of a star that varies and moves: light, level, noise, motion [pixels]."""
    rng = np.random.default_rng(seed)
    level = 10 ** rng.uniform(2, 4.5, N_PIXELS)
    noise = np.sqrt(1 + level / 300)
    d_row, d_column = rng.normal(0, motion, (2, N_CADENCES)) + drift * TIME / TIME[-1]
    effect = np.outer(d_row, rng.normal(0.3, 0.5, N_PIXELS))
    effect += np.outer(d_column, rng.normal(-0.2, 0.5, N_PIXELS))
    effect += np.outer(d_row**2, rng.normal(1, 1, N_PIXELS))
    light = level * (1 + effect) * variation[:, None] + noise * rng.normal(0, 1, effect.shape)
    return light, level, noise, (d_row, d_column)


VARIATIONS = {
    "none": np.ones(N_CADENCES),
    "transits": np.where(TIME % 1.7 < 0.15, 0.99, 1.0),
    "eclipses": np.where(TIME % 1.3 < 0.12, 0.7, 1.0),
    "pulsation": 1 + 0.01 * np.sin(2 * np.pi * TIME / 0.4),
}


@pytest.mark.parametrize("kind", VARIATIONS)
def test_motion_goes_and_the_star_stays(kind):
    variation = VARIATIONS[kind]
    light, level, noise, motion = moved(variation)
    good = np.ones(N_CADENCES, dtype=bool)
    still = without_motion(light, level, noise, good, *motion)
    weight = level / noise**2
    before, after = light @ weight / variation, still @ weight / variation
    floor = 1 / np.sqrt(((level / noise) ** 2).sum())
    assert np.std(before / before.mean()) > 5 * floor
    assert np.std(after / after.mean()) < 1.5 * floor


def test_motion_is_taken_off_exactly_where_it_is_a_polynomial():
    rng = np.random.default_rng(7)
    down, along = rng.normal(0, 0.05, (2, 300))
    level = np.array([100.0, 2000.0])
    effect = np.stack([3 * down - along**2, along + 2 * down * along], axis=1)
    light = level * (1 + effect)
    good = np.ones(300, dtype=bool)
    good[[5, 70]] = False
    light[5], down[70] = np.nan, np.nan
    still = without_motion(light, level, level, good, down, along)
    spread = np.ptp(still[good] / level, axis=0)
    np.testing.assert_allclose(spread, 0, atol=1e-12)
    np.testing.assert_allclose(still[good].mean(axis=0), light[good].mean(axis=0), rtol=0.02)
    assert np.isnan(still[5]).all()


def test_motion_is_left_where_there_are_few_images_or_it_is_unknown():
    light = np.arange(60.0).reshape(30, 2) + 1
    good = np.ones(30, dtype=bool)
    level = np.ones(2)
    assert without_motion(light, level, level, good, *np.ones((2, 30))) is light
    unknown = np.full(30, np.nan)
    assert without_motion(light, level, level, good, unknown, unknown) is light
    constant = np.tile(light, (10, 1))
    good = np.ones(300, dtype=bool)
    still = without_motion(constant, level, level, good, np.ones(300), np.ones(300))
    np.testing.assert_array_equal(still, constant)
