"""Extended light of a mean image: found between stars and under them, and nowhere else."""

import numpy as np
import pytest
from star_images import gaussian_star

from tessphot_lib.background.static_light import static_light, static_light_error
from tessphot_lib.core.geometry import Window

SHAPE = (150, 190)
ROW, COLUMN = np.indices(SHAPE)


def stars(seed, n_stars, faintest=1.5, brightest=4.0):
    rng = np.random.default_rng(seed)
    light = np.zeros(SHAPE)
    for row, column in rng.uniform([0, 0], SHAPE, size=(n_stars, 2)):
        flux = 10 ** rng.uniform(faintest, brightest)
        light += gaussian_star(Window(0, 150, 0, 190), row, column, flux)
    return light


@pytest.fixture(scope="module")
def field():
    """Known stars, and a mean image of them with noise and unknown stars."""
    known = stars(1, 120)
    noise = np.random.default_rng(2).normal(0, 0.08, SHAPE)
    return known, known + noise + stars(3, 400, 0.0, 1.0)


def test_there_is_none_in_a_field_of_stars(field):
    known, image = field
    assert not static_light(image - np.median(image[known < 1]), known).any()
    # Nor are stars that the catalog lacks, or has a tenth of a magnitude off.
    assert not static_light(1.1 * known + stars(5, 3, 3.9, 4.2), known).any()


def test_wings_that_the_prf_has_wrong_are_no_extended_light(field):
    known, image = field
    distance = np.hypot(ROW - 60, COLUMN - 90)
    wings = 3e5 * (1 + distance**2) ** -1.5
    assert not static_light(image + 1.2 * wings, known + wings).any()


@pytest.mark.parametrize(("scale", "hidden"), [(5.0, 25.0), (12.0, 8.0)])
def test_galaxy_is_found_under_its_stars(field, scale, hidden):
    known, image = field
    galaxy = 200 * np.exp(-0.5 * (np.hypot(ROW - 80, COLUMN - 70) / scale) ** 2)
    found = static_light(image + galaxy, known)
    bright = galaxy > 20
    error = (found - galaxy)[bright]
    assert np.abs(np.median(error)) < 2.0
    assert np.sqrt(np.mean((error / 200) ** 2)) < 0.06
    under = bright & (known > 100)
    assert under.sum() > 2
    assert np.abs(np.median((found - galaxy)[under])) < hidden
    assert np.abs(found[np.hypot(ROW - 80, COLUMN - 70) > 6 * scale + 20]).max(initial=0) < 1.5


def test_unknown_pixels_do_not_matter(field):
    known, image = field
    galaxy = 200 * np.exp(-0.5 * (np.hypot(ROW - 80, COLUMN - 70) / 12) ** 2)
    image = np.where((np.abs(ROW - 80) < 2) & (np.abs(COLUMN - 75) < 2), np.nan, image + galaxy)
    found = static_light(image, known)
    assert np.isfinite(found).all()
    assert found[80, 75] == pytest.approx(galaxy[80, 75], rel=0.1)
    assert not static_light(np.full(SHAPE, np.nan), known).any()


def test_tiles_do_not_matter(field, monkeypatch):
    known, image = field
    image = image + 200 * np.exp(-0.5 * (np.hypot(ROW - 64, COLUMN - 130) / 9) ** 2)
    whole = static_light(image, known)
    assert whole.any()
    monkeypatch.setattr("tessphot_lib.background.static_light.TILE", 64)
    np.testing.assert_allclose(static_light(image, known), whole, atol=1e-3)


def inside(margin):
    return (np.minimum(ROW, 149 - ROW) > margin) & (np.minimum(COLUMN, 189 - COLUMN) > margin)


def test_rugged_light_under_stars_is_known_to_its_stated_error(field):
    """Clouds of 20 pixels from summit to summit, of which an average is too low."""
    known, image = field
    clouds = 300 * (1.5 + np.sin(2 * np.pi * ROW / 20) * np.sin(2 * np.pi * COLUMN / 23))
    found = static_light(image + clouds, known)
    under = (known > 30) & (known < 3000) & inside(8)
    off, stated = (found - clouds)[under], static_light_error(found)[under]
    assert under.sum() > 300
    assert np.sqrt(np.mean(off**2)) < 8.0
    # Unknown stars make the rest of it.
    assert np.mean(np.abs(off) < np.hypot(stated, 0.5)) > 0.7
    assert np.median(stated) < 12.0


def test_light_is_known_where_the_smooth_sky_has_its_mean(field):
    """What the background of a mesh took off leaves light of both signs, and lines without any."""
    known, image = field
    clouds = 40 * np.sin(2 * np.pi * ROW / 60) * np.sin(2 * np.pi * COLUMN / 50)
    found = static_light(image + clouds, known)
    faint = (np.abs(clouds) < 2) & (known < 3) & inside(8)
    assert np.sqrt(np.mean((found - clouds)[faint] ** 2)) < 1.0


def test_wings_of_stars_that_the_model_lacks_are_no_light_of_a_smooth_nebula(field):
    known, image = field
    slope = 0.5 * ROW + 0.2 * COLUMN + 30.0
    found = static_light(image + slope + 0.1 * known, known)
    bright = (known > 300) & inside(4)
    assert np.median((found - slope)[bright]) < 3.0


def test_static_light_that_hardly_changes_has_no_error():
    assert not static_light_error(np.zeros(SHAPE)).any()
    assert static_light_error(2.0 * ROW + 70.0).max() < 1e-2
