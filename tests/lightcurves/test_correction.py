"""Corrections remove what the instrument did, and leave what the star did."""

import numpy as np
import pytest

from tessphot_lib.lightcurves.correction import (
    Regressors,
    correct_flux,
    daily_means,
    motion_regressors,
)
from tessphot_lib.lightcurves.joint_fit import point_scatter

CADENCE = 1 / 48  # [d]
NOISE = 3e-4
N = 1200


def sector(n=N, gap=24.0, seed=1):
    """Times with a downlink gap, and a motion with a fast and a slow part [pixels]."""
    rng = np.random.default_rng(seed)
    time = 1683.0 + np.arange(n) * CADENCE
    time[n // 2 :] += gap / 24
    slow = np.linspace(-0.06, 0.06, n)
    pos_row = slow + 0.014 * rng.standard_normal(n)
    pos_column = 0.6 * slow**2 / 0.06 + 0.012 * rng.standard_normal(n)
    return rng, time, pos_row, pos_column


def drift(n=N, seed=1):
    """The motion of sector 8: hardly any jitter, a drift of 0.2 px, a transient after the gap."""
    rng, time, *_ = sector(n, seed=seed)
    phase, late = np.linspace(0, 1, n), np.arange(n) >= n // 2
    decay = np.where(late, np.exp(-(time - time[n // 2])), 0.0)
    pos_row = 0.1 * np.sin(2.8 * phase + 1) + 0.06 * late + 0.08 * decay
    pos_column = -0.12 * phase + 0.05 * phase**2 - 0.05 * late - 0.05 * decay
    jitter = 8e-4 * rng.standard_normal((2, n))
    return rng, time, pos_row + jitter[0], pos_column + jitter[1]


def light_curve(rng, pos_row, pos_column, signal=0.0, strength=1.0):
    """Flux of 2000 e-/s that follows the motion, and a signal of its own."""
    moved = strength * (0.02 * pos_row - 0.015 * pos_column + 0.03 * pos_row**2)
    noise = NOISE * rng.standard_normal(len(pos_row))
    return 2000.0 * (1 + signal) * (1 + moved + noise), moved


def corrected(time, flux, pos_row, pos_column, good=None):
    good = np.ones(len(time), dtype=bool) if good is None else good
    error = np.full(len(time), NOISE * 2000.0)
    return correct_flux(time, flux, error, good, motion_regressors(pos_row, pos_column))


def eclipses(time, depth, period, half_width):
    distance = np.abs((time - time[0] + 0.3) % period - period / 2)
    return -depth * np.clip(1 - (distance / half_width) ** 2, 0, None)


def sawtooth(time, period, rise):
    phase = (time / period) % 1
    return np.where(phase < rise, phase / rise, (1 - phase) / (1 - rise)) - 0.5


def flares(time):
    return sum(
        np.where(time >= start, height * np.exp(-np.clip(time - start, 0, None) / 0.04), 0.0)
        for start, height in ((1685.3, 0.03), (1691.0, 0.01), (1699.7, 0.02), (1704.1, 0.015))
    )


SIGNALS = {
    "transits of 1 %": lambda time: eclipses(time, 0.01, 3.7, 0.1),
    "single transit": lambda time: eclipses(time, 0.004, 40.0, 0.2),
    "eclipses of 85 %": lambda time: eclipses(time, 0.85, 2.3, 0.12),
    "eclipses of 5 %": lambda time: eclipses(time, 0.05, 5.1, 0.17),
    "RR Lyrae": lambda time: 0.6 * sawtooth(time, 0.55, 0.15),
    "delta Scuti": lambda time: 0.005 * np.sin(79 * time) + 0.003 * np.sin(56 * time),
    "spots, 5 d": lambda time: 0.01 * np.sin(2 * np.pi * time / 5),
    "spots, 9 d": lambda time: 0.02 * np.sin(2 * np.pi * time / 9 + 1),
    "spots, 13 d": lambda time: 0.005 * np.sin(2 * np.pi * time / 13 + 2),
    "flares": flares,
}


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("motion", [sector, drift], ids=["jitter", "drift"])
@pytest.mark.parametrize("name", SIGNALS)
def test_no_variable_star_is_made_worse(name, motion, strength):
    for seed in (3, 4):
        rng, time, pos_row, pos_column = motion(seed=seed)
        signal = SIGNALS[name](time)
        clean, _ = light_curve(rng, pos_row, pos_column, signal, 0.0)
        flux = clean * (light_curve(rng, pos_row, pos_column, 0.0, strength)[1] + 1)
        found = corrected(time, flux, pos_row, pos_column)
        truth = (1 + signal) / np.median(1 + signal)
        before, after = flux / np.median(flux) - truth, 1e-6 * found.flux + 1 - truth
        assert point_scatter(after) <= 1.05 * point_scatter(before)
        daily = [np.std(daily_means(time, values)) for values in (before, after)]
        assert daily[1] <= 1.05 * daily[0]
        design = np.column_stack([truth, np.ones(len(time))])
        kept = [
            np.linalg.lstsq(design, values, rcond=None)[0][0]
            for values in (clean / np.median(clean), flux / np.median(flux), 1e-6 * found.flux)
        ]
        assert abs(kept[2] - kept[0]) <= abs(kept[1] - kept[0]) + 0.01
        if not found.is_corrected:
            assert (found.coefficients == 0).all()
            np.testing.assert_allclose(1e-6 * found.flux, flux / np.median(flux) - 1, atol=1e-12)


@pytest.mark.parametrize("motion", [sector, drift], ids=["jitter", "drift"])
def test_a_quiet_star_gains_slow_parts_too(motion):
    rng, time, pos_row, pos_column = motion()
    flux, moved = light_curve(rng, pos_row, pos_column)
    found = corrected(time, flux, pos_row, pos_column)
    assert found.is_corrected
    assert found.evidence > 50
    assert np.std(moved) > 2 * NOISE
    assert np.std(found.flux) == pytest.approx(1e6 * NOISE, rel=0.06)
    assert np.median(found.flux) == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(found.flux_err, 1e6 * NOISE, rtol=0.01)
    assert np.std(daily_means(time, found.flux)) < 0.1e6 * np.std(daily_means(time, moved))


def test_a_constant_star_without_systematics_is_left_alone():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, pos_row, pos_column, strength=0.0)
    found = corrected(time, flux, pos_row, pos_column)
    assert found.reason == "no evidence"
    np.testing.assert_allclose(found.flux, 1e6 * (flux / np.median(flux) - 1), atol=1e-6)


def test_light_of_an_unknown_neighbor_moves_in_and_out():
    """A strong dependence, which the PRF knows nothing of."""
    rng, time, pos_row, pos_column = drift()
    flux, moved = light_curve(rng, pos_row, pos_column, strength=15.0)
    found = corrected(time, flux, pos_row, pos_column)
    assert np.std(moved) > 0.01
    assert np.std(found.flux) < 1.2e6 * NOISE


def test_what_is_not_good_is_not_corrected_and_does_not_count():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, pos_row, pos_column)
    good = rng.random(len(time)) > 0.1
    good[5] = False
    expected = corrected(time[good], flux[good], pos_row[good], pos_column[good])
    spoilt = np.where(good, flux, 7e5)
    spoilt[5], is_said_good = np.nan, good.copy()
    is_said_good[5] = True
    found = corrected(time, spoilt, np.where(good, pos_row, np.nan), pos_column, is_said_good)
    np.testing.assert_allclose(found.flux[good], expected.flux)
    assert np.isnan(found.flux[~good]).all()
    assert np.isnan(found.flux_err[~good]).all()


def test_scaling_the_flux_changes_nothing():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, pos_row, pos_column)
    found = corrected(time, flux, pos_row, pos_column).flux
    error = np.full(len(time), 7.5 * NOISE * 2000.0)
    scaled = correct_flux(
        time, 7.5 * flux, error, np.ones(len(time), bool), motion_regressors(pos_row, pos_column)
    )
    np.testing.assert_allclose(scaled.flux, found, atol=1e-6)


def test_images_whose_motion_is_unknown_are_corrected_as_those_around_them():
    rng, time, pos_row, pos_column = drift()
    flux, _ = light_curve(rng, pos_row, pos_column, strength=5.0)
    unknown = np.arange(N) % 50 == 7
    known_row = np.where(unknown, np.nan, pos_row)
    found = corrected(time, flux, known_row, pos_column)
    expected = corrected(time, flux, pos_row, pos_column)
    assert np.isfinite(found.flux).all()
    # Without the jitter of these images, and a little else.
    np.testing.assert_allclose(found.flux[~unknown], expected.flux[~unknown], atol=10.0)
    np.testing.assert_allclose(found.flux[unknown], expected.flux[unknown], atol=350.0)


def test_without_any_motion_the_flux_is_left_as_it_is_with_the_reason():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, pos_row, pos_column)
    found = corrected(time, flux, np.full(N, np.nan), pos_column)
    assert found.reason == "image motion unknown"
    assert np.isnan(found.evidence)
    np.testing.assert_allclose(found.flux, 1e6 * (flux / np.median(flux) - 1), atol=1e-6)


def test_a_trend_that_neighbors_have_is_removed():
    rng, time, *_ = sector()
    trend = np.sin(2 * np.pi * time / 8) + 0.2 * rng.standard_normal(N)
    regressors = Regressors(trend[:, None], np.array([8e-4]), np.array([2e-4]), np.zeros(1, bool))
    flux = 2000.0 * (1 + 9e-4 * trend + NOISE * rng.standard_normal(N))
    found = correct_flux(time, flux, np.full(N, 2000 * NOISE), np.ones(N, bool), regressors)
    assert found.coefficients[0] == pytest.approx(9e-4, rel=0.05)
    assert np.std(found.flux) == pytest.approx(1e6 * NOISE, rel=0.05)


def test_a_pulsation_that_resembles_a_trend_stays():
    rng, time, *_ = sector()
    trend = np.sin(2 * np.pi * time / 0.37)
    own = 0.05 * np.sin(2 * np.pi * time / 0.37)  # a hundred times what neighbors have
    flux = 2000.0 * (1 + own + NOISE * rng.standard_normal(N))
    regressors = Regressors(trend[:, None], np.array([5e-4]), np.array([1e-4]), np.zeros(1, bool))
    found = correct_flux(time, flux, np.full(N, 2000 * NOISE), np.ones(N, bool), regressors)
    assert np.abs(found.coefficients) < 1e-3
    assert np.ptp(1e-6 * found.flux) > 0.097


def test_the_better_of_two_sets_of_regressors_is_used():
    rng, time, pos_row, pos_column = sector()
    motion = motion_regressors(pos_row, pos_column)
    trend = Regressors(
        np.sin(2 * np.pi * time[:, None] / 7), np.array([1e-3]), np.array([1e-4]), np.zeros(1, bool)
    )
    noise = NOISE * rng.standard_normal(N)
    good, error = np.ones(N, bool), np.full(N, 2000 * NOISE)
    both, sets = motion.joined(trend), (5, 6)
    with_trend = correct_flux(
        time, 2000 * (1 + 1e-3 * trend.values[:, 0] + noise), error, good, both, sets=sets
    )
    moved = 2000 * (1 + 0.03 * pos_row + noise)
    without = correct_flux(time, moved, error, good, both, sets=sets)
    assert len(with_trend.coefficients) == 6
    assert len(without.coefficients) == 5


def test_many_points_are_fitted_in_groups():
    rng, time, pos_row, pos_column = drift(n=6000)
    flux, moved = light_curve(rng, pos_row, pos_column)
    found = corrected(time, flux, pos_row, pos_column)
    assert found.is_corrected
    assert np.std(daily_means(time, found.flux)) < 0.1e6 * np.std(daily_means(time, moved))


@pytest.mark.parametrize("flux", [np.full(100, np.nan), np.zeros(100), np.zeros(0)])
def test_nothing_to_correct(flux):
    n = len(flux)
    motion = motion_regressors(*np.zeros((2, n)))
    found = correct_flux(np.arange(n) * CADENCE, flux, np.ones(n), np.ones(n, bool), motion)
    assert found.reason == "no flux"
    assert np.isnan(found.flux).all()
    assert np.isnan(found.flux_err).all()


def test_a_flux_that_is_negative_is_shown_the_right_way_up():
    """Of a faint star beside a bright one, say: no point with QUALITY 0 is left without a value."""
    _, time, pos_row, pos_column = sector()
    flux = -20.0 + np.sin(time)
    flux[7] = np.nan
    good = np.arange(len(time)) != 30
    motion = motion_regressors(pos_row, pos_column)
    found = correct_flux(time, flux, np.full(len(time), 0.2), good, motion)
    assert found.reason == "no flux"
    shown = good & np.isfinite(flux)
    np.testing.assert_array_equal(np.isfinite(found.flux), shown)
    median = np.median(flux[shown])
    np.testing.assert_allclose(found.flux[shown], 1e6 * (flux[shown] - median) / -median)
    np.testing.assert_allclose(found.flux_err[shown], 1e6 * 0.2 / -median)


def test_a_constant_star_without_noise():
    _, time, pos_row, pos_column = sector()
    ones = np.ones(len(time))
    motion = motion_regressors(pos_row, pos_column)
    found = correct_flux(time, 5 * ones, 0 * ones, ones > 0, motion)
    assert found.reason == "no noise"
    assert (found.flux == 0).all()


def test_a_flux_whose_averaged_points_are_all_the_same():
    """Of more than 1000 points pairs are averaged: to exactly the median here."""
    time, flux = 0.01 * np.arange(1200), np.tile([1.0, 3.0], 600)
    motion = motion_regressors(0.1 * np.sin(time), 0.1 * np.cos(time))
    found = correct_flux(time, flux, np.ones(1200), np.ones(1200, dtype=bool), motion)
    assert found.reason == "no evidence"
    np.testing.assert_allclose(found.flux, np.tile([-5e5, 5e5], 600))


def test_few_points_are_shown_without_a_fit():
    _, time, pos_row, pos_column = sector(12)
    flux = 300.0 + np.arange(12.0)
    found = corrected(time, flux, pos_row, pos_column)
    np.testing.assert_allclose(found.flux, 1e6 * (flux / np.median(flux) - 1), atol=1e-6)
    np.testing.assert_allclose(found.flux_err, 1e6 * NOISE * 2000 / np.median(flux))
    assert not found.is_corrected


def test_flux_without_errors_is_corrected_all_the_same():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, pos_row, pos_column)
    regressors = motion_regressors(pos_row, pos_column)
    good, unknown = np.ones(len(time), dtype=bool), np.full(len(time), np.nan)
    found = correct_flux(time, flux, unknown, good, regressors)
    np.testing.assert_allclose(found.flux, corrected(time, flux, pos_row, pos_column).flux)
    assert np.isnan(found.flux_err).all()


