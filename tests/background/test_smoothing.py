"""Backgrounds smoothed in time: like images are averaged, others keep their own."""

import numpy as np
import pytest

from tessphot_lib.background.smoothing import smooth_in_time

CADENCE = 1800 / 86400


def noisy_models(n_images, seed=0, sigma=0.02, level=100.0):
    rng = np.random.default_rng(seed)
    return level + rng.normal(0, sigma, (n_images, 3, 4))


def test_like_images_are_averaged():
    models, time = noisy_models(400), np.arange(400) * CADENCE
    before = models.copy()
    smoothed, gain = smooth_in_time(models, time, np.ones(400, dtype=bool), width=3.2 * CADENCE)
    np.testing.assert_allclose(gain[1:-1], 3.0, rtol=0.02)
    np.testing.assert_allclose(smoothed[5], models[4:7].mean(axis=0), atol=2e-3)
    assert smoothed.std() == pytest.approx(models.std() / np.sqrt(3), rel=0.05)
    np.testing.assert_allclose(gain[[0, -1]], 2.0, rtol=0.02)
    np.testing.assert_array_equal(models, before)


def test_images_across_a_gap_do_not_meet():
    time = np.concatenate([np.arange(5), 40 + np.arange(5)]) * CADENCE
    models = np.concatenate([noisy_models(5), noisy_models(5, level=100.3)])
    smoothed, gain = smooth_in_time(models, time, np.ones(10, dtype=bool), width=3.2 * CADENCE)
    np.testing.assert_allclose(gain[4:6], 2.0, rtol=0.02)
    np.testing.assert_allclose(smoothed[4], models[3:5].mean(axis=0), atol=2e-3)


def test_bad_images_neither_change_nor_give():
    models, time = noisy_models(7), np.arange(7) * CADENCE
    models[2] += 0.4
    models[5] = np.nan
    good = np.ones(7, dtype=bool)
    good[2] = False
    smoothed, gain = smooth_in_time(models, time, good, width=3.2 * CADENCE)
    np.testing.assert_array_equal(smoothed[[2, 5]], models[[2, 5]])
    np.testing.assert_array_equal(gain[[2, 5]], 1.0)
    np.testing.assert_allclose(smoothed[3], models[3:5].mean(axis=0), atol=2e-3)
    assert np.isfinite(np.delete(smoothed, 5, axis=0)).all()


def test_image_beside_strong_stray_light_keeps_its_own():
    models, time = noisy_models(9), np.arange(9) * CADENCE
    models[4] += 500.0
    # ... and one of the same level but another shape:
    models[7, :, :2] += 30.0
    models[7, :, 2:] -= 30.0
    smoothed, gain = smooth_in_time(models, time, np.ones(9, dtype=bool), width=3.2 * CADENCE)
    np.testing.assert_allclose(smoothed[[4, 7]], models[[4, 7]], rtol=1e-9)
    np.testing.assert_allclose(gain[[4, 7]], 1.0)
    np.testing.assert_allclose(smoothed[3], models[2:4].mean(axis=0), atol=2e-3)


@pytest.mark.parametrize("width", [0.0, -1.0])
def test_no_width_no_smoothing(width):
    models = noisy_models(4)
    smoothed, gain = smooth_in_time(
        models, np.arange(4) * CADENCE, np.ones(4, dtype=bool), width=width
    )
    np.testing.assert_array_equal(smoothed, models)
    assert (gain == 1).all()
    smoothed, gain = smooth_in_time(models[:0], np.zeros(0), np.zeros(0, dtype=bool), width=1.0)
    assert len(smoothed) == len(gain) == 0
