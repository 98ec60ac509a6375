"""Straps: columns with a known response, in images with more and less light."""

import numpy as np
import pytest

from tessphot_lib.background.straps import column_excess, fit_straps, sky_rows, strap_excess
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh, evaluate_background_at

WINDOW = Window(100, 300, 500, 840)  # not square, not aligned
MESH = Mesh.over(WINDOW, 64)
N_IMAGES = 30
STRAPS = {37: 0.03, 38: 0.03, 39: 0.02, 120: 0.01, 121: 0.015, 250: -0.02, 338: 0.02, 339: 0.03}


def response():
    straps = np.zeros(WINDOW.shape[1])
    for column, share in STRAPS.items():
        straps[column] = share
    return straps


def light_of(levels):
    return np.asarray(levels)[:, None] * (1 + 0.1 * np.linspace(-1, 1, WINDOW.shape[1]))


def excess_of(light, noise, seed=0):
    rng = np.random.default_rng(seed)
    constant = rng.normal(0, 1, WINDOW.shape[1])  # unknown stars
    return light * response() + constant + rng.normal(0, noise, light.shape)


def test_response_is_found_again():
    levels = 100 + np.concatenate([np.zeros(20), np.linspace(100, 3000, 10)])
    light = light_of(levels)
    found = fit_straps(excess_of(light, 0.05), light)
    np.testing.assert_allclose(found, response(), rtol=0, atol=2e-3)
    assert np.abs(found - response()).mean() < 2e-4
    assert (found[[36, 40, 119, 200]] == 0).all()


def test_no_strap_none_found():
    light = light_of(100 + np.linspace(0, 2000, N_IMAGES))
    rng = np.random.default_rng(3)
    found = fit_straps(rng.normal(0, 0.05, light.shape), light)
    assert np.abs(found).max() < 5e-4


def test_smooth_misfit_of_the_background_is_no_strap():
    light = light_of(100 + np.linspace(0, 2000, N_IMAGES))
    wave = 0.003 * np.sin(np.arange(WINDOW.shape[1]) / 40)
    found = fit_straps(light * wave, light)
    assert np.abs(found).max() < 1.5e-3


def test_straps_are_found_beside_a_smooth_misfit():
    """The background may miss 1 % of the light in wide waves: straps still stand out of them."""
    light = light_of(100 + np.linspace(0, 2000, N_IMAGES))
    wave = 0.01 * np.sin(np.arange(WINDOW.shape[1]) / 60)
    found = fit_straps(excess_of(light, 0.05) + light * wave, light)
    strong = [column for column, share in STRAPS.items() if share >= 0.02]
    np.testing.assert_allclose(found[strong], response()[strong], atol=4e-3)
    others = np.setdiff1d(np.arange(WINDOW.shape[1]), list(STRAPS))
    assert np.abs(found[others]).max() < 5e-3


def test_other_stars_in_the_columns_after_a_step_of_the_pointing_are_no_straps():
    """The sky hardly changes, but from one pointing to the other as the columns' excess does."""
    pointing = np.arange(2 * N_IMAGES) // N_IMAGES
    light = light_of(150 - 0.8 * pointing + np.random.default_rng(5).normal(0, 0.1, len(pointing)))
    constant = np.random.default_rng(6).normal(0, 0.05, (2, WINDOW.shape[1]))  # unknown stars
    constant[1, 113] -= 0.5
    excess = constant[pointing] + np.random.default_rng(7).normal(0, 0.02, light.shape)
    assert not fit_straps(excess, light, pointing).any()
    # Scattered light tells, in either of them.
    bright = light_of([200.0, 400.0, 900.0, 2000.0])
    light = np.concatenate([bright, light[4:-4], bright[::-1]])
    excess = light * response() + constant[pointing]
    found = fit_straps(
        excess + np.random.default_rng(7).normal(0, 0.02, light.shape), light, pointing
    )
    np.testing.assert_allclose(found, response(), atol=1e-3)


@pytest.mark.parametrize("levels", [[100.0] * 30, [100, 2000, 50, 800], []])
def test_what_tells_nothing_gives_none(levels):
    light = light_of(levels)
    assert not fit_straps(excess_of(light, 0.05), light).any()


