"""Motion from the pixels of small windows: known shifts, variable stars, errors."""

import numpy as np
import pytest
from star_images import gaussian_star

from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.pixel_shift import (
    ShiftInformation,
    joined_shift,
    shift_by_others,
    shift_information,
    star_areas,
)

WINDOW = Window(30, 43, 700, 715)  # not square
ROW, COLUMN = np.array([34.2, 39.7, 37.1]), np.array([703.4, 710.2, 706.3])
FLUX = np.array([3000.0, 1500.0, 500.0])
N_IMAGES, NOISE = 400, 0.5


def scene(move, flux=FLUX):
    """Light of the stars, moved by (row, column)."""
    at = zip(ROW + move[0], COLUMN + move[1], flux, strict=True)
    return sum(gaussian_star(WINDOW, *star) for star in at)


def measured(moves, fluxes, seed=3):
    """Average image, and what the images tell of the motion."""
    rng = np.random.default_rng(seed)
    images = np.array([scene(move, flux) for move, flux in zip(moves, fluxes, strict=True)])
    images += rng.normal(0, NOISE, images.shape)
    average = images.mean(axis=0)
    noise = np.full(WINDOW.shape, NOISE)
    areas = star_areas(average, noise)
    return areas, shift_information(images - average, average, noise, areas)


def jitter(size=2e-3, drift=0.03, seed=1):
    moves = np.random.default_rng(seed).normal(0, size, (N_IMAGES, 2))
    moves[:, 1] += np.linspace(-drift, drift, N_IMAGES)
    return moves - moves.mean(axis=0)


def test_areas_are_those_of_the_stars():
    areas = star_areas(scene((0, 0)), np.full(WINDOW.shape, NOISE))
    assert len(areas) == 3
    assert (areas.sum(axis=0) <= 1).all()
    for area, row, column in zip(areas, ROW, COLUMN, strict=True):  # by brightness
        assert area[round(row) - WINDOW.row0, round(column) - WINDOW.column0]


def test_motion_is_found_within_its_errors():
    moves = jitter()
    _, seen = measured(moves, np.tile(FLUX, (N_IMAGES, 1)))
    shift, error = joined_shift(seen)
    off = shift - moves
    assert np.median(error) < 1e-3
    assert np.std(np.diff(off, axis=0)) / np.sqrt(2) == pytest.approx(np.median(error), rel=0.15)
    # Slopes from pixels are 6 % too flat for stars of 0.9 pixels width.
    assert np.abs(np.polyfit(moves[:, 1], shift[:, 1], 1)[0] - 1) < 0.08


def test_slow_drift_of_bright_stars_adds_no_noise():
    """First order is wrong in their cores by more than noise: that is no outlier to leave out."""
    moves, rng, noise = jitter(size=1e-3, drift=0.1), np.random.default_rng(7), 3.0
    images = np.array([20 * scene(move) for move in moves])
    images += rng.normal(0, noise, images.shape)
    average, sigma = images.mean(axis=0), np.full(WINDOW.shape, noise)
    areas = star_areas(average, sigma)
    shift, error = joined_shift(shift_information(images - average, average, sigma, areas))
    steps = np.diff(shift - moves, axis=0) / np.sqrt(2)
    scatter = 1.4826 * np.median(np.abs(steps), axis=0)
    assert scatter == pytest.approx(np.median(error), rel=0.2)
    assert np.abs(np.polyfit(moves[:, 1], shift[:, 1], 1)[0] - 1) < 0.03


@pytest.mark.parametrize("n_images", [1, 5])
def test_cosmic_rays_are_left_out_where_there_are_few_images(n_images):
    """As at the end of many that are fitted some at a time."""
    moves = np.tile([[0.004, -0.003]], (n_images, 1))
    average, noise = scene((0, 0)), np.full(WINDOW.shape, NOISE)
    change = np.array([scene(move) for move in moves]) - average
    change += np.random.default_rng(4).normal(0, NOISE, change.shape)
    change[:, 34 - WINDOW.row0, 704 - WINDOW.column0] += 600.0  # in the brightest star
    areas = star_areas(average, noise)
    shift, error = joined_shift(shift_information(change, average, noise, areas))
    assert np.abs(shift - moves).max() < 6 * error.max() < 0.01


def test_a_star_that_varies_is_no_motion():
    moves, fluxes = jitter(drift=0.0), np.tile(FLUX, (N_IMAGES, 1))
    fluxes[:, 1] *= 1 + 0.1 * np.sin(np.arange(N_IMAGES) / 7)
    _, seen = measured(moves, fluxes)
    shift, error = joined_shift(seen)
    assert np.std(shift - moves) < 1.5 * np.median(error)


def test_the_motion_by_others_has_nothing_of_the_star():
    moves = jitter(drift=0.0)
    rng = np.random.default_rng(5)
    images = np.array([scene(move) for move in moves])
    images += rng.normal(0, NOISE, images.shape)
    # A blend whose fainter member varies: the brightest star seems to move.
    images += np.sin(np.arange(N_IMAGES) / 9)[:, None, None] * (
        gaussian_star(WINDOW, ROW[0] + 0.8, COLUMN[0], 60.0)
        - gaussian_star(WINDOW, ROW[0] - 0.8, COLUMN[0], 60.0)
    )
    average, noise = images.mean(axis=0), np.full(WINDOW.shape, NOISE)
    areas = star_areas(average, noise)
    seen = shift_information(images - average, average, noise, areas)
    together, _ = joined_shift(seen)
    others, error = shift_by_others(seen, 0)
    assert np.std((together - moves)[:, 0]) > 0.01
    assert np.std((others - moves)[:, 0]) < 3 * np.median(error) < 0.01