def test_error_is_that_of_the_light_that_motion_left():
    """Where a tenth of the light is lost, the corrected flux is a tenth less certain."""
    rng, time, *_ = sector(400)
    pos_row = np.where(rng.random(400) < 0.5, 0.5, -0.5)
    flux = 1000.0 * (1 + 0.2 * pos_row + NOISE * rng.standard_normal(400))
    motion = Regressors(pos_row[:, None], np.zeros(1), np.ones(1), np.ones(1, dtype=bool))
    good = np.ones(400, dtype=bool)
    found = correct_flux(time, flux, np.full(400, 2.0), good, motion)
    assert found.is_corrected
    lost = np.where(pos_row > 0, 1.1, 0.9)
    ratio = found.flux_err * lost / np.median(found.flux_err * lost)
    np.testing.assert_allclose(ratio, 1.0, rtol=0.01)
    assert found.flux_err.max() / found.flux_err.min() == pytest.approx(1.1 / 0.9, rel=0.01)


def test_outliers_hardly_count():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, pos_row, pos_column)
    spoilt = flux.copy()
    spoilt[np.argsort(pos_row)[-12:]] *= 1.02  # a hundredth of the points, where it matters most
    clean, pulled = (
        corrected(time, one, pos_row, pos_column).coefficients[0] for one in (flux, spoilt)
    )
    assert abs(pulled - clean) < 0.005


def test_days_with_few_points_do_not_count_as_days():
    time = np.array([0.1, 0.2, 0.3, 0.4, 1.1, 1.2, 1.3, 1.6, 2.9])
    values = np.array([1.0, 2.0, 3.0, 2.0, 5.0, 5.0, 5.0, 9.0, 70.0])
    np.testing.assert_allclose(daily_means(time, values), [2.0, 6.0])


def test_scatter_of_white_noise_beside_a_steep_slope():
    rng = np.random.default_rng(5)
    values = np.linspace(0, 50, 4000) + 0.3 * rng.standard_normal(4000)
    assert point_scatter(values) == pytest.approx(0.3, rel=0.05)
    assert np.isnan(point_scatter(values[:4]))
