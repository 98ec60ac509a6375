"""Noise that stars have in common: known amounts, stars of one patch, few stars."""

import numpy as np
import pytest

from tessphot_lib.quality.common_noise import (
    NOTHING_SEEN,
    CommonNoise,
    believed_noise,
    common_variance,
)

N_IMAGES = 900
SIGMA = np.geomspace(2e-4, 3e-3, 14)  # of single images


def second_differences(common, seed=2):
    """Of stars with noise of their own, and some of all, by patches of two stars."""
    rng = np.random.default_rng(seed)
    light = SIGMA[:, None] * rng.normal(size=(len(SIGMA), N_IMAGES))
    light += common * rng.normal(size=N_IMAGES)
    return np.diff(light, 2, axis=1), np.arange(len(SIGMA)) // 2


@pytest.mark.parametrize("common", [0.0, 1e-4, 3e-4])
def test_common_noise_is_found_within_its_error(common):
    pulls = []
    for seed in range(12):
        found = common_variance(*second_differences(common, seed))
        pulls.append((found.variance - common**2) / found.error)
    assert abs(np.mean(pulls)) < 1.0
    assert 0.5 < np.std(pulls) < 1.6
    assert found.error < 1e-8
    assert 2 < found.n_stars < 7  # the brighter ones tell


def test_stars_of_one_patch_are_not_compared():
    second, patch = second_differences(0.0)
    rng = np.random.default_rng(7)
    of_patch = np.diff(1e-3 * rng.normal(size=(7, N_IMAGES)), 2, axis=1)
    found = common_variance(second + of_patch[patch], patch)
    assert abs(found.variance) < 3 * found.error
    assert common_variance(second, np.zeros(len(second), dtype=int)) == NOTHING_SEEN


def test_a_variable_star_counts_little_and_missing_images_not_at_all():
    second, patch = second_differences(2e-4)
    expected = common_variance(second, patch).variance
    second[5] *= 300.0
    second[0, ::3] = np.nan
    second[3] = np.nan
    found = common_variance(second, patch)
    assert found.variance == pytest.approx(expected, abs=2 * found.error)


def test_without_stars_nothing_is_seen():
    assert common_variance(np.zeros((0, 50)), np.zeros(0, dtype=int)) == NOTHING_SEEN
    assert common_variance(np.full((3, 50), np.nan), np.arange(3)) == NOTHING_SEEN


def test_what_is_believed():
    assert believed_noise(NOTHING_SEEN, 1800.0) == pytest.approx(2.5e-4)
    assert believed_noise(NOTHING_SEEN, 200.0) == pytest.approx(7.5e-4)  # jitter averages out
    many = CommonNoise(9e-8, 1e-10, 1e4)
    assert believed_noise(many, 1800.0) == pytest.approx(3e-4, rel=0.01)
    assert believed_noise(CommonNoise(-1e-9, 1e-10, 50.0), 1800.0) == 0.0
    # Two stars may be two that show it more than others.
    few = CommonNoise(36e-8, 1e-10, 2.0)
    assert 2.5e-4 < believed_noise(few, 1800.0) < 2.9e-4