def test_sky_cosmic_rays_and_noisy_images_are_no_motion():
    moves, rng = jitter(drift=0.0), np.random.default_rng(8)
    images = np.array([scene(move) for move in moves])
    images += rng.normal(0, 2 * NOISE, images.shape)  # twice what is stated
    images[10:14] += rng.normal(0, 10 * NOISE, (4, *WINDOW.shape))
    average, noise = images.mean(axis=0), np.full(WINDOW.shape, NOISE)
    images += rng.normal(0, 5.0, (N_IMAGES, 1, 1))  # of the sky
    images[20, 8, 11] += 100.0  # beside the second star
    areas = star_areas(average, noise)
    shift, error = joined_shift(shift_information(images - average, average, noise, areas))
    off = shift - moves
    assert np.std(np.delete(off, [*range(10, 14), 20], axis=0)) < 1.3 * np.median(error)
    assert np.abs(off[20]).max() < 5 * np.median(error)
    np.testing.assert_allclose(error[10:14], np.sqrt(26) * np.median(error), rtol=0.3)
    _, seen = measured(moves, np.tile(FLUX, (N_IMAGES, 1)))
    assert np.median(error) == pytest.approx(2 * np.median(joined_shift(seen)[1]), rel=0.15)


def test_windows_are_joined_and_images_without_pixels_are_unknown():
    moves = jitter()
    _, seen = measured(moves, np.tile(FLUX, (N_IMAGES, 1)))
    twice = ShiftInformation(*(np.concatenate([one, one], axis=1) for one in seen))
    shift, error = joined_shift(seen)
    np.testing.assert_allclose(joined_shift(twice)[0], shift, atol=1e-9)
    np.testing.assert_allclose(joined_shift(twice)[1], error / np.sqrt(2), rtol=1e-6)
    average = scene((0, 0))
    change = np.zeros((4, *WINDOW.shape))
    change[2, 5, 6] = np.nan
    noise = np.full(WINDOW.shape, NOISE)
    shift, error = joined_shift(
        shift_information(change, average, noise, star_areas(average, noise))
    )
    assert np.isnan(shift[2]).all()
    assert np.isnan(error[2])
    np.testing.assert_allclose(np.delete(shift, 2, axis=0), 0, atol=1e-12)


def test_pixels_that_do_not_count_are_not_in_the_slopes_of_others():
    """A trail of full pixels beside stars: its charge does not move as the image does."""
    moves = jitter()
    trail = np.zeros(WINDOW.shape, dtype=bool)
    trail[2:6, 11:13] = True
    images = np.array([scene(move) for move in moves]) + 7e4 * trail
    images += np.random.default_rng(3).normal(0, NOISE, images.shape)
    average = images.mean(axis=0)
    noise = np.where(trail, np.nan, NOISE)
    shift, error = joined_shift(
        shift_information(images - average, average, noise, star_areas(average, noise))
    )
    assert np.abs(np.polyfit(moves[:, 1], shift[:, 1], 1)[0] - 1) < 0.08
    off = np.std(np.diff(shift - moves, axis=0)) / np.sqrt(2)
    assert off == pytest.approx(np.median(error), rel=0.15)


def test_stamp_full_of_charge_still_shows_the_motion_at_its_edge():
    """As the 6 x 6 pixels of pi Men in sector 1: across the edge only full pixels are beside it."""
    moves = jitter(drift=0.0)
    images = np.array([gaussian_star(WINDOW, 36 + r, 707 + c, 4e5, 4.0) for r, c in moves])
    images += np.random.default_rng(3).normal(0, NOISE, images.shape)
    average, noise = images.mean(axis=0), np.full(WINDOW.shape, NOISE)
    areas = star_areas(average, noise)
    noise[1:-1, 1:-1] = np.nan
    shift, _ = joined_shift(shift_information(images - average, average, noise, areas))
    assert np.corrcoef(shift[:, 0], moves[:, 0])[0, 1] > 0.9


def test_without_stars_nothing_is_known():
    noise = np.full(WINDOW.shape, NOISE)
    areas = star_areas(np.zeros(WINDOW.shape), noise)
    seen = shift_information(np.zeros((5, *WINDOW.shape)), np.zeros(WINDOW.shape), noise, areas)
    shift, error = joined_shift(seen)
    assert np.isnan(shift).all()
    assert np.isnan(error).all()


def test_a_window_without_light_has_no_stars_and_tells_nothing():
    dark = np.full(WINDOW.shape, np.nan)
    areas = star_areas(dark, dark)
    assert areas.shape == (0, *WINDOW.shape)
    seen = shift_information(np.zeros((4, *WINDOW.shape)), dark, dark, areas)
    assert seen.normal.shape == (4, 1, 2, 2) and not seen.normal.any()
    assert np.isnan(joined_shift(seen)[0]).all()
