"""Circular apertures: areas, light and errors that are known."""

import numpy as np
import pytest

from tessphot_lib.aperture.circles import circle_light, circle_weights, is_whole
from tessphot_lib.core.geometry import Window

WINDOW = Window(100, 109, 40, 52)  # not square


@pytest.mark.parametrize("radius", [0.3, 1.5, 3.5])
@pytest.mark.parametrize(("row", "column"), [(104.0, 46.0), (103.7, 47.2)])
def test_area_and_middle_are_those_of_the_circle(row, column, radius):
    weights = circle_weights(WINDOW, row, column, radius)
    assert weights.shape == WINDOW.shape
    assert weights.min() >= 0
    assert weights.max() <= 1 + 1e-12
    assert weights.sum() == pytest.approx(np.pi * radius**2, rel=1e-9)
    assert is_whole(weights, radius)
    moved = circle_weights(WINDOW, row + 1, column - 2, radius)
    np.testing.assert_allclose(moved[1:, :-2], weights[:-1, 2:], atol=1e-12)


def test_by_hand():
    # A circle of radius 0.5 on the corner of four pixels; one of 1.5 around the middle of a pixel
    # holds it wholly and its four neighbors nearly.
    quarter = circle_weights(WINDOW, 103.5, 45.5, 0.5)
    assert quarter[3:5, 5:7] == pytest.approx(np.pi * 0.25 / 4)
    around = circle_weights(WINDOW, 104.0, 46.0, 1.5)
    assert around[4, 6] == 1
    assert around[3, 6] == around[5, 6] == around[4, 5] == pytest.approx(around[4, 7])
    assert 0.9 < around[4, 7] < 1
    assert around[3, 5] == pytest.approx((np.pi * 2.25 - 1 - 4 * around[4, 7]) / 4)


def test_a_circle_over_the_edge_is_not_whole():
    weights = circle_weights(WINDOW, 100.0, 46.0, 1.5)
    assert weights.sum() < 0.9 * np.pi * 2.25
    assert not is_whole(weights, 1.5)


def test_light_of_two_stars():
    own = np.zeros(WINDOW.shape)
    own[4, 6], own[4, 8] = 0.75, 0.25
    images = np.zeros((6, *WINDOW.shape))
    images[0] = 1000 * own
    images[0, 3, 6] = 300.0  # another star's
    images[2, 4, 6] = -7.0
    weights = circle_weights(WINDOW, 104.0, 46.0, 1.5)
    beside = weights[3, 6]
    light = circle_light(weights, own, 1000.0, images)
    assert light.flfrcsap == pytest.approx(0.75)
    assert light.crowdsap == pytest.approx(750 / (750 + 300 * beside))
    assert light.motion.tolist() == [0, -7.0, 0, 0, 0]
    expected = 750 + 300 * beside
    for held, part in ((0.4 * expected, 0.4), (2 * expected, 1.0), (-1.0, 0.0), (np.nan, 1.0)):
        some = circle_light(weights, own, 1000.0, images, held=held)
        assert some.motion.tolist() == pytest.approx([0, -7.0 * part, 0, 0, 0])
        assert some.crowdsap == light.crowdsap
    full = circle_light(weights, own, 1000.0, images, is_saturated=True)
    assert (full.motion == 0).all()
    assert np.isnan(circle_light(weights, 0 * own, 0.0, 0 * images).crowdsap)
