"""What is left of the background between stars: known levels, stars in the way, missing pixels."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarFluxes
from tessphot_lib.core.patches import Patches
from tessphot_lib.core.settings import METHODS, HaloSettings, PhotometrySettings
from tessphot_lib.photometry.left_background import (
    FAINT,
    LeftBackground,
    between_stars,
    left_background,
    left_background_of,
    subtract_left_background,
)
from tessphot_lib.photometry.methods import measure_by_method
from tessphot_lib.photometry.targets import StarList
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


OUTER = Window(380, 400, 1574, 1640)
STAMPS = [Window(389, 400, 1574, 1586), Window(380, 389, 1600, 1608), Window(385, 396, 1629, 1640)]
SKY = 90.0


@pytest.fixture
def three_stamps(tmp_path):
    """Stamps with -6.0, 0.0 and 7.5 e-/s left in their pixels, and a star in each."""
    prf, rng = generic_prf(), np.random.default_rng(5)
    stars = pd.DataFrame({"row": [392.4, 384.7, 390.2], "column": [1578.8, 1603.2, 1634.9]})
    stars = stars.assign(tmag=[11.8, 12.1, 12.0])
    light = scene_image(
        prf, OUTER, stars["row"], stars["column"], 10 ** (0.4 * (prf.zeropoint - stars["tmag"]))
    )
    flux = np.full((3, *OUTER.shape), np.nan)
    for window, level in zip(STAMPS, (-6.0, 0.0, 7.5), strict=True):
        rows, columns = window.slices_in(OUTER)
        noise = rng.normal(0.0, 0.1, (3, *window.shape))
        flux[:, rows, columns] = light[rows, columns] + noise + level + SKY
    with open_cube(tmp_path, OUTER, flux, sky=SKY, patches=Patches.of(STAMPS)) as cube:
        yield cube, stars, prf, light


def test_what_is_left_in_each_stamp_becomes_background(three_stamps):
    cube, stars, prf, light = three_stamps
    found = subtract_left_background(cube, STAMPS, stars, prf)
    for window, level in zip(STAMPS, (-6.0, 0.0, 7.5), strict=True):
        left = left_background_of(found, cube, window)
        assert left.level == pytest.approx(level, abs=0.2)
        # Nothing is subtracted where nothing is seen.
        assert left.subtracted == (left.level if level else 0.0)
        assert left.cards()["BKGLFOFF"][0] == round(left.subtracted, 3)
        assert left.warning(9, 1.0) is None
        background = cube.background_in(window)
        np.testing.assert_allclose(background, SKY + left.subtracted, rtol=1e-6)
        expected = light[window.slices_in(OUTER)] + level - left.subtracted
        np.testing.assert_allclose(cube.average_image(window), expected, atol=0.4)
        assert left_background(cube, window, stars, prf).level == pytest.approx(0.0, abs=0.2)
    assert np.isnan(left_background_of(found, cube, Window(395, 398, 1620, 1623)).level)


def test_it_depends_on_no_other_stamp(three_stamps):
    cube, stars, prf, _ = three_stamps
    alone = subtract_left_background(cube, [Window(394, 395, 1636, 1637)], stars, prf)
    row, column = np.array([[390.0, 1634.0], [384.0, 1603.0]]).T
    here, near = Patches.of(STAMPS).part_at(row, column).tolist()
    assert set(alone) == {here, near}  # photometry may read pixels 45 pixels away, too
    assert alone[here].level == pytest.approx(7.5, abs=0.2)
    np.testing.assert_allclose(cube.background_in(STAMPS[0]), SKY)
    # What another call adds comes on top of it.
    subtract_left_background(cube, STAMPS, stars, prf)
    np.testing.assert_allclose(cube.background_in(STAMPS[0]), SKY - 6.0, atol=0.2)
    np.testing.assert_allclose(cube.background_in(STAMPS[2]), SKY + 7.5, atol=0.2)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_any_method_measures_as_if_it_had_always_been_background(tmp_path, method):
    """A star that dims by 10 % on a level of 4.0 e-/s per pixel that no background has."""
    prf, window, tmag = generic_prf(), Window(300, 331, 400, 427), 8.0
    star = pd.DataFrame({"tic_id": [5], "row": [315.3], "column": [412.8], "tmag": [tmag]})
    bright = 10 ** (0.4 * (prf.zeropoint - tmag))
    dims = np.where(np.arange(12) % 4 == 1, 0.9, 1.0)
    light = scene_image(prf, window, star["row"], star["column"], np.array([bright]))
    flux = light * dims[:, None, None] + 4.0 + SKY
    box = Window.around(315, 413, 3, window)
    aperture = Aperture(box, np.ones((7, 7), bool), light=ApertureLight(1.0, 1.0, np.zeros(5)))
    targets = StarList(star.assign(method=method), [aperture], star, prf)
    settings = PhotometrySettings(halo=HaloSettings(radius=10.0))
    results: list[StarFluxes] = []
    for name, sky, level in (("before", SKY, 0.0), ("after", SKY, 4.0), ("always", SKY + 4.0, 0.0)):
        (tmp_path / name).mkdir()
        with open_cube(tmp_path / name, window, flux, sky=sky, flux_err=3.0) as cube:
            cube.subtract_residual(np.array([level]))
            results.append(measure_by_method(cube, targets, None, settings))
    before, after, always = results
    assert after.notes[0].failure is None
    assert (after.notes[0].method or method) == method
    for array in ("flux", "flux_err", "background", "centroid_row", "centroid_column"):
        np.testing.assert_allclose(
            getattr(after, array), getattr(always, array), rtol=1e-5, err_msg=array
        )
    depth = [1 - one.flux[0, 1] / one.flux[0, 0] for one in (before, after)]
    assert depth[1] == pytest.approx(0.1, abs=1e-4)
    assert abs(depth[0] - 0.1) > 10 * abs(depth[1] - 0.1)
    n_pixels = (after.background - before.background) / 4.0
    np.testing.assert_allclose(n_pixels, np.round(n_pixels[0, 0]), rtol=1e-4)
    assert n_pixels[0, 0] > 20
