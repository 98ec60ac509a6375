"""Backgrounds smoothed in time: like images are averaged, others keep their own."""

import numpy as np
import pytest

from tessphot_lib.background.smoothing import keep_changes, smooth_in_time

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


def changing_sky(n_images=400, n_parts=5, *, common=0.2, apart=0.0, noise=0.03, seed=4):
    """Levels with true changes from image to image, of all parts together and of each alone."""
    rng = np.random.default_rng(seed)
    true = 90.0 + 0.5 * np.sin(np.arange(n_images) / 60)[:, None] * np.ones(n_parts)
    true += rng.normal(0, common, (n_images, 1)) + rng.normal(0, apart, (n_images, n_parts))
    return true, true + rng.normal(0, noise, true.shape)


def smoothed_again(true, measured, noise):
    time, good = np.arange(len(true)) * CADENCE, np.ones(len(true), dtype=bool)
    smoothed, gain = smooth_in_time(measured[:, None], time, good, width=3.2 * CADENCE)
    error = np.full(measured.shape, noise)
    return smoothed[:, 0], *keep_changes(measured, smoothed[:, 0], gain, error, good)


@pytest.mark.parametrize("n_parts", [1, 5])
def test_a_sky_that_changes_from_image_to_image_is_followed(n_parts):
    true, measured = changing_sky(n_parts=n_parts)
    smoothed, kept, own = smoothed_again(true, measured, 0.03)
    assert np.std(smoothed - true) > 0.1
    assert np.std(kept - true) < 1.1 * 0.03
    # Of five parts, what they share is of all of them: each has a fifth of its own error in it.
    np.testing.assert_allclose(own.mean(), {1: 0.97, 5: 0.2}[n_parts], atol=0.06)


def test_what_one_part_has_apart_is_kept_as_far_as_it_is_no_noise():
    true, measured = changing_sky(common=0.0, apart=0.03)
    smoothed, kept, own = smoothed_again(true, measured, 0.03)
    error = np.std(kept - true)
    assert error < min(np.std(smoothed - true), np.std(measured - true))
    np.testing.assert_allclose(own.mean(), 0.45, atol=0.1)


def test_noise_alone_stays_smoothed():
    true, measured = changing_sky(common=0.0)
    smoothed, kept, own = smoothed_again(true, measured, 0.03)
    assert np.std(kept - true) < 1.05 * np.std(smoothed - true)
    assert own.mean() < 0.1


def test_few_images_of_noise_alone_stay_smoothed():
    """Thirty do not know their variance well: what it exceeds the expected one by is no change."""
    kept = []
    for seed in range(40):
        true, measured = changing_sky(30, 1, common=0.0, seed=seed)
        kept.append(smoothed_again(true, measured, 0.03)[2].mean())
    assert np.mean(kept) < 0.1


def test_what_only_one_of_several_parts_does_is_no_sky():
    """It would be a star's variation, that would be taken off with the background."""
    true, measured = changing_sky(common=0.0)
    of_star = np.random.default_rng(8).normal(0, 0.03, len(true))
    true[:, 2] += of_star
    measured[:, 2] += of_star
    _, _, own = smoothed_again(true, measured, 0.03)
    assert np.median(own[:, 2]) < 0.05


def test_the_best_known_parts_tell_what_all_have_in_common():
    noise = np.array([0.03, 0.03, 0.6, 0.03, 0.03])
    true, measured = changing_sky(noise=noise)
    _, kept, _ = smoothed_again(true, measured, noise)
    off = np.std(kept - true, axis=0)
    assert (np.delete(off, 2) < 0.026).all()
    assert off[2] < 0.6


def test_a_single_image_with_another_sky_keeps_it_whole():
    true, measured = changing_sky(common=0.0)
    true[50] += 0.25
    measured[50] += 0.25
    _, kept, own = smoothed_again(true, measured, 0.03)
    np.testing.assert_allclose(kept[50], measured[50], atol=0.03)
    assert (own[50] > 0.15).all()


def test_few_images_and_bad_ones_are_left_as_they_are():
    true, measured = changing_sky(n_images=8)
    smoothed, kept, own = smoothed_again(true, measured, 0.03)
    np.testing.assert_array_equal(kept, smoothed)
    assert (own == 0).all()
    true, measured = changing_sky(n_images=60)
    measured[7, 2] = np.nan
    gain, good = np.full(60, 3.0), np.ones(60, dtype=bool)
    gain[[7, 20]], good[20] = 1.0, False
    kept, own = keep_changes(measured, measured + 0.1, gain, np.full(true.shape, 0.03), good)
    np.testing.assert_array_equal(kept[[7, 20]], measured[[7, 20]])
    assert (own[[7, 20]] == 1).all()
    assert np.isfinite(np.delete(kept, 7, axis=0)).all()


@pytest.mark.parametrize("n_parts", [1, 5])
def test_levels_without_errors_keep_no_change_and_spoil_no_others(n_parts):
    _, measured = changing_sky(n_images=60, n_parts=n_parts)
    smoothed, gain, good = measured + 0.1, np.full(60, 3.0), np.ones(60, dtype=bool)
    error = np.full(measured.shape, 0.03)
    whole, _ = keep_changes(measured, smoothed, gain, error, good)
    error[[7, 30], 0] = np.nan
    kept, own = keep_changes(measured, smoothed, gain, error, good)
    assert np.isfinite(kept).all() and np.isfinite(own).all()
    np.testing.assert_allclose(kept[[7, 30], 0], smoothed[[7, 30], 0], atol=1e-6)
    others = np.delete(np.arange(60), [7, 30])
    np.testing.assert_allclose(kept[others], whole[others], atol=0.02)
