"""Corrections take off what the instrument did, and leave what the star did."""

import numpy as np
import pytest

from tessphot_lib.lightcurves.correction import (
    Regressors,
    correct_flux,
    high_pass,
    motion_regressors,
)

CADENCE = 1 / 48  # [d]
NOISE = 4e-4


def sector(n=1200, gap=24.0, seed=1):
    """Times with a downlink gap, and a motion with fast and slow parts [pixels]."""
    rng = np.random.default_rng(seed)
    time = 1683.0 + np.arange(n) * CADENCE
    time[n // 2 :] += gap / 24
    slow = np.linspace(-0.05, 0.05, n)
    pos_row = slow + 0.02 * rng.standard_normal(n)
    pos_column = 0.6 * slow**2 / 0.05 + 0.015 * rng.standard_normal(n)
    return rng, time, pos_row, pos_column


def light_curve(rng, time, pos_row, pos_column, signal=0.0):
    """Flux of 2000 e-/s that follows the motion, and a signal of its own."""
    moved = 0.06 * pos_row - 0.04 * pos_column + 0.1 * pos_row**2
    noise = NOISE * rng.standard_normal(len(time))
    return 2000.0 * (1 + signal) * (1 + moved + noise), moved


def corrected(time, flux, pos_row, pos_column, good=None):
    good = np.ones(len(time), dtype=bool) if good is None else good
    error = np.full(len(time), NOISE * 2000.0)
    return correct_flux(time, flux, error, good, motion_regressors(pos_row, pos_column))


def test_motion_is_taken_off_slow_parts_too():
    rng, time, pos_row, pos_column = sector()
    flux, moved = light_curve(rng, time, pos_row, pos_column)
    found, error, coefficients = corrected(time, flux, pos_row, pos_column)
    assert np.std(moved) > 4 * NOISE
    assert np.std(found) == pytest.approx(1e6 * NOISE, rel=0.06)
    assert np.median(found) == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(error, 1e6 * NOISE, rtol=0.01)
    np.testing.assert_allclose(coefficients[:2], [0.06, -0.04], atol=0.003)
    halves = found[:600].mean() - found[600:].mean()
    assert abs(halves) < 0.15 * 1e6 * abs(moved[:600].mean() - moved[600:].mean())


def test_a_pulsation_of_five_days_keeps_its_amplitude():
    _, time, *_ = sector()
    kept = []
    for seed in range(8):
        rng, time, pos_row, pos_column = sector(seed=seed)
        phase = 2 * np.pi * (time / 5.0 + seed / 8)
        flux, _ = light_curve(rng, time, pos_row, pos_column, 0.01 * np.sin(phase))
        found, *_ = corrected(time, flux, pos_row, pos_column)
        design = np.column_stack([np.sin(phase), np.cos(phase), np.ones(len(time))])
        kept.append(np.linalg.lstsq(design, found, rcond=None)[0][0] / 1e4)
    assert min(kept) > 0.97
    assert max(kept) < 1.03


def test_a_transit_keeps_its_depth():
    kept = []
    for seed in range(8):
        rng, time, pos_row, pos_column = sector(seed=seed)
        inside = np.abs((time - 1684.0 + seed / 3) % 3.7 - 1.5) < 2.5 / 24
        flux, _ = light_curve(rng, time, pos_row, pos_column, np.where(inside, -0.005, 0.0))
        found, *_ = corrected(time, flux, pos_row, pos_column)
        kept.append((np.median(found[~inside]) - np.median(found[inside])) / 5000)
    assert np.mean(kept) == pytest.approx(1.0, abs=0.02)


def test_what_is_not_good_is_not_corrected_and_does_not_count():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, time, pos_row, pos_column)
    good = rng.random(len(time)) > 0.1
    spoilt = np.where(good, flux, 7e5)
    pos_row = np.where(good, pos_row, np.nan)
    spoilt[5], good[5] = np.nan, True
    expected, *_ = corrected(time[good], spoilt[good], pos_row[good], pos_column[good])
    found, error, _ = corrected(time, spoilt, pos_row, pos_column, good)
    np.testing.assert_allclose(found[good], expected, atol=1e-6)
    assert np.isnan(found[~good]).all()
    assert np.isnan(error[~good]).all()
    assert np.isnan(found[5])


