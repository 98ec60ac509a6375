"""Images without any star against eclipses, however deep, in stamps with stars of known light."""

import numpy as np
import pytest

from tessphot_lib.quality.vanished_stars import contrast, is_dark, lacks_light

N_IMAGES, SHAPE = 120, (11, 13)  # not square
STAR, NEIGHBOR = (6.3, 5.6), (2.1, 8.4)
SKY, NOISE = 150.0, 2.0
AT = slice(40, 43)  # images that are changed
EVER = np.ones(N_IMAGES, dtype=bool)


def images(star, neighbor=0.0, sky=None, seed=1):
    """A star and its neighbor, of a flux [e-/s] in each image or in all, in noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(SHAPE)
    flux = rng.normal(0, NOISE, (N_IMAGES, *SHAPE))
    flux += np.broadcast_to(SKY if sky is None else sky, N_IMAGES)[:, None, None]
    for light, (row, column) in ((star, STAR), (neighbor, NEIGHBOR)):
        shape = np.exp(-0.5 * ((rows - row) ** 2 + (columns - column) ** 2) / 0.8**2)
        light = np.broadcast_to(light, N_IMAGES)[:, None, None]
        flux += light * shape / (2 * np.pi * 0.8**2)
    return flux


def changed(value, usual):
    """``usual`` but in the images of `AT`."""
    series = np.full(N_IMAGES, float(usual))
    series[AT] = value
    return series


def flagged(flux, sky=None):
    sky = np.broadcast_to(SKY if sky is None else sky, N_IMAGES)
    return np.flatnonzero(lacks_light(contrast(flux), EVER, sky)[0]).tolist()


def with_row_pattern(flux, size=60.0):
    """The read-out's pattern of whole rows in the changed images."""
    rng = np.random.default_rng(9)
    flux[AT] += rng.normal(0, size, (3, SHAPE[0], 1))
    return flux


@pytest.mark.parametrize("neighbor", [0.0, 300.0])
@pytest.mark.parametrize("light", [800.0, 5e3, 3e5])
def test_images_without_any_star(light, neighbor):
    sky = changed([40.0, -90.0, 10.0], SKY)
    flux = images(changed(0, light), changed(0, neighbor), sky)
    assert flagged(with_row_pattern(flux), sky) == [40, 41, 42]


def test_bright_star_without_light_is_gone_whatever_the_sky():
    assert flagged(images(changed(0, 5e3))) == [40, 41, 42]


@pytest.mark.parametrize("light", [800.0, 5e3, 3e5])
@pytest.mark.parametrize("left", [0.15, 0.3, 20.0])
def test_deep_eclipse_or_outburst_of_a_star_without_neighbors(light, left):
    assert flagged(images(changed(left * light, light))) == []


@pytest.mark.parametrize("light", [800.0, 5e3, 3e5])
def test_totality_with_a_faint_neighbor_still_there(light):
    assert flagged(images(changed(0, light), 300.0)) == []


def test_faint_star_in_totality_is_not_told_from_noise_by_its_light_alone():
    faint = images(changed(0, 150.0))
    assert flagged(faint) == []
    dark = changed(20.0, SKY)
    assert flagged(images(changed(0, 400.0), sky=dark), dark) == [40, 41, 42]


def test_images_without_data_and_stamps_without_stars():
    flux = images(changed(0, 5e3))
    flux[41] = np.nan
    assert flagged(flux) == [40, 42]
    assert flagged(images(0.0)) == []
    assert flagged(np.zeros((N_IMAGES, *SHAPE))) == []
    assert flagged(np.full((N_IMAGES, *SHAPE), np.nan)) == []
    assert flagged(flux[:, :, :3]) == []  # too narrow to compare with pixels beside


def test_what_is_usual_is_told_by_good_images_only():
    """Bad ones may be most: of a sector without light, but for a few images."""
    flux = images(np.where(np.arange(N_IMAGES) < 30, 5e3, 0.0))
    good = (np.arange(N_IMAGES) < 33) & (np.arange(N_IMAGES) != 5)
    lacks, _ = lacks_light(contrast(flux), good, np.full(N_IMAGES, SKY))
    assert np.flatnonzero(lacks).tolist() == list(range(30, N_IMAGES))


def test_light_that_is_turned_over_is_not_gone():
    """As where a dark was taken off that had the star in it."""
    assert flagged(images(changed([-2500.0, -5e3, 0.0], 5e3))) == [42]


def test_image_whose_noise_hides_the_star_is_not_judged():
    flux = images(changed(0, 5e3))
    flux[40:42] += np.random.default_rng(7).normal(0, 4e3, (2, *SHAPE))
    lacks, is_judged = lacks_light(contrast(flux), EVER, changed(20.0, SKY))
    assert np.flatnonzero(~is_judged).tolist() == [40, 41]
    assert np.flatnonzero(lacks).tolist() == [42]


def test_half_eclipsed_faint_star_in_the_dark_is_there():
    dark = changed(20.0, SKY)
    assert flagged(images(changed(250.0, 400.0), sky=dark), dark) == []


def test_missing_pixels_hide_nothing():
    flux = images(changed(0, 5e3))
    flux[:, 2, 3] = np.nan
    flux[40, 6, 5] = np.nan
    assert flagged(flux) == [41, 42]


def test_too_few_images_tell_nothing():
    lacks, is_judged = lacks_light(
        contrast(images(changed(0, 5e3))), np.arange(N_IMAGES) < 9, np.full(N_IMAGES, SKY)
    )
    assert not lacks.any()
    assert not is_judged.any()


def test_contrast_is_that_with_the_pixels_of_the_row():
    flux = np.zeros((1, 2, 5))
    flux[0, 1] = 7.0, 1.0, 20.0, 1.0, 9.0
    assert contrast(flux).tolist() == [[0.0, 12.0]]
    assert contrast(flux + np.array([[5.0], [-3.0]])).tolist() == [[0.0, 12.0]]  # of whole rows


def test_sky_that_is_dark():
    sky = changed([np.nan, 70.0, 80.0], SKY)
    assert np.flatnonzero(is_dark(sky, np.arange(N_IMAGES) < 40)).tolist() == [41]
    assert not is_dark(sky - SKY, EVER).any()  # taken off
    assert not is_dark(sky, ~EVER).any()
