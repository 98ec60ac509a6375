"""motion_error(): what motion adds to the noise, and what it does not."""

import numpy as np
import pytest

from tessphot_lib.lightcurves.motion_error import believed_slopes, flux_scatter, motion_error

N_IMAGES = 900
TIME = 1683.0 + np.arange(N_IMAGES) / 48
GOOD = np.ones(N_IMAGES, dtype=bool)


def curve(slopes=(0.0, 0.0), noise=2.0, seed=0):
    """Flux and motion: jitter of 1 and 2 mpx, and a drift of 0.2 pixels."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, [1e-3, 2e-3], (N_IMAGES, 2)) + np.linspace(0, 0.2, N_IMAGES)[:, None]
    flux = 3000 + moves @ slopes + rng.normal(0, noise, N_IMAGES)
    return flux, *moves.T


@pytest.mark.parametrize("slopes", [(3000.0, 0.0), (0.0, -1500.0), (2000.0, 1200.0)])
def test_noise_that_goes_with_the_motion_is_found(slopes):
    expected = np.hypot(1e-3 * slopes[0], 2e-3 * slopes[1])
    flux, *moves = curve(slopes)
    assert motion_error(TIME, flux, GOOD, *moves) == pytest.approx(expected, rel=0.1)
    assert flux_scatter(TIME, flux, GOOD) == pytest.approx(np.hypot(2.0, expected), rel=0.07)


def test_stars_that_do_not_follow_the_motion_get_nothing():
    found = []
    for seed in range(60):
        flux, *moves = curve(seed=seed)
        rng = np.random.default_rng(seed)
        flux += 300 * np.sin(TIME * 2 * np.pi / rng.uniform(0.1, 10))  # pulsations, rotation
        flux[rng.integers(0, N_IMAGES, 3)] += 200  # flares
        found.append(motion_error(TIME, flux, GOOD, *moves))
    assert np.count_nonzero(found) <= 1


def test_bad_images_and_gaps_do_not_count():
    flux, *moves = curve((3000.0, 0.0))
    expected = motion_error(TIME, flux, GOOD, *moves)
    good, time = GOOD.copy(), TIME + np.where(np.arange(N_IMAGES) > 450, 3.3, 0.0)
    good[100:104] = False
    flux[100:104] += 1e4
    flux[451:] -= 500.0
    moves[0][200] = np.nan
    time[700:] -= 0.5 / 48  # one step is shorter than all others
    found = motion_error(time, flux, good, *moves)
    assert found == pytest.approx(expected, rel=0.05)
    pairs = TIME + np.arange(N_IMAGES) // 2 * 2 / 48  # none has one right before and after it
    assert motion_error(pairs, flux, GOOD, *moves) == 0
    assert np.isnan(flux_scatter(pairs, flux, GOOD))


def test_a_jump_of_the_pointing_is_not_in_the_usual_noise():
    flux, *moves = curve((3000.0, 0.0))
    moves[0][300] += 0.06
    flux[300] += 3000 * 0.06
    assert motion_error(TIME, flux, GOOD, *moves) == pytest.approx(3.0, rel=0.1)


def test_few_images_or_no_motion_tell_nothing():
    flux, *moves = curve((3000.0, 0.0))
    assert motion_error(TIME[:30], flux[:30], GOOD[:30], *(one[:30] for one in moves)) == 0
    unknown = np.full(N_IMAGES, np.nan)
    assert motion_error(TIME, flux, GOOD, unknown, unknown) == 0
    still = np.zeros(N_IMAGES)
    assert motion_error(TIME, flux, GOOD, still, still) == 0
    assert motion_error(TIME[:0], flux[:0], GOOD[:0], still[:0], still[:0]) == 0
    assert np.isnan(flux_scatter(TIME[:30], flux[:30], GOOD[:30]))


def test_slopes_are_between_the_expected_and_the_seen_ones():
    true = np.array([2000.0, 1200.0])
    flux, *moves = curve(true)
    rough = np.array([1500.0, 1500.0])
    given = TIME, flux, GOOD, *moves
    found, error = believed_slopes(*given, expected=rough, sigma=800.0)
    assert (np.abs(found - true) < 3 * error).all()
    assert (error < 150).all()
    found, error = believed_slopes(*given, expected=rough, sigma=1.0)
    np.testing.assert_allclose(found, rough, atol=1)
    np.testing.assert_allclose(error, 1.0, rtol=1e-3)
    few = [one[:30] for one in given]
    found, error = believed_slopes(*few, expected=rough, sigma=800.0)
    np.testing.assert_array_equal(found, rough)
    np.testing.assert_array_equal(error, 800.0)
    found, _ = believed_slopes(*given, expected=rough, sigma=0.0)
    np.testing.assert_array_equal(found, rough)