def test_scaling_the_flux_changes_nothing():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, time, pos_row, pos_column)
    found = corrected(time, flux, pos_row, pos_column)[0]
    error = np.full(len(time), 7.5 * NOISE * 2000.0)
    scaled = correct_flux(
        time, 7.5 * flux, error, np.ones(len(time), bool), motion_regressors(pos_row, pos_column)
    )
    np.testing.assert_allclose(scaled[0], found, atol=1e-6)


def test_a_variable_star_gets_what_the_prior_says():
    rng, time, *_ = sector()
    trend = np.sin(2 * np.pi * time / 0.37)
    own = 0.05 * np.sin(2 * np.pi * time / 0.37)  # its own: a hundred times what is expected
    flux = 2000.0 * (1 + own + NOISE * rng.standard_normal(len(time)))
    regressors = Regressors(trend[:, None], np.array([5e-4]), np.array([1e-4]))
    error = np.full(len(time), NOISE * 2000.0)
    *_, coefficients = correct_flux(time, flux, error, np.ones(len(time), bool), regressors)
    assert coefficients[0] < 0.003


@pytest.mark.parametrize("flux", [np.full(100, np.nan), np.full(100, -5.0), np.zeros(0)])
def test_nothing_to_correct(flux):
    n = len(flux)
    result = correct_flux(
        np.arange(n) * CADENCE,
        flux,
        np.ones(n),
        np.ones(n, bool),
        motion_regressors(*np.zeros((2, n))),
    )
    assert all(np.isnan(array).all() for array in result)


def test_a_constant_star_without_noise():
    _, time, pos_row, pos_column = sector()
    regressors = motion_regressors(pos_row, pos_column)
    ones = np.ones(len(time))
    found, _, coefficients = correct_flux(time, 5 * ones, 0 * ones, ones > 0, regressors)
    assert (found == 0).all()
    assert (coefficients == 0).all()


def test_high_pass_takes_off_what_is_slow():
    _, time, *_ = sector(480, gap=0)
    fast = high_pass(time, np.column_stack([3 + 0 * time, time, np.sin(2 * np.pi * time / 20)]))
    inside = slice(24, -24)
    np.testing.assert_allclose(fast[inside, :2], 0, atol=1e-9)
    assert np.abs(fast[inside, 2]).max() < 0.01


def test_few_points_are_shown_without_a_fit():
    _, time, pos_row, pos_column = sector(12)
    flux = 300.0 + np.arange(12.0)
    found, error, coefficients = corrected(time, flux, pos_row, pos_column)
    np.testing.assert_allclose(found, 1e6 * (flux / np.median(flux) - 1), atol=1e-6)
    np.testing.assert_allclose(error, 1e6 * NOISE * 2000 / np.median(flux))
    assert (coefficients == 0).all()


def test_error_is_scaled_as_the_flux_is():
    time = 1683.0 + np.arange(40) * CADENCE
    values = np.zeros((40, 1))
    values[7] = 2.0
    known = Regressors(values, np.array([0.25]), np.array([0.0]))  # as if it were known
    flux = 1000.0 * (1 + 0.25 * values[:, 0])
    found, error, coefficients = correct_flux(
        time, flux, np.full(40, 3.0), np.ones(40, dtype=bool), known
    )
    np.testing.assert_allclose(found, 0.0, atol=1e-6)
    assert coefficients.tolist() == [0.25]
    assert error[6] == pytest.approx(3000.0)
    assert error[7] == pytest.approx(3000.0 / 1.5)


def test_flux_without_errors_is_corrected_all_the_same():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, time, pos_row, pos_column)
    regressors = motion_regressors(pos_row, pos_column)
    good, unknown = np.ones(len(time), dtype=bool), np.full(len(time), np.nan)
    found, error, _ = correct_flux(time, flux, unknown, good, regressors)
    np.testing.assert_allclose(found, corrected(time, flux, pos_row, pos_column)[0], atol=1.0)
    assert np.isnan(error).all()


def test_outliers_hardly_count():
    rng, time, pos_row, pos_column = sector()
    flux, _ = light_curve(rng, time, pos_row, pos_column)
    spoilt = flux.copy()
    spoilt[np.argsort(pos_row)[-12:]] *= 1.02  # a hundredth of the points, where it pulls most
    clean, pulled = (corrected(time, one, pos_row, pos_column)[2][0] for one in (flux, spoilt))
    assert abs(pulled - clean) < 0.005