def test_images_without_background_do_not_count():
    levels = 100 + np.concatenate([np.zeros(20), np.linspace(100, 3000, 10)])
    light = light_of(levels)
    excess = excess_of(light, 0.05)
    expected = fit_straps(np.delete(excess, 25, 0), np.delete(light, 25, 0))
    light[25], excess[25] = np.nan, 1e4
    np.testing.assert_array_equal(fit_straps(excess, light), expected)


def test_excess_of_columns_by_hand():
    image = np.full((50, 4), 100.0)
    image[:, 1] += 7.0
    image[10:20, 1] += 1000.0  # a reflection, or a star that is not known
    image[30:, 2] = np.nan
    mask = np.zeros(image.shape, dtype=bool)
    mask[:45, 3] = True  # too little sky
    rows = sky_rows(mask)
    assert rows.shape[0] == 4
    assert (rows[3] == -1).all()
    before = image.copy()
    found = column_excess(image, np.full(image.shape, 98.0), rows)
    assert found.tolist() == [2.0, 9.0, 2.0, 0.0]
    np.testing.assert_array_equal(image, before)


def test_rows_are_sky_and_spread():
    mask = np.zeros((2048, 3), dtype=bool)
    mask[::2, 1] = True
    rows = sky_rows(mask)
    assert (rows[1] % 2 == 1).all()
    assert rows[0, 0] == 0
    assert rows[0].max() == 2047
    assert len(np.unique(rows[0])) == rows.shape[1]


def test_mesh_with_straps():
    plain = MESH
    strapped = Mesh(WINDOW, MESH.row_edges, MESH.column_edges, response())
    rng = np.random.default_rng(4)
    model = rng.uniform(90, 110, (2, *MESH.shape))
    region = Window(150, 160, 530, 545)
    expected = plain.evaluate(model, region) * (1 + response()[30:45])
    np.testing.assert_allclose(strapped.evaluate(model, region), expected, rtol=1e-12)
    row, column = np.array([151.2, 159.0]), np.array([537.3, 541.0])
    smooth = evaluate_background_at(model, plain, row, column)
    at = 1 + response()[[37, 41]]
    np.testing.assert_allclose(strapped.evaluate_at(model, row, column), smooth * at, rtol=1e-12)


def test_what_stands_out_of_an_image():
    rng = np.random.default_rng(6)
    excess = (rng.normal(0, 0.1, 340) + np.sin(np.arange(340) / 60)).astype(np.float32)
    assert not strap_excess(excess).any()
    excess[[50, 51, 200]] += np.float32([5, 6, -4])
    found = strap_excess(excess)
    assert np.flatnonzero(found).tolist() == [50, 51, 200]
    np.testing.assert_allclose(found[[50, 51, 200]], [5, 6, -4], atol=0.6)
    assert found.dtype == np.float32


def test_median_of_a_column_with_a_bright_third():
    image = np.zeros((30, 3))
    image[::3, 1] = 50.0  # light that is no strap
    image[:, 2] = np.arange(30)
    rows = np.tile(np.arange(30), (3, 1))
    assert column_excess(image, np.zeros((30, 3)), rows).tolist() == [0.0, 0.0, 15.0]


def test_columns_that_only_scatter_have_no_response():
    light = light_of(np.linspace(100, 3000, N_IMAGES))
    rng = np.random.default_rng(7)
    slopes = 2e-4 * rng.standard_normal(WINDOW.shape[1])
    slopes[50] = 0.01
    found = fit_straps(light * slopes + rng.normal(0, 0.05, light.shape), light)
    assert np.flatnonzero(found).tolist() == [50]


def test_a_column_that_drifts_slowly_is_no_strap():
    """Neither alone nor beside straps, which light that changes otherwise shows."""
    moment = np.linspace(-1, 1, 400)
    drift = np.zeros((len(moment), WINDOW.shape[1]))
    drift[:, 60], drift[:, 180], drift[:, 301] = 0.5 * moment, 0.4 * moment**2, -0.2 * moment
    noise = np.random.default_rng(8).normal(0, 0.02, drift.shape)
    quiet = light_of(100 + 8 * np.sin(2 * moment))
    assert not fit_straps(drift + noise, quiet).any()
    scattered = 600 * (np.exp(-50 * (1 - moment)) + np.exp(-50 * (0.1 - moment) ** 2))
    light = quiet + light_of(scattered)
    found = fit_straps(light * response() + drift + noise, light)
    np.testing.assert_allclose(found, response(), atol=5e-4)
    np.testing.assert_array_equal(found != 0, response() != 0)
