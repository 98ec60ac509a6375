"""PRF fits of groups of stars: known fluxes given back, with errors that are true."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.design import Design
from tessphot_lib.prf.linear_fit import (
    fit_average_image,
    fit_crowding,
    fit_images,
    pixel_change,
    prepare_fit,
)
from tessphot_lib.prf.scene import scene_image
from tests.prf.test_evaluate import lopsided

WINDOW = Window(300, 334, 400, 440)  # not square
PRF = lopsided()
NO_MOTION = (np.zeros(1), np.zeros(1))


def draw(row, column, flux, d_row=0.0, d_column=0.0):
    """Cores of stars that have moved, as flat pixels; the shape is that of their unmoved place."""
    design = Design.of(PRF, WINDOW, row, column, np.full(len(row), 1e6))
    if np.any(d_row) or np.any(d_column):
        image = scene_image(PRF, WINDOW, row + d_row, column + d_column, flux)
        return image.ravel() - (
            scene_image(PRF, WINDOW, row, column, flux).ravel() - design.matrices[0] @ flux
        )
    return design.matrices[0] @ flux


def nothing_else():
    return np.zeros((6, WINDOW.shape[0] * WINDOW.shape[1]))


def fit_of(row, column, flux, sigma=1.0, **more):
    design = Design.of(PRF, WINDOW, row, column, flux)
    return prepare_fit(design, flux, nothing_else(), np.full(WINDOW.shape, sigma).ravel(), **more)


def test_light_of_a_design_is_that_of_the_moved_scene():
    row, column, flux = np.array([312.3, 320.1]), np.array([409.8, 425.2]), np.array([1e4, 3e3])
    design = Design.of(PRF, WINDOW, row, column, flux)
    move = np.full((2, 1), 0.06), np.full((2, 1), -0.04)
    moved = design.light(flux[:, None], *move)[:, 0]
    expected = draw(row, column, flux, 0.06, -0.04)
    assert np.abs(moved - expected).max() < 0.002 * np.abs(expected).max()


def test_mean_fluxes_of_a_blend():
    row = np.array([312.3, 312.9, 320.0, 328.6])
    column = np.array([409.8, 411.9, 420.2, 436.1])  # the first two 2.2 pixels apart
    flux = np.array([5e3, 5e3, 800.0, 2e4])
    image = draw(row, column, flux) + np.random.default_rng(0).normal(0, 0.1, 34 * 40)
    image[7] = np.nan
    design = Design.of(PRF, WINDOW, row, column, flux)
    wrong = flux * np.array([1.2, 0.8, 1.1, 0.9])  # as catalogs are
    found, d_row, d_column = fit_average_image(image, np.full(len(image), 0.1), design, wrong)
    np.testing.assert_allclose(found, flux, rtol=2e-3)
    assert (d_row == 0).all()
    assert (d_column == 0).all()


def test_stars_that_are_not_fitted_keep_their_fluxes_and_are_taken_off():
    row, column = np.array([312.3, 313.1, 320.0]), np.array([409.8, 411.0, 420.2])
    flux, catalog = np.array([5e3, 40.0, 800.0]), np.array([6e3, 40.0, 700.0])
    image, fitted = draw(row, column, flux), np.array([True, False, True])
    given = image, np.full(len(image), 0.1), Design.of(PRF, WINDOW, row, column, catalog), catalog
    found, d_row, _ = fit_average_image(*given, fitted=fitted)
    np.testing.assert_allclose(found, flux, rtol=1e-4)
    assert found[1] == 40.0
    every, *_ = fit_average_image(*given)
    np.testing.assert_array_equal(fit_average_image(*given, fitted=np.ones(3, bool))[0], every)
    moves = np.array([False, False, True])
    _, d_row, _ = fit_average_image(*given, fitted=fitted, with_positions=moves)
    np.testing.assert_allclose(d_row, 0, atol=1e-3)


def test_places_are_found_with_the_fluxes():
    row, column, flux = np.array([312.3, 322.0]), np.array([409.8, 420.2]), np.array([5e3, 9e3])
    image = draw(row + np.array([0.05, 0]), column + np.array([0, -0.08]), flux)
    found_row, found_column, found = row.copy(), column.copy(), flux * 1.1
    for _ in range(3):
        design = Design.of(PRF, WINDOW, found_row, found_column, found)
        found, d_row, d_column = fit_average_image(
            image, np.full(len(image), 0.1), design, found, with_positions=np.array([True, True])
        )
        found_row, found_column = found_row + d_row, found_column + d_column
    np.testing.assert_allclose(found_row - row, [0.05, 0], atol=2e-3)
    np.testing.assert_allclose(found_column - column, [0, -0.08], atol=2e-3)
    np.testing.assert_allclose(found, flux, rtol=2e-3)


def test_position_is_right_at_once_where_the_catalog_flux_is_wrong():
    row, column, catalog = np.array([312.3, 322.0]), np.array([409.8, 420.2]), np.full(2, 3e3)
    design = Design.of(PRF, WINDOW, row, column, catalog)
    flux, down, along = np.array([6e3, 2e3]), np.array([0.01, -0.02]), np.array([-0.015, 0.0])
    image = sum(design.matrices[k] @ (flux * one) for k, one in enumerate((1.0, down, along)))
    _, d_row, d_column = fit_average_image(
        image, np.full(len(image), 0.01), design, catalog, with_positions=np.array([True, True])
    )
    np.testing.assert_allclose(d_row, down, atol=1e-5)
    np.testing.assert_allclose(d_column, along, atol=1e-5)


@pytest.mark.parametrize("distance", [1.5, 2.0, 3.0])
def test_transit_and_pulsation_of_two_equal_neighbors(distance):
    """Each star keeps its own: 1 % deep the one, 2 % strong the other."""
    n_images, time = 240, np.arange(240)
    rng = np.random.default_rng(1)
    row, column = np.array([315.2, 315.2]), np.array([418.4, 418.4 + distance])
    flux = np.array([2e4, 2e4])
    dip = np.where((time > 100) & (time < 180), 0.99, 1.0)
    wave = 1 + 0.02 * np.sin(2 * np.pi * time / 40)
    true = flux[:, None] * np.array([dip, wave])
    d_row, d_column = rng.normal(0, 0.03, n_images), rng.normal(0, 0.03, n_images)
    sigma = 3.0
    light = np.stack(
        [
            draw(row, column, true[:, i], d_row[i], d_column[i]) + rng.normal(0, sigma, 34 * 40)
            for i in range(n_images)
        ],
        axis=1,
    )
    motion = np.broadcast_to(d_row, (2, n_images)), np.broadcast_to(d_column, (2, n_images))
    found, error, *_ = fit_images(
        fit_of(row, column, flux, sigma),
        light,
        np.full(light.shape, sigma**2),
        *motion,
        (d_row, d_column),
    )
    depth = 1 - found[0][dip < 1].mean() / found[0][dip == 1].mean()
    assert depth == pytest.approx(0.01, rel=0.05)
    amplitude = 2 * np.mean((found[1] / flux[1] - 1) * np.sin(2 * np.pi * time / 40))
    assert amplitude == pytest.approx(0.02, rel=0.05)
    pull = (found - true) / error
    assert np.mean(pull**2) == pytest.approx(1, abs=0.15)


def test_errors_are_those_of_the_cramer_rao_bound():
    row, column, flux = np.array([315.2]), np.array([418.4]), np.array([2e3])
    sigma = np.random.default_rng(3).uniform(1, 4, 34 * 40)
    fit = prepare_fit(Design.of(PRF, WINDOW, row, column, flux), flux, nothing_else(), sigma)
    image = draw(row, column, flux)[:, None]
    _, error, *_ = fit_images(
        fit, image, sigma[:, None] ** 2, np.zeros((1, 1)), np.zeros((1, 1)), NO_MOTION
    )
    shares = draw(row, column, np.ones(1))
    bound = 1 / np.sqrt(np.sum(shares**2 / sigma**2))
    # The free background costs little in so large a window.
    assert bound < error[0, 0] < 1.03 * bound


def test_other_stars_and_their_motion_are_taken_off():
    row, column = np.array([315.2, 318.0]), np.array([418.4, 420.0])
    flux = np.array([3e3, 5e3])
    fixed_design = Design.of(PRF, WINDOW, row[1:], column[1:], flux[1:])
    fixed = np.array([matrix @ flux[1:] for matrix in fixed_design.matrices])
    design = Design.of(PRF, WINDOW, row[:1], column[:1], flux[:1])
    fit = prepare_fit(design, flux[:1], fixed, np.ones(34 * 40))
    d_row, d_column = np.array([0.07]), np.array([-0.02])
    light = draw(row, column, flux, 0.07, -0.02)[:, None]
    found, *_ = fit_images(
        fit, light, np.ones_like(light), d_row[None], d_column[None], (d_row, d_column)
    )
    assert found[0, 0] == pytest.approx(3e3, rel=2e-3)


def test_wrong_background_is_fitted_too():
    row, column, flux = np.array([315.2]), np.array([418.4]), np.array([2e3])
    light = draw(row, column, flux)[:, None] + 0.5
    found, *_ = fit_images(
        fit_of(row, column, flux),
        light,
        np.ones_like(light),
        np.zeros((1, 1)),
        np.zeros((1, 1)),
        NO_MOTION,
    )
    assert found[0, 0] == pytest.approx(2e3, rel=1e-3)


def test_stars_at_the_same_place_share_the_light_as_they_did_before():
    row, column, flux = np.full(2, 315.2), np.full(2, 418.4), np.array([3e3, 1e3])
    fit = fit_of(row, column, flux)
    assert (fit.prior_fraction > 0.05).all()
    assert fit_of(row[:1], column[:1], flux[:1]).prior_fraction[0] < 1e-3
    light = draw(row, column, 1.1 * flux)[:, None]
    found, *_ = fit_images(
        fit, light, np.ones_like(light), np.zeros((2, 1)), np.zeros((2, 1)), NO_MOTION
    )
    assert found.sum() == pytest.approx(4400, rel=1e-3)
    assert (found > 0).all()


def test_errors_are_those_of_the_stars_that_are_measured():
    row, column, flux = np.array([315.2, 318.0]), np.array([418.4, 420.0]), np.array([3e3, 5e3])
    light, zero = draw(row, column, 1.1 * flux)[:, None], np.zeros((2, 1))
    given = light, np.ones_like(light), zero, zero, NO_MOTION
    whole, error, *_ = fit_images(fit_of(row, column, flux), *given)
    fit = fit_of(row, column, flux, measured=[1])
    found, of_one, *_ = fit_images(fit, *given)
    np.testing.assert_array_equal(found, whole)
    assert of_one[1] == pytest.approx(error[1], rel=1e-9)
    assert np.isnan(of_one[0])
    assert fit.gain.shape == (1, light.size)


def sigma_for(error):
    """Noise per pixel with which the flux of a lone star has some error [e-/s]."""
    shares = draw(np.array([315.2]), np.array([418.4]), np.ones(1))
    return error * np.sqrt(np.sum(shares**2))


def test_flux_that_an_image_hardly_shows_stays_near_the_mean():
    """As uncertain from the pixels as it is believed to change: half of the change is seen."""
    row, column, mean = np.array([315.2]), np.array([418.4]), np.array([400.0])
    fit = fit_of(row, column, mean, sigma_for(400.0), offset_prior_sigma=1e-6)
    light = draw(row, column, 2 * mean)[:, None]
    found, *_ = fit_images(
        fit, light, np.ones_like(light), np.zeros((1, 1)), np.zeros((1, 1)), NO_MOTION
    )
    assert found[0, 0] == pytest.approx(1.5 * 400.0, rel=1e-4)
    assert fit.prior_fraction[0] == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(("error", "seen"), [(200.0, 0.5), (600.0, 0.1), (1.0, 1.0)])
def test_mean_flux_is_drawn_to_that_of_the_catalog(error, seen):
    """Which is believed to a half of itself."""
    row, column, catalog = np.array([315.2]), np.array([418.4]), np.array([400.0])
    design = Design.of(PRF, WINDOW, row, column, catalog)
    sigma = np.full(34 * 40, sigma_for(error))
    found, *_ = fit_average_image(draw(row, column, 2 * catalog), sigma, design, catalog)
    assert found[0] == pytest.approx((1 + seen) * 400.0, rel=1e-4)


def test_position_of_a_star_that_is_hardly_seen_stays_that_of_the_catalog():
    """Believed to 0.1 pixel in the average image, and to 0.02 of the motion in one image."""
    row, column, flux = np.array([315.2]), np.array([418.4]), np.array([5e3])
    design = Design.of(PRF, WINDOW, row, column, flux)
    slope_row, slope_column = (design.matrices[k] @ flux for k in (1, 2))
    moved = draw(row, column, flux) + 0.01 * slope_row - 0.006 * slope_column
    # The pixels tell the row to as much as it is believed; the column about as well.
    for believed, find in ((0.1, _average_position), (0.02, _position_in_image)):
        sigma = believed * np.sqrt(np.sum(slope_row**2))
        seen = 1 / (1 + np.sum(slope_row**2) / np.sum(slope_column**2))
        d_row, d_column = find(design, moved, sigma, flux)
        assert d_row == pytest.approx(0.5 * 0.01, rel=0.05)
        assert d_column == pytest.approx(-seen * 0.006, rel=0.05)


def _average_position(design, image, sigma, flux):
    sigma = np.full(len(image), sigma)
    _, *found = fit_average_image(image, sigma, design, flux, with_positions=np.array([True]))
    return found[0][0], found[1][0]


def _position_in_image(design, image, sigma, flux):
    sigma = np.full(len(image), sigma)
    fit = prepare_fit(
        design, flux, nothing_else(), sigma, moving=np.array([0]), offset_prior_sigma=1e-6
    )
    light, zero = image[:, None], np.zeros((1, 1))
    *_, d_row, d_column = fit_images(fit, light, np.ones_like(light), zero, zero, NO_MOTION)
    return d_row[0, 0], d_column[0, 0]


def test_missing_pixels():
    row, column, flux = np.array([315.2, 305.0]), np.array([418.4, 405.0]), np.array([2e3, 2e3])
    light = np.repeat(draw(row, column, flux)[:, None], 3, axis=1)
    window_column = np.arange(34 * 40) % 40 + 400
    window_row = np.arange(34 * 40) // 40 + 300
    far = (window_row == 325) & (window_column == 430)
    core = (window_row == 315) & (window_column == 418)
    light[far, 1] = np.nan
    light[core, 2] = np.nan
    zero = np.zeros((2, 3))
    found, error, *_ = fit_images(
        fit_of(row, column, flux), light, np.ones_like(light), zero, zero, (zero[0], zero[0])
    )
    np.testing.assert_allclose(found[:, :2], 2e3, rtol=1e-3)
    assert np.isnan(found[0, 2])
    assert np.isnan(error[0, 2])
    assert np.isfinite(found[1, 2])


def test_place_of_a_bright_star_in_each_image():
    row, column, flux = np.array([315.2, 325.0]), np.array([418.4, 430.0]), np.array([5e4, 1e3])
    fit = fit_of(row, column, flux, moving=np.array([0]))
    # It moves by itself, more than the image does.
    light = draw(row, column, flux * [1, 0], 0.06, 0.01) + draw(row, column, flux * [0, 1])
    zero = np.zeros((2, 1))
    found, _, moved_row, moved_column = fit_images(
        fit, light[:, None], np.ones((34 * 40, 1)), zero, zero, NO_MOTION
    )
    assert moved_row[0, 0] == pytest.approx(0.06, abs=2e-3)
    assert moved_column[0, 0] == pytest.approx(0.01, abs=2e-3)
    np.testing.assert_allclose(found[:, 0], flux, rtol=2e-3)


def test_order_of_the_stars_does_not_matter():
    rng = np.random.default_rng(8)
    row, column = rng.uniform(300, 333, 30), rng.uniform(400, 439, 30)
    flux = 10 ** rng.uniform(1.5, 4, 30)
    light = (draw(row, column, flux) + rng.normal(0, 1, 34 * 40))[:, None]
    order = rng.permutation(30)
    zero = np.zeros((30, 1))
    one, *_ = fit_images(
        fit_of(row, column, flux), light, np.ones_like(light), zero, zero, NO_MOTION
    )
    other, *_ = fit_images(
        fit_of(row[order], column[order], flux[order]),
        light,
        np.ones_like(light),
        zero,
        zero,
        NO_MOTION,
    )
    np.testing.assert_allclose(other, one[order], rtol=1e-8)


def test_crowding_of_a_fit():
    row, column = np.array([312.3, 312.3, 328.0]), np.array([409.8, 409.8, 433.2])
    alone = fit_of(row[1:], column[1:], np.array([3e3, 500.0]))
    assert fit_crowding(alone, 0) == pytest.approx(1, abs=1e-3)
    # Two stars at one position: by their fluxes. The third is out of reach.
    both = fit_of(row, column, np.array([3e3, 1e3, 500.0]))
    assert fit_crowding(both, 0) == pytest.approx(0.75, rel=1e-3)
    assert fit_crowding(both, 1) == pytest.approx(0.25, rel=1e-3)
    assert fit_crowding(both, 2) == pytest.approx(1, abs=1e-3)
    # Light of stars that are not free counts the same; less light than is expected is none.
    fixed = nothing_else()
    design = Design.of(PRF, WINDOW, row, column, np.full(3, 1e6))
    for light, expected in ((1e3, 0.75), (-1e3, 1.0)):
        fixed[0] = light * design.matrices[0][:, [0]].toarray().ravel()
        own = Design.of(PRF, WINDOW, row[:1], column[:1], np.array([3e3]))
        fit = prepare_fit(own, np.array([3e3]), fixed, np.ones(len(fixed[0])))
        assert fit_crowding(fit, 0) == pytest.approx(expected, rel=1e-3)
    unseen = prepare_fit(own, np.array([3e3]), fixed, np.full(len(fixed[0]), np.nan))
    assert np.isnan(fit_crowding(unseen, 0))


def test_no_star_at_all():
    nobody = np.zeros(0)
    fit = fit_of(nobody, nobody, nobody)
    found, error, *_ = fit_images(
        fit,
        np.ones((34 * 40, 2)),
        np.ones((34 * 40, 2)),
        np.zeros((0, 2)),
        np.zeros((0, 2)),
        (np.zeros(2), np.zeros(2)),
    )
    assert found.shape == error.shape == (0, 2)


def test_bright_pixels_count_by_how_well_the_prf_is_known():
    """0.3 % of a star's light in a pixel is the error of the mission's PRFs, seen in real stars."""
    errors = {0.0: 0.0, 3e-4: 4e-5, 3e-3: 4e-4, 0.02: 4e-4}
    for error, expected in errors.items():
        prf = replace(PRF, error=np.full((7, 7), error))
        assert pixel_change(prf) == pytest.approx(expected)
    far = np.full((17, 17), 0.02)
    far[6:11, 6:11] = 3e-4  # only the pixels that hold most of the light are asked
    assert pixel_change(replace(PRF, error=far)) == pytest.approx(4e-5)


def test_foreign_light_changes_no_star_beside_it():
    """Light over the lower third: one star on it, one beside it, one half on its edge."""
    row, column = np.array([307.4, 314.6, 311.2]), np.array([431.2, 408.3, 420.7])
    mean, changed = np.array([2e3, 1500.0, 900.0]), np.array([0.9, 1.05, 1.0])
    foreign = np.zeros(WINDOW.shape, dtype=bool)
    foreign[:11] = True
    disc = 25.0 * foreign * np.linspace(1, 2, WINDOW.shape[1])
    light = (draw(row, column, mean * changed) + disc.ravel())[:, None]
    zero = np.zeros((3, 1))
    given = fit_of(row, column, mean), light, np.ones_like(light), zero, zero, NO_MOTION
    found, error, *_ = fit_images(*given, foreign.ravel()[:, None])
    without, *_ = fit_images(*given)
    assert abs(without[1, 0] - 1575.0) > 20.0
    assert found[1, 0] == pytest.approx(1575.0, abs=0.5)
    assert found[0, 0] == without[0, 0]  # it is all under the light
    assert np.isfinite(found).all()
    assert np.isfinite(error).all()
