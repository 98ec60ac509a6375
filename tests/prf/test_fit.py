"""The effective PRF, from images of stars whose PRF is known, and that the code does not know."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.prf.fit import _are_typical, fit_field, fit_prf
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image
from tessphot_lib.prf.stars import StarField, choose_prf_stars
from tessphot_lib.simulation.prf import prf_stamp

WINDOW = Window(1500, 1740, 300, 600)  # far from the camera's centre, not square
CCD = 1


def flux_of(tmag):
    return 10 ** (0.4 * (TMAG_ZEROPOINT - tmag))


def field_of(n_stars=500, seed=3, *, width=1.0, noise=0.3):
    """Image of stars on a regular grid, jostled: known positions, magnitudes 8 to 13."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n_stars * 240 / 300)))
    rows, columns = np.meshgrid(
        np.linspace(1508, 1732, side), np.linspace(308, 592, -(-n_stars // side)), indexing="ij"
    )
    row = rows.ravel()[:n_stars] + rng.uniform(-0.5, 0.5, n_stars)
    column = columns.ravel()[:n_stars] + rng.uniform(-0.5, 0.5, n_stars)
    tmag = rng.uniform(8, 13, n_stars)
    image = rng.normal(0, noise, WINDOW.shape)
    for at_row, at_column, flux in zip(
        row, column, 10 ** (0.4 * (TMAG_ZEROPOINT - tmag)), strict=True
    ):
        top, left = max(round(at_row) - 25, 1500), max(round(at_column) - 25, 300)
        rows = np.arange(top, min(round(at_row) + 26, 1740))
        columns = np.arange(left, min(round(at_column) + 26, 600))
        stamp = flux * prf_stamp(at_row, at_column, rows, columns, CCD, width=width)
        image[rows[0] - 1500 : rows[-1] - 1499, columns[0] - 300 : columns[-1] - 299] += stamp
    return StarField(image, np.full(WINDOW.shape, noise), WINDOW, row, column, tmag)


@pytest.fixture(scope="module")
def field():
    return field_of()


@pytest.fixture(scope="module")
def prf(field):
    stars = choose_prf_stars(field, bright_limit=8.0, faint_limit=12.5)
    return fit_prf(field, stars)


@pytest.mark.parametrize("place", [(1510.2, 330.7), (1620.5, 450.5), (1700.9, 560.1)])
def test_core_is_right_to_half_a_percent_of_the_light(prf, place):
    row, column = place
    rows, columns = np.arange(-4, 5) + round(row), np.arange(-4, 5) + round(column)
    true = prf_stamp(row, column, rows, columns, CCD)
    found = prf_stamps(prf, np.array([row]), np.array([column]), rows[:1], columns[:1], (9, 9))[0]
    assert np.abs(found - true).max() < 0.005
    assert found.sum() == pytest.approx(true.sum(), abs=0.02)  # no wing was asked for
    start = prf_stamps(
        generic_prf(), np.array([row]), np.array([column]), rows[:1], columns[:1], (9, 9)
    )[0]
    # It has been learned.
    assert np.abs(found - true).max() < 0.3 * np.abs(start - true).max()


def test_stated_error_is_that_of_the_stars_pixels(prf):
    middle = prf.error.shape[0] // 2
    assert 1e-5 < prf.error[middle, middle] < 0.005
    assert prf.error[0, 0] < prf.error[middle, middle]


def test_another_width_is_another_prf():
    field = field_of(n_stars=200, width=1.3)
    stars = choose_prf_stars(field, bright_limit=8.0, faint_limit=12.5)
    found = fit_prf(field, stars)
    rows = np.arange(1617, 1624)
    stamp = prf_stamps(
        found, np.array([1620.0]), np.array([450.0]), rows[:1], np.array([447]), (7, 7)
    )[0]
    true = prf_stamp(1620.0, 450.0, rows, np.arange(447, 454), CCD, width=1.3)
    assert np.abs(stamp - true).max() < 0.005


def test_wrong_zero_point_of_the_catalog_is_found(field):
    brighter = replace(field, tmag=field.tmag - 0.1)
    stars = choose_prf_stars(brighter, bright_limit=7.9, faint_limit=12.4)
    found = fit_prf(brighter, stars)
    true = fit_prf(field, choose_prf_stars(field, bright_limit=8.0, faint_limit=12.5))
    assert found.zeropoint - true.zeropoint == pytest.approx(-0.1, abs=1e-3)


def test_a_sky_that_is_wrong_does_not_become_wings():
    """0.5 e-/s per pixel are more than what most stars give the edges of their stamps."""
    field = field_of(n_stars=120)
    stars = choose_prf_stars(field, bright_limit=8.0, faint_limit=12.5)
    true, found = (
        fit_prf(replace(field, image=field.image + sky), stars, n_rounds=3) for sky in (0.0, 0.5)
    )
    corner = np.array([1616]), np.array([446]), (9, 9)
    held = [
        prf_stamps(one, np.array([1620.0]), np.array([450.0]), *corner)[0].sum()
        for one in (true, found)
    ]
    assert held[1] == pytest.approx(held[0], abs=1e-3)
    assert found.zeropoint == pytest.approx(true.zeropoint, abs=1e-3)


def test_displaced_positions_become_part_of_the_prf(field, prf):
    """Fits are made at the catalog's positions, wherever the WCS has them."""
    moved = replace(field, row=field.row + 0.05, column=field.column - 0.08)
    stars = choose_prf_stars(moved, bright_limit=8.0, faint_limit=12.5)
    found = fit_prf(moved, stars)
    corner = np.array([1613]), np.array([443]), (15, 15)
    at_catalog = prf_stamps(found, np.array([1620.05]), np.array([449.92]), *corner)[0]
    at_star = prf_stamps(prf, np.array([1620.0]), np.array([450.0]), *corner)[0]
    np.testing.assert_allclose(at_catalog, at_star, atol=2e-3)


def test_few_stars_give_the_generic_prf(field):
    stars = choose_prf_stars(field, bright_limit=8.0, faint_limit=12.5)
    assert fit_prf(field, stars[:9]).source == "generic"
    assert fit_prf(field, stars[:0]).source == "generic"


def test_a_dozen_noisy_stars_show_the_core_and_not_the_faint_parts():
    """Beyond 4 pixels a fit to 12 stars would be noise of 1.5e-3: the start is kept there."""
    field = field_of(n_stars=12, seed=0, noise=10.0)
    found = fit_prf(field, np.arange(12))
    assert found.source == "data: 12 stars, order 0"
    at = np.array([1620.0]), np.array([450.0]), np.array([1612]), np.array([442]), (17, 17)
    change = prf_stamps(found, *at)[0] - prf_stamps(generic_prf(), *at)[0]
    offsets = np.arange(17) - 8
    distance = np.hypot(offsets[:, None], offsets)
    assert np.std(change[distance <= 2]) > 4e-3
    assert np.std(change[(distance > 4) & (distance <= 8)]) < 8e-4


@pytest.mark.parametrize(("seed", "n_faint"), [(4, 2000), (1, 5000)])
def test_light_beyond_small_stamps_is_what_it_is_elsewhere(seed, n_faint):
    """11 x 11 pixels around each of 25 stars, as in target pixel files, and faint stars.

    What few and noisy pixels show beyond 6 pixels would be -0.2 or 1.3 % of the light.
    """
    field, rng = field_of(n_stars=25, seed=seed, noise=0.1), np.random.default_rng(seed)
    row, column = rng.uniform(1500, 1740, n_faint), rng.uniform(300, 600, n_faint)
    tmag = np.maximum(20 + np.log10(rng.uniform(size=n_faint)) / 0.3, 15)
    image = field.image + scene_image(generic_prf(), WINDOW, row, column, flux_of(tmag))
    there = np.zeros(WINDOW.shape, dtype=bool)
    for at_row, at_column in zip(field.row, field.column, strict=True):
        top, left = round(at_row) - 5 - WINDOW.row0, round(at_column) - 5 - WINDOW.column0
        there[max(top, 0) : top + 11, max(left, 0) : left + 11] = True
    listed = tmag < 18
    seen = replace(
        field,
        image=np.where(there, image, np.nan),
        row=np.append(field.row, row[listed]),
        column=np.append(field.column, column[listed]),
        tmag=np.append(field.tmag, tmag[listed]),
    )
    found = fit_field(seen, choose_prf_stars(seen, bright_limit=8.0, faint_limit=12.5)).prf
    pixels = np.arange(1605, 1636), np.arange(435, 466)
    true = prf_stamp(1620.2, 450.1, *pixels, CCD)
    first = np.array([1605]), np.array([435]), (31, 31)
    light = prf_stamps(found, np.array([1620.2]), np.array([450.1]), *first)[0]
    distance = np.hypot(pixels[0][:, None] - 1620.2, pixels[1] - 450.1)
    beyond = (distance > 6.5) & (distance < 8.5)
    assert light[beyond].sum() == pytest.approx(true[beyond].sum(), abs=0.002)
    assert light[distance < 6.5].sum() == pytest.approx(true[distance < 6.5].sum(), abs=0.008)


def test_stars_of_another_brightness_than_the_catalogs_are_not_like_the_others():
    """However well they fit: by more than 0.3 in the logarithm, as others are."""
    ratio = 0.9 * np.array([1.0, 1.0, 1.02, 0.98, 1.3, 1.4, 0.7, 0.8])
    residual = np.ones((8, 17, 17))
    residual[1, 8, 8] = 20.0
    like = _are_typical(residual, np.ones_like(residual), ratio, 3.0)
    assert like.tolist() == [True, False, True, True, True, False, False, True]


def test_choice_of_stars():
    row = np.array([1600.0, 1600.0, 1650.0, 1502.4, 1680.0, np.nan, 1560.0])
    column = np.array([400.0, 403.0, 450.0, 450.0, 500.0, 400.0, 550.0])
    tmag = np.array([10.0, 11.0, 9.0, 9.0, 14.0, 9.0, 11.0])
    image = np.zeros(WINDOW.shape)
    for at_row, at_column, star in zip(row, column, tmag, strict=True):
        if np.isfinite(at_row):
            image[round(at_row) - 1500, round(at_column) - 300] = flux_of(star)
    field = StarField(image, image + 1, WINDOW, row, column, tmag)
    chosen = choose_prf_stars(field, bright_limit=7.5, faint_limit=12.0)
    # The first two disturb each other, one is at the edge, one too faint, one nowhere.
    assert chosen.tolist() == [2, 6]
    image[150, 150] = np.nan  # on the brightest: no pixel, no use
    assert choose_prf_stars(field, bright_limit=7.5, faint_limit=12.0).tolist() == [6]
    assert choose_prf_stars(field, bright_limit=1.0, faint_limit=2.0).tolist() == []


@pytest.mark.parametrize(("light", "chosen"), [(0.9, [0]), (3.0, []), (0.3, []), (-1.0, [])])
def test_stars_of_another_light_than_the_catalogs_are_not_chosen(light, chosen):
    """One that the catalog lacks stands beside them, or they are not there."""
    image = np.zeros(WINDOW.shape)
    image[62, 205] = light * flux_of(10.0)
    field = StarField(
        image, image + 1, WINDOW, np.array([1560.0]), np.array([505.0]), np.array([10.0])
    )
    assert choose_prf_stars(field, bright_limit=7.5, faint_limit=12.0).tolist() == chosen


def test_a_catalog_without_bright_stars_leaves_the_generic_prf():
    """Cutouts come with lists of their targets only: what stands beside these is unknown."""
    field = field_of(n_stars=60)
    bright = np.argsort(field.tmag)[:48]
    rng = np.random.default_rng(4)
    moved = (field.row[bright] + rng.normal(0, 2, 48), field.column[bright] + 1.5)
    wrong = StarField(field.image, field.noise, WINDOW, *moved, np.linspace(12.6, 15.0, 48))
    assert choose_prf_stars(wrong, bright_limit=7.5, faint_limit=15.0).size < 10
    # Even where they are taken, the fit tells that it went astray.
    fitted = fit_field(wrong, np.arange(12))
    assert fitted.prf.source == "generic"
    assert np.isfinite(fitted.scene).all()


def test_prf_of_a_crowd_on_an_unknown_sky():
    """One star in every 24 pixels, half of the light of each pixel is its neighbors'."""
    rng = np.random.default_rng(8)
    n_stars, sky = 3000, 4.0
    row, column = rng.uniform(1500, 1740, n_stars), rng.uniform(300, 600, n_stars)
    tmag = np.sort(np.clip(16.5 + 2.5 * np.log10(rng.uniform(0, 1, n_stars)), 7.6, None))
    image = rng.normal(sky, 0.3, WINDOW.shape)
    for at_row, at_column, flux in zip(
        row, column, 10 ** (0.4 * (TMAG_ZEROPOINT - tmag)), strict=True
    ):
        half = 8 if flux < 1e3 else 40
        rows = np.arange(max(round(at_row) - half, 1500), min(round(at_row) + half + 1, 1740))
        columns = np.arange(
            max(round(at_column) - half, 300), min(round(at_column) + half + 1, 600)
        )
        stamp = flux * prf_stamp(at_row, at_column, rows, columns, CCD)
        image[rows[0] - 1500 : rows[-1] - 1499, columns[0] - 300 : columns[-1] - 299] += stamp
    noise = np.full(WINDOW.shape, 1.0)
    field = StarField(image, noise, WINDOW, row, column, tmag)
    stars = choose_prf_stars(field, bright_limit=7.5, faint_limit=13.5)
    fitted = fit_field(field, stars)
    assert fitted.sky == pytest.approx(sky, abs=0.5)
    assert np.median(image - fitted.scene) == pytest.approx(sky, abs=0.5)
    level = replace(field, image=image - fitted.sky)
    found = fit_prf(level, stars, start=fitted.prf, scene=fitted.scene)
    assert found.zeropoint == pytest.approx(TMAG_ZEROPOINT, abs=0.01)
    rows, columns = np.arange(1610, 1631), np.arange(440, 461)
    true = prf_stamp(1620.3, 450.2, rows, columns, CCD)
    at = np.array([1620.3]), np.array([450.2])
    stamp = prf_stamps(found, *at, rows[:1], columns[:1], (21, 21))[0]
    assert np.abs(stamp - true).max() < 0.005
    assert stamp.sum() == pytest.approx(true.sum(), abs=0.005)


def test_fit_goes_on_where_another_one_ended(field):
    stars = choose_prf_stars(field, bright_limit=8.0, faint_limit=12.5)[:30]
    whole = fit_field(field, stars)
    first = fit_field(field, stars, n_passes=1)
    again = fit_field(field, stars, start=first, n_passes=1)
    assert np.abs(again.scene - whole.scene).max() < 0.02 * np.abs(first.scene - whole.scene).max()
    assert again.sky == pytest.approx(whole.sky, abs=1e-3)  # the first one is off by 0.6
    assert fit_field(field, stars[:5], start=first) is first  # too few to show anything


def test_bleed_trails_do_not_change_the_prf(field, prf):
    """Full columns cross the field; no model has their light."""
    image = field.image.copy()
    image[20:200, [60, 61, 180]] = FULL_WELL_RATE
    image[18:20, 60] = 0.3 * FULL_WELL_RATE  # the end of a trail is not full
    places = field.row, field.column, field.tmag
    trails = StarField.of_image(image, WINDOW, *places, mask_radius_scale=1.0)
    stars = choose_prf_stars(trails, bright_limit=8.0, faint_limit=12.5)
    near = np.abs(field.column[stars, None] - 300 - np.array([60, 61, 180])).min(axis=1) < 8
    assert near.any()  # some stand beside a trail
    found = fit_prf(trails, stars)
    corner = np.array([1616]), np.array([446]), (9, 9)
    place = np.array([1620.3]), np.array([450.2])
    without = prf_stamps(prf, *place, *corner)[0]
    np.testing.assert_allclose(prf_stamps(found, *place, *corner)[0], without, atol=1e-3)
