"""The image of known stars is the sum of what each gives."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.evaluate import DERIVATIVES, prf_stamps
from tessphot_lib.prf.scene import model_error, scene_derivatives, scene_image, wing_image
from tessphot_lib.prf.stars import StarField, draw_stars
from tests.prf.test_evaluate import lopsided

WINDOW = Window(300, 350, 400, 470)


def stars(seed=0, n=40):
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(280, 370, n), rng.uniform(390, 480, n)
    return row, column, 10 ** rng.uniform(0, 5, n)


def test_scene_is_the_sum_of_its_stars():
    prf = lopsided()
    row, column, flux = stars()
    corner = np.full(len(row), 300), np.full(len(row), 400)
    expected = np.tensordot(flux, prf_stamps(prf, row, column, *corner, WINDOW.shape), axes=1)
    found = scene_image(prf, WINDOW, row, column, flux)
    # Wings are drawn to a quarter of a pixel; faint light of faint stars is left out.
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=0.3)


def test_order_of_the_stars_and_strangers_do_not_matter():
    prf = lopsided()
    row, column, flux = stars()
    order = np.random.default_rng(1).permutation(len(row))
    found = scene_image(prf, WINDOW, row[order], column[order], flux[order])
    np.testing.assert_allclose(found, scene_image(prf, WINDOW, row, column, flux), rtol=1e-12)
    far = scene_image(prf, WINDOW, np.array([2000.0, np.nan]), np.array([10.0, 420]), np.ones(2))
    assert (far == 0).all()


@pytest.mark.parametrize("axis", ["row", "column"])
def test_derivatives_tell_what_motion_does(axis):
    prf = lopsided()
    row, column, flux = stars(n=25)
    images = scene_derivatives(prf, WINDOW, row, column, flux)
    assert images.shape == (len(DERIVATIVES), *WINDOW.shape)
    step = 0.02
    move = (step, 0.0) if axis == "row" else (0.0, step)
    moved = scene_image(prf, WINDOW, row + move[0], column + move[1], flux)
    first, second = (images[1], images[3]) if axis == "row" else (images[2], images[5])
    change = step * first + 0.5 * step**2 * second
    still = np.abs(moved - images[0]).max()
    assert np.abs(moved - images[0] - change).max() < 2e-3 * still


def test_errors_of_the_model_add_up_in_squares():
    prf = replace(lopsided(), error=np.array([[0.0, 0, 0], [0, 0.02, 0.01], [0, 0, 0]]))
    # The pixel of one is beside that of the other; the third stands on the edge.
    row, column = np.array([310.4, 309.6, 300.0]), np.array([420.0, 420.6, 469.0])
    found = model_error(prf, WINDOW, row, column, np.array([100.0, 300.0, 50.0]))
    expected = np.zeros(WINDOW.shape)
    expected[10, 20] = 2.0
    expected[10, 21] = np.hypot(1.0, 6.0)
    expected[10, 22] = 3.0
    expected[0, 69] = 1.0
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_wings_of_few_stars_are_those_of_many(monkeypatch):
    """One by one and by Fourier transform; stars inside, beside and far from the window."""
    prf, (row, column, flux) = lopsided(), stars()
    row, column = np.append(row, [236.1, 413.9, 325.0]), np.append(column, [440.0, 336.2, 700.0])
    flux = np.append(flux, [1e6, 1e6, 1e6])
    few = wing_image(prf, WINDOW, row, column, flux)
    monkeypatch.setattr("tessphot_lib.prf.scene.FEW", 0)
    np.testing.assert_allclose(few, wing_image(prf, WINDOW, row, column, flux), rtol=1e-9)
    assert few.min() > 0
    without = replace(prf, wing_radius=np.zeros(0), wing_share=np.zeros(0))
    assert not wing_image(without, WINDOW, row, column, flux).any()


def test_only_stars_near_pixels_are_drawn():
    """Two patches of a field; their light is that of all stars."""
    prf, (row, column, flux) = lopsided(), stars(n=200)
    row, column = np.append(row, [np.nan, 305.0]), np.append(column, [440.0, -500.0])
    flux = np.append(flux, [1e6, 1e6])
    image = np.full(WINDOW.shape, np.nan)
    image[3:9, 5:12], image[40:, 60:] = 1.0, 1.0
    field = StarField(image, np.ones(WINDOW.shape), WINDOW, row, column, np.full(202, 12.0))
    there = np.isfinite(image)
    found = draw_stars(prf, field, flux)
    expected = scene_image(prf, WINDOW, row, column, np.where(np.isfinite(row), flux, 0.0))
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-9)
    near = field.stars_near_pixels(2)
    known = np.argwhere(there) + np.array([WINDOW.row0, WINDOW.column0])
    by_hand = [
        np.abs(known - np.floor(np.array(at) + 0.5)).max(axis=1).min() <= 2
        for at in zip(row, column, strict=True)
    ]
    np.testing.assert_array_equal(near, np.flatnonzero(by_hand))
    assert 5 < len(near) < 100
