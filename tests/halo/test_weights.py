"""Halo photometry of made-up pixels whose star, motion and noise are known."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from tessphot_lib.halo.motion import without_motion
from tessphot_lib.halo.weights import (
    HaloWeights,
    fit_halo,
    least_variation,
    softmax_objective,
    time_segments,
    total_variation,
    weighted_sum,
)

# -- segments -----------------------------------------------------------------------------------


def segments(time, good=None, **options):
    time = np.asarray(time, dtype=float)
    good = np.ones(len(time), dtype=bool) if good is None else np.asarray(good, dtype=bool)
    found = time_segments(time, good, **({"gap": 1.0, "min_length": 1} | options))
    return [(one.start, one.stop) for one in found]


def test_cuts_are_at_large_gaps():
    assert segments([0, 0.5, 1, 2.5, 3, 4, 5.5]) == [(0, 3), (3, 6), (6, 7)]
    assert segments([0, 0.5, 1.5]) == [(0, 3)]


def test_bad_points_make_gaps_and_belong_to_the_segment_before():
    time = np.arange(8) * 0.6
    good = [False, True, True, False, False, True, True, False]
    assert segments(time, good) == [(0, 5), (5, 8)]


def test_short_segments_are_joined_to_the_shorter_neighbor():
    time = [0, 0.1, 0.2, 5, 9, 9.1, 20, 20.1, 20.2]
    assert segments(time, min_length=2) == [(0, 3), (3, 6), (6, 9)]
    assert segments(time, min_length=3) == [(0, 3), (3, 6), (6, 9)]
    assert segments(time, min_length=4) == [(0, 9)]
    assert segments([0, 5, 5.1, 5.2], min_length=2) == [(0, 4)]


def test_series_without_good_points_is_one_segment():
    assert segments([0, 5, 9], [0, 0, 0]) == [(0, 3)]
    assert segments([0, 5, 9], [0, 0, 0], min_length=5) == [(0, 3)]


# -- the objective ------------------------------------------------------------------------------


def test_total_variation_by_hand():
    changes = np.array([[3e-3, 1e-3], [-1e-3, 5e-3]])
    value, _ = total_variation(np.array([0.5, 0.5]), changes)
    assert value == pytest.approx(2e-3 - 1e-5, rel=1e-4)  # changes of 2e-3 and 2e-3


@pytest.mark.parametrize("size", [1e-6, 1e-5, 1e-3])
def test_gradients_agree_with_finite_differences(size):
    rng = np.random.default_rng(3)
    changes = rng.normal(0, size, (40, 6))
    shares = rng.dirichlet(np.ones(6))
    _, gradient = total_variation(shares, changes)
    numeric = approx_fprime(shares, lambda at: total_variation(at, changes)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=2e-4 * np.abs(gradient).max())
    parameters = rng.normal(0, 1, 6)
    _, gradient = softmax_objective(parameters, changes)
    numeric = approx_fprime(parameters, lambda at: softmax_objective(at, changes)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, atol=1e-4 * np.abs(gradient).max())


def test_opposite_pixels_cancel():
    rng = np.random.default_rng(4)
    moved = rng.normal(0, 1e-2, 200)
    changes = np.stack([moved, -3 * moved, 2 * moved], axis=1)
    shares, value = least_variation(changes, np.array([1.0, 5.0, 2.0]))
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert (shares >= 0).all()
    assert shares @ np.array([1, -3, 2]) == pytest.approx(0, abs=1e-3)
    assert value < 1e-6


def test_start_does_not_matter_where_there_is_one_best():
    rng = np.random.default_rng(5)
    changes = rng.normal(0, [1e-3, 2e-3, 4e-3, 1e-1], (400, 4))
    first, _ = least_variation(changes, np.ones(4))
    second, _ = least_variation(changes, np.array([1.0, 9.0, 2.0, 8.0]))
    np.testing.assert_allclose(first, second, atol=2e-3)
    best = 1 / np.array([1, 4, 16, 1e4])
    np.testing.assert_allclose(first, best / best.sum(), atol=0.05)


# -- light curves -------------------------------------------------------------------------------

N_CADENCES = 600
TIME = np.where(np.arange(N_CADENCES) < 310, 0.0, 1.2) + np.arange(N_CADENCES) / 48
PULSATION = 1 + 5e-4 * np.sin(2 * np.pi * TIME / 0.61)
SKY_NOISE = 1.0  # [e-/s]


def scene(rng, noise=SKY_NOISE, motion_rms=0.02):
    """Pixels around a star that moves: level, places, motion, light (n_cadences, n_pixels)."""
    row, column = (values.ravel() - 9.0 for values in np.mgrid[0:19, 0:19])
    distance = np.hypot(row, column)
    ring = (distance >= 3) & (distance <= 9) & (column > -5)
    row, column, distance = row[ring], column[ring], distance[ring]
    d_row, d_column = rng.normal(0, motion_rms, (2, N_CADENCES))
    at = np.hypot(row - d_row[:, None], column - d_column[:, None])
    level = 3e6 * distance**-3.0
    light = PULSATION[:, None] * 3e6 * at**-3.0
    light += noise * rng.normal(0, 1, light.shape) * np.sqrt(1 + level / 300)
    return level, (row, column), (d_row, d_column), light


def fit(scene, light=None, good=None, time=TIME):
    level, place, _, own_light = scene
    good = np.ones(N_CADENCES, dtype=bool) if good is None else good
    noise = SKY_NOISE * np.sqrt(1 + level / 300)
    light = own_light if light is None else light
    return fit_halo(light, time, good, level, noise, place, gap=0.5, min_length=48)


def amplitude(flux):
    """Of the pulsation, relative."""
    signal = (PULSATION - 1) / 5e-4
    design = np.stack([signal, np.ones(N_CADENCES)], axis=1)
    return float(np.linalg.lstsq(design, flux / np.median(flux), rcond=None)[0][0])


def test_pulsation_is_recovered_and_motion_is_not():
    made = scene(np.random.default_rng(6))
    level, _, motion, light = made
    plain = light.sum(axis=1) / light.sum(axis=1).mean()
    good = np.ones(N_CADENCES, dtype=bool)
    noise = SKY_NOISE * np.sqrt(1 + level / 300)
    still = without_motion(light, level, noise, good, *motion)
    halo = fit(made, still)
    assert [(one.start, one.stop) for one in halo.segments] == [(0, 310), (310, 600)]
    flux = weighted_sum(halo, still)
    assert amplitude(flux) == pytest.approx(5e-4, rel=0.03)
    left = np.std(flux / PULSATION)
    floor = 1 / np.sqrt(((level / noise) ** 2).sum())
    assert left < 1.3 * floor
    assert left < 0.1 * np.std(plain / PULSATION)
    # Without the correction the weights alone make motion smaller.
    unhelped = np.std(weighted_sum(fit(made), light) / PULSATION)
    assert left < unhelped < 0.5 * np.std(plain / PULSATION)


def test_brighter_and_scaled_stars_have_the_same_relative_flux():
    made = scene(np.random.default_rng(8))
    level, place, _, light = made
    flux = weighted_sum(fit(made), light)
    factor = np.random.default_rng(9).uniform(0.5, 2.0, len(level))  # a flat field
    noise = SKY_NOISE * np.sqrt(1 + level / 300)
    good = np.ones(N_CADENCES, dtype=bool)
    other = fit_halo(
        light * factor, TIME, good, level * factor, noise * factor, place, gap=0.5, min_length=48
    )
    np.testing.assert_allclose(weighted_sum(other, light * factor), flux, rtol=1e-5)


def test_a_background_that_is_off_hardly_matters():
    """The same error in all pixels of an image; faint ones would have most of it."""
    made = scene(np.random.default_rng(13), motion_rms=0.0)
    level, place, _, light = made
    sky = 3.0 * np.random.default_rng(14).normal(0, 1, N_CADENCES)
    noise = SKY_NOISE * np.sqrt(1 + level / 300)
    good = np.ones(N_CADENCES, dtype=bool)
    left = []
    for sky_error in (0.0, 3.0):
        halo = fit_halo(
            light + sky[:, None], TIME, good, level, noise, place,
            gap=0.5, min_length=48, sky_error=sky_error,
        )  # fmt: skip
        flux = weighted_sum(halo, light + sky[:, None])
        left.append(np.std(flux / np.median(flux) / PULSATION))
    assert left[1] < 0.7 * left[0]


def test_bad_images_do_not_count_and_are_measured_all_the_same():
    made = scene(np.random.default_rng(10))
    *_, light = made
    good = np.ones(N_CADENCES, dtype=bool)
    good[[3, 50, 400]] = False
    spoiled = light.copy()
    spoiled[3], spoiled[50], spoiled[400] = 7 * light[3], np.nan, 2 * light[400]
    halo, other = fit(made, good=good), fit(made, spoiled, good=good)
    np.testing.assert_array_equal(halo.weights, other.weights)
    flux = weighted_sum(halo, spoiled)
    assert np.isnan(flux[50])
    assert flux[3] == pytest.approx(7 * weighted_sum(halo, light)[3])


def test_a_step_between_segments_is_the_stars_and_not_one_of_the_weights():
    made = scene(np.random.default_rng(11), motion_rms=0.0)
    *_, light = made
    stepped = light.copy()
    stepped[310:] *= 1.01
    flux = weighted_sum(fit(made, stepped), stepped) / PULSATION
    step = np.median(flux[310:]) / np.median(flux[:310])
    assert step == pytest.approx(1.01, abs=5e-5)


def test_weighted_sums_by_hand():
    halo = HaloWeights([slice(0, 1), slice(1, 3)], np.array([[0.5, 0.0], [2.0, 3.0]]), np.zeros(2))
    values = np.array([[4.0, np.nan], [1.0, 10.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(weighted_sum(halo, values), [2.0, 32.0, np.nan])
    np.testing.assert_array_equal(weighted_sum(halo, values, power=2), [1.0, 94.0, np.nan])
