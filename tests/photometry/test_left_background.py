"""What is left of the background between stars: known levels, stars in the way, missing pixels."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.geometry import Window
from tessphot_lib.photometry.left_background import (
    FAINT,
    LeftBackground,
    between_stars,
    left_background,
)
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
    found = between_stars(average, light, light)
    assert found.level == pytest.approx(level, abs=3 * found.error)
    assert found.error < 0.3
    assert found.cards()["BKGLEFT"][0] == pytest.approx(level, abs=3 * found.error)


def test_nothing_is_known_where_stars_are_everywhere():
    light = scene(9000.0)[:3, :6]  # a quarter of them are too few
    found = between_stars(light, light + 10, light)
    assert np.isnan(found.level)
    assert found.cards() == {}
    assert found.warning(9, 1000.0) is None


def test_it_is_told_where_it_is_clear_and_matters():
    assert "-5 e-/s per pixel are left" in LeftBackground(-5.0, 0.5).warning(10, 4000.0)
    assert LeftBackground(-5.0, 0.5).warning(10, 6000.0) is None
    assert LeftBackground(-5.0, 2.0).warning(10, 4000.0) is None


def test_its_error_is_that_of_the_median_and_of_the_light_of_stars():
    noise = np.random.default_rng(3).normal(0.0, 0.3, (60, 50))
    dark = np.zeros(noise.shape)
    found = between_stars(noise, dark, dark)
    assert found.error == pytest.approx(0.3 * np.sqrt(np.pi / 2 / noise.size), rel=0.05)
    # The PRF is wrong by a fifth of what stars give there.
    assert between_stars(noise, dark + 2.0, dark).error == pytest.approx(0.4, rel=0.01)
    few = np.where(np.arange(noise.size).reshape(noise.shape) < 7, noise, np.nan)
    assert np.isnan(between_stars(few, dark, dark).level)


@pytest.mark.parametrize("level", [-6.0, 7.0])
def test_it_is_seen_in_a_crowd(tmp_path, level):
    """A star in every second pixel, to Tmag 18, with magnitudes good to 0.1."""
    rng, prf = np.random.default_rng(6), generic_prf()
    n = 1_500
    stars = pd.DataFrame(
        {
            "row": rng.uniform(WINDOW.row0 - 20, WINDOW.row1 + 20, n),
            "column": rng.uniform(WINDOW.column0 - 20, WINDOW.column1 + 20, n),
            "tmag": np.maximum(18 + np.log10(rng.uniform(size=n)) / 0.3, 10.5),
        }
    )
    flux = 10 ** (0.4 * (prf.zeropoint - stars["tmag"] + rng.normal(0, 0.1, n)))
    light = scene_image(prf, WINDOW, stars["row"], stars["column"], flux)
    assert light.min() > FAINT
    noise = rng.normal(0.0, 0.1, (3, *WINDOW.shape))
    with open_cube(tmp_path, WINDOW, light + level + noise) as cube:
        found = left_background(cube, Window(391, 398, 1576, 1584), stars, prf)
    assert found.level == pytest.approx(level, abs=2 * found.error)
    assert 0.3 < found.error < abs(level) / 3


def test_a_bright_star_alone_is_no_crowd(tmp_path):
    """Its light reaches all pixels, and nobody knows the PRF so well."""
    prf, tmag = generic_prf(), 7.0
    stars = pd.DataFrame({"row": STAR[0], "column": STAR[1], "tmag": [tmag]})
    light = scene(1.1 * 10 ** (0.4 * (prf.zeropoint - tmag)))
    with open_cube(tmp_path, WINDOW, np.stack([light] * 3)) as cube:
        found = left_background(cube, WINDOW, stars, prf)
    assert 0 < found.level < found.error


def test_it_is_seen_beside_the_stamp_and_without_the_light_of_stars_beyond_the_pixels(tmp_path):
    stars = pd.DataFrame(
        {
            "row": [392.4, 395.0, 397.0],
            "column": [1578.8, 1590.2, 1580.0],
            "tmag": [10.6, 8.9, np.nan],
        }
    )
    prf = generic_prf()
    flux = 10 ** (0.4 * (prf.zeropoint - stars["tmag"].to_numpy()[:2]))
    light = scene_image(prf, WINDOW, stars["row"][:2], stars["column"][:2], flux)
    noise = np.random.default_rng(4).normal(0.0, 0.1, (3, *WINDOW.shape))
    with open_cube(tmp_path, WINDOW, light - 6.0 + noise) as cube:
        found = left_background(cube, Window(391, 394, 1577, 1581), stars, prf)
    assert found.level == pytest.approx(-6.0, abs=0.2)
    assert 0 < found.error < 1
