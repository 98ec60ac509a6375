"""What is left of the background between stars: known levels, stars in the way, missing pixels."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.photometry.left_background import LeftBackground, between_stars
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(389, 400, 1574, 1586)
STAR = np.array([392.4]), np.array([1578.8])


def scene(flux):
    return scene_image(generic_prf(), WINDOW, *STAR, np.array([flux]))


@pytest.mark.parametrize("level", [-5.0, 0.0, 0.7])
def test_level_between_stars(level):
    light = scene(9000.0)
    noise = np.random.default_rng(2).normal(0.0, 0.1, WINDOW.shape)
    average = (light + level + noise).astype(np.float32)
    average[0, 3] = np.nan
    found = between_stars(average, light)
    assert found.level == pytest.approx(level, abs=3 * found.error)
    assert found.error < 0.3
    assert found.cards()["BKGLEFT"][0] == pytest.approx(level, abs=3 * found.error)


def test_nothing_is_known_where_stars_are_everywhere():
    light = scene(9000.0)
    found = between_stars(light, light + 10)
    assert np.isnan(found.level)
    assert found.cards() == {}
    assert found.warning(9, 1000.0) is None


def test_it_is_told_where_it_is_clear_and_matters():
    assert "-5 e-/s per pixel are left" in LeftBackground(-5.0, 0.5).warning(10, 4000.0)
    assert LeftBackground(-5.0, 0.5).warning(10, 6000.0) is None
    assert LeftBackground(-5.0, 2.0).warning(10, 4000.0) is None
