"""Wings and sky, fitted to images whose wings are known."""

import numpy as np
import pytest

from tessphot_lib.background.mesh_fit import nodes_of_means
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.prf import wings
from tessphot_lib.prf.wings import USUAL_WINGS, WING_RADIUS, RingLight, fit_wings

WINDOW = Window(700, 860, 1200, 1400)  # not square, not at the corner
SKY = 3.7


def fitted(image, sigma, row, column, flux):
    light = RingLight.of(WINDOW, np.isfinite(image), row, column, flux)
    return fit_wings(image, sigma, light)


def true_wing(distance):
    """Falls less steeply than usual near the star, more steeply far out."""
    return 4e-5 * (distance / 7.0) ** -2.5 * np.exp(-distance / 40.0)


def crowd(n_stars, seed=5):
    """Stars in and around the window, and the light of their wings."""
    rng = np.random.default_rng(seed)
    row = rng.integers(WINDOW.row0 - 30, WINDOW.row1 + 30, n_stars)
    column = rng.integers(WINDOW.column0 - 30, WINDOW.column1 + 30, n_stars)
    flux = 10 ** rng.uniform(2.0, 5.0, n_stars)
    rows = np.arange(WINDOW.row0, WINDOW.row1)[:, None]
    columns = np.arange(WINDOW.column0, WINDOW.column1)
    light, cores = np.zeros(WINDOW.shape), np.zeros(WINDOW.shape)
    for at_row, at_column, one in zip(row, column, flux, strict=True):
        distance = np.hypot(rows - at_row, columns - at_column)
        light += np.where(distance > 64, 0, one * true_wing(np.maximum(distance, WING_RADIUS[0])))
        cores += np.where(distance < 4, one / 50, 0)
    return row.astype(float), column.astype(float), flux, light, cores


@pytest.mark.parametrize("n_stars", [60, 1000])  # 1000: one in every 57 pixels
def test_wings_and_sky_are_found_with_and_without_a_crowd(n_stars):
    row, column, flux, light, cores = crowd(n_stars)
    noise = np.random.default_rng(1).normal(0, 0.3, WINDOW.shape)
    sigma = np.hypot(0.3, 0.03 * cores)
    share, sky = fitted(SKY + light + noise, sigma, row, column, flux)
    np.testing.assert_allclose(share, true_wing(WING_RADIUS), rtol=0.1, atol=1e-7)
    assert sky == pytest.approx(SKY, abs=0.02 * light.mean() + 0.05)


def test_unknown_stars_and_missing_pixels_do_not_count():
    row, column, flux, light, cores = crowd(300)
    image = SKY + light
    expected, sky = fitted(image, np.hypot(0.3, 0.03 * cores), row, column, flux)
    image[20:26, 30:36] += 500.0
    image[100, :] = np.nan
    share, found = fitted(image, np.hypot(0.3, 0.03 * cores), row, column, flux)
    np.testing.assert_allclose(share, expected, rtol=0.02)
    assert found == pytest.approx(sky, abs=0.01)


def test_fluxes_in_other_units_give_other_shares():
    row, column, flux, light, cores = crowd(300)
    sigma = np.hypot(0.3, 0.03 * cores)
    one, _ = fitted(light, sigma, row, column, flux)
    two, _ = fitted(light, sigma, row, column, 2 * flux)
    np.testing.assert_allclose(two, one / 2, rtol=0.02)  # what is usual counts a little


def test_shares_are_not_negative():
    row, column, flux, light, cores = crowd(300)
    share, _ = fitted(-light, np.hypot(0.3, 0.03 * cores), row, column, flux)
    assert (share >= 0).all()
    assert share[:4].tolist() == [0.0] * 4  # farther ones nothing shows in small cells


def test_without_stars_or_pixels_wings_are_the_usual_ones():
    nothing = np.zeros(0)
    level = np.full(WINDOW.shape, 2.0)
    share, sky = fitted(level, level, nothing, nothing, nothing)
    np.testing.assert_allclose(share, USUAL_WINGS)
    assert sky == pytest.approx(2.0, abs=1e-4)
    nan_star = np.array([np.nan])
    share, sky = fitted(np.full(WINDOW.shape, np.nan), level, *[nan_star] * 3)
    np.testing.assert_allclose(share, USUAL_WINGS)
    assert sky == 0.0


def test_an_exact_image_leaves_nothing_to_clip():
    row, column, flux, _, _ = crowd(60)
    dark = np.zeros(WINDOW.shape)
    share, sky = fitted(dark, dark + 1e6, row, column, 0 * flux)
    np.testing.assert_allclose(share, USUAL_WINGS)  # no light: nothing is seen
    assert sky == 0.0


def test_the_light_of_wings_that_a_background_took_away_is_found():
    """The mean of each cell of a mesh, and what it makes of them between, is taken off as sky."""
    row, column, flux, light, cores = crowd(1000)
    factor = 4.0  # brighter than is usual, as far as wings reach
    image = factor * light
    mesh = Mesh.over(WINDOW, 64)
    edges = mesh.row_edges - WINDOW.row0, mesh.column_edges - WINDOW.column0
    means = np.add.reduceat(np.add.reduceat(image, edges[0][:-1]), edges[1][:-1], axis=1)
    means /= np.diff(edges[0])[:, None] * np.diff(edges[1])
    image -= mesh.evaluate(nodes_of_means(means, mesh)[None], WINDOW)[0]
    noise = np.random.default_rng(1).normal(0, 0.3, WINDOW.shape)
    sigma = np.hypot(0.3, 0.03 * cores)
    share, _ = fitted(image + noise, sigma, row, column, flux)
    # 0.74, 0.64 and 0.14 of it at 9, 11.5 and 15 pixels where the sky is free in cells only.
    np.testing.assert_allclose(share[2:5], factor * true_wing(WING_RADIUS[2:5]), rtol=0.15)


def test_pixels_tell_of_a_wing_as_if_unknown_stars_covered_ten_each(monkeypatch):
    """A star without wings, seen in 60 pixels of sky and those inside the first ring.

    The usual wing is believed to as much as itself, so that what is left of it follows.
    """
    for name in ("SKY_CELL", "MESH_CELL"):
        monkeypatch.setattr(wings, name, 4096)  # one sky for all pixels
    row, column = np.array([720.0]), np.array([1225.0])
    rows, columns = np.indices(WINDOW.shape)
    near = np.hypot(rows + 700 - 720, columns + 1200 - 1225) < WING_RADIUS[0]
    sky = (rows == 150) & (columns >= 120) & (columns < 180)
    image = np.where(near | sky, 0.0, np.nan)
    n_near, n_sky = near.sum(), sky.sum()
    assert n_near > n_sky
    flux = np.array([1e5])
    told = (flux[0] * USUAL_WINGS[0]) ** 2 * n_near * n_sky / (n_near + n_sky)
    for sigma in (0.5, 1.5):
        share, _ = fitted(image, np.full(WINDOW.shape, sigma), row, column, flux)
        expected = 1 / (1 + told / (10 * sigma**2))
        assert share[0] / USUAL_WINGS[0] == pytest.approx(expected, rel=1e-3)
