"""Starlight in the backgrounds: what known stars add to clipped means, and unknown ones lack."""

import numpy as np
import pytest

from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.background.starlight import starlight_offset
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh, evaluate_background

WINDOW = Window(100, 292, 500, 756)  # not square
MESH = Mesh.over(WINDOW, 64)
ROW, COLUMN = np.indices(WINDOW.shape)


def offset_of(average, stars, error=1.0):
    sampler = SkySampler.from_mask(MESH, np.zeros(WINDOW.shape, dtype=bool))
    errors = np.full(MESH.shape, error) / np.sqrt(sampler.counts.reshape(MESH.shape))
    nodes = starlight_offset(average, stars, sampler, errors)
    assert nodes.shape == MESH.shape
    return evaluate_background(nodes, MESH, WINDOW)


def test_wings_of_known_stars_are_too_much_in_the_background():
    wings = 2.0 + 0.01 * ROW - 0.005 * COLUMN
    offset = offset_of(30.0 + wings, wings)
    np.testing.assert_allclose(offset, wings, atol=0.1)
    assert (offset - wings).mean() == pytest.approx(0.0, abs=0.02)


def test_light_of_unknown_stars_is_missing_in_the_background():
    """At 4 sigma a clip at 3 sigma leaves it out, and the wider one of 5 does not."""
    average = np.full(WINDOW.shape, 30.0)
    average[(ROW % 10 == 3) & (COLUMN % 10 == 7)] += 4.0
    offset = offset_of(average, np.zeros(WINDOW.shape))
    assert -0.04 < offset.mean() < -0.015  # of 0.04 on average


def test_without_stars_there_is_nothing_to_correct():
    offset = offset_of(np.full(WINDOW.shape, 30.0), np.zeros(WINDOW.shape))
    assert offset == pytest.approx(0.0, abs=0.1)
    nothing = np.full(WINDOW.shape, np.nan)
    assert (offset_of(nothing, np.zeros(WINDOW.shape)) == 0).all()
