"""Backgrounds of patches: what is put in comes out, and patches stay small."""

import numpy as np
import pytest
from star_images import gaussian_star

from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.patches import MAX_SIDE, N_TERMS, Patches


def light(shape, *, seed=0, n_stars=0, faint=10.0):
    """Stars of a Gaussian PRF that nobody knows [e-/s]."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape)
    window = Window(0, shape[0], 0, shape[1])
    for _ in range(n_stars):
        at = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        flux = faint * rng.pareto(1.0) * 2 * np.pi * 0.9**2
        image += gaussian_star(window, *at, flux, 0.9)
    return image


def sky_of(window, n_images, *, gradient=0.0, straps=None):
    """A quiet sky of 150 e-/s, and scattered light of up to 1000 that rises over the patch."""
    level = np.where(np.arange(n_images) < 12, 1000 * np.exp(-np.arange(n_images) / 4), 0.0)
    rows, columns = np.indices(window.shape)
    slope = 1 + gradient * (rows / window.shape[0] - columns / window.shape[1])
    sky = 150 + level[:, None, None] * slope
    return sky * (1 if straps is None else 1 + np.asarray(straps))


def fit(window, sky, *, stars=0.0, starlight=None, noise=5.0, good=None, seed=1):
    flux = sky + stars + np.random.default_rng(seed).normal(0, noise, sky.shape)
    starlight = np.zeros(window.shape) if starlight is None else starlight
    good = np.ones(len(flux), dtype=bool) if good is None else good
    return fit_patch_background(flux.astype(np.float32), window, starlight, good)


def evaluated(window, model, straps):
    whole = Patches(window, [window], np.zeros(window.shape, dtype=np.int32), straps[None])
    return whole.evaluate(model[:, None], window)


@pytest.mark.parametrize(
    ("side", "n_stars"), [(3, 0), (8, 0), (8, 1), (15, 0), (15, 1), (45, 0), (45, 1)]
)
def test_level_and_scattered_light(side, n_stars):
    window = Window(100, 100 + side, 500, 500 + side + 1)
    sky = sky_of(window, 80, gradient=0.02 if side > 3 else 0.0)
    stars = n_stars * light(window.shape, seed=3, n_stars=1, faint=500.0)
    model, error, straps = fit(window, sky, stars=stars)
    found = evaluated(window, model, straps)
    # The level of a median of 80 images of 5 e-/s, from a tenth of the pixels.
    assert np.abs(np.median(found - sky)) < 1.0
    change = (found - found[-20:].mean(axis=0)) - (sky - sky[-20:].mean(axis=0))
    assert np.abs(change[:12]).mean() < 0.004 * 1000
    assert (error > 0).all()


def test_crowded_by_stars_that_nobody_knows():
    window = Window(100, 115, 500, 515)
    sky = sky_of(window, 60)
    levels = []
    for seed in range(12):
        stars = light(window.shape, seed=seed, n_stars=25)
        model, _, straps = fit(window, sky, stars=stars, seed=seed)
        levels.append(np.median(evaluated(window, model, straps) - sky))
        assert np.median(stars) > 2  # what a median would be wrong by
    assert abs(np.median(levels)) < 2.0


def test_rough_expectations_of_starlight_do_not_lower_the_sky():
    window = Window(100, 111, 500, 511)
    sky, stars = sky_of(window, 60), light(window.shape, seed=1, n_stars=1, faint=3000.0)
    model, _, straps = fit(window, sky, stars=stars, starlight=1.5 * stars)
    assert np.median(evaluated(window, model, straps) - sky) == pytest.approx(0, abs=1.0)


def test_straps_are_found_in_scattered_light():
    window = Window(100, 108, 500, 510)
    truth = np.zeros(10)
    truth[[3, 4]] = 0.04, 0.03
    sky = sky_of(window, 100, straps=truth)
    stars = np.zeros(window.shape)
    stars[4, 3] = 4000.0  # a bright one on the strap, which moves a little
    moving = stars * (1 + np.random.default_rng(0).normal(0, 0.01, 100))[:, None, None]
    model, _, straps = fit(window, sky, stars=moving)
    straps = straps - np.median(straps)
    np.testing.assert_allclose(straps, truth - np.median(truth), atol=0.012)
    found = evaluated(window, model, np.asarray(straps))
    bright = found[:4] - sky[:4]  # where it is 500 e-/s and more
    assert np.abs(bright).mean() < 0.006 * 700
    quiet = found[50] - sky[50]
    assert np.abs(quiet).max() < 3.0  # the quiet sky is brighter there, too: 6 e-/s


def test_without_scattered_light_there_are_no_straps():
    window = Window(100, 115, 500, 515)
    _, _, straps = fit(window, np.full((60, 15, 15), 150.0))
    assert np.abs(straps).max() < 0.02


def test_a_star_that_varies_a_little_does_not_change_the_background():
    """By 1 % in each image: of its brightest pixels little is believed, 2 % count as noise."""
    window = Window(100, 108, 500, 509)
    star = gaussian_star(window, 103, 505, 1e4)
    varying = 1 + 0.01 * np.where(np.arange(80) % 2, 1, -1)
    model, _, straps = fit(
        window, sky_of(window, 80), stars=varying[:, None, None] * star, noise=1.0
    )
    found = evaluated(window, model, straps)[20:].mean(axis=(1, 2))
    assert found[1::2].mean() - found[::2].mean() == pytest.approx(0.0, abs=0.5)


def test_bad_images_and_missing_pixels():
    window = Window(100, 109, 500, 509)
    sky = sky_of(window, 40)
    flux = sky + np.random.default_rng(0).normal(0, 5, sky.shape)
    flux[20] = np.nan  # no image
    flux[21, 2:] = np.nan  # only a part of it
    flux[22] += 300.0  # a strange one
    flux[:, 4, 4] = np.nan  # no such pixel
    flux[:, :, 8] = np.nan
    good = np.ones(40, dtype=bool)
    good[22] = False
    model, error, straps = fit_patch_background(
        flux.astype(np.float32), window, np.zeros((9, 9)), good
    )
    assert np.isnan(model[20]).all()
    assert np.isnan(error[20])
    off = np.median((evaluated(window, model, straps) - sky)[:, :2], axis=(1, 2))
    assert off[22] == pytest.approx(300, abs=3)
    assert np.abs(np.delete(off, [20, 22])).max() < 5


def test_nothing_there():
    window = Window(100, 104, 500, 504)
    empty = np.full((5, 4, 4), np.nan, dtype=np.float32)
    model, error, straps = fit_patch_background(empty, window, np.zeros((4, 4)), np.ones(5, bool))
    assert np.isnan(model).all()
    assert np.isnan(error).all()
    assert not straps.any()


def test_fitting_in_parts_makes_no_difference(monkeypatch):
    window = Window(100, 109, 500, 512)
    sky = sky_of(window, 50, gradient=0.05)
    whole = fit(window, sky)
    monkeypatch.setattr("tessphot_lib.background.patch_fit.AT_ONCE", 1000)
    for one, other in zip(fit(window, sky), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


# -- which pixels make a patch ------------------------------------------------------------------


def test_windows_that_overlap_or_touch_are_one_patch():
    patches = Patches.of(
        [
            Window(10, 20, 10, 20),
            Window(15, 25, 18, 28),
            Window(40, 50, 10, 20),
            Window(25, 30, 18, 20),
        ]
    )
    assert patches.window == Window(10, 50, 10, 28)
    assert patches.windows == [Window(10, 30, 10, 28), Window(40, 50, 10, 20)]
    assert patches.part_at(
        np.array([12.0, 27, 29, 41, 30.6, np.nan]), np.array([12.0, 27, 11, 11, 18, 3])
    ).tolist() == [
        0,
        -1,
        -1,
        1,
        -1,
        -1,
    ]
    counted = np.bincount(patches.index[patches.index >= 0])
    assert counted.tolist() == [100 + 100 - 5 * 2 + 5 * 2, 100]


def test_a_position_on_the_first_border_is_on_the_patch():
    """Half a pixel rounds to the even neighbor in Python, here one before the first row."""
    patches = Patches.of([Window(11, 20, 31, 45), Window(21, 30, 50, 55)])
    assert patches.part_at(np.array([10.5, 15]), np.array([31.0, 30.5])).tolist() == [0, 0]


def test_long_chains_are_divided():
    """Cutouts that hang together over the whole CCD do not become one patch of the whole CCD."""
    windows = [Window(10 * k, 10 * k + 15, 10 * k, 10 * k + 15) for k in range(200)]
    patches = Patches.of(windows)
    assert max(max(one.shape) for one in patches.windows) <= MAX_SIDE + 15
    assert len(patches.windows) > 10
    covered = np.zeros(patches.window.shape, dtype=bool)
    for one in windows:
        covered[one.slices_in(patches.window)] = True
    np.testing.assert_array_equal(patches.index >= 0, covered)
    for number, box in enumerate(patches.windows):
        rows, columns = np.nonzero(patches.index == number)
        assert box.contains(rows, columns).all()


def test_a_pixel_of_two_patches_is_that_of_the_first():
    """Two cutouts that overlap, and lie too far apart for one patch."""
    patches = Patches.of([Window(0, 100, 0, 30), Window(90, 190, 5, 40)])
    assert patches.windows == [Window(0, 100, 0, 30), Window(90, 190, 5, 40)]
    assert (patches.index[90:100, 5:30] == 0).all()
    assert (patches.index[90:100, 30:40] == 1).all()
    at = np.array([95.0, 95.0, 100.0]), np.array([10.0, 35.0, 10.0])
    assert patches.part_at(*at).tolist() == [0, 1, 1]


def test_a_large_cutout_stays_whole():
    assert Patches.of([Window(0, 300, 0, 200)]).windows == [Window(0, 300, 0, 200)]


def test_evaluating_parts_and_points():
    patches = Patches.of([Window(10, 20, 30, 45), Window(40, 50, 60, 71)])
    patches = Patches(
        patches.window,
        patches.windows,
        patches.index,
        np.random.default_rng(2).normal(0, 0.02, (2, 15)),
    )
    model = np.random.default_rng(0).normal(0, 10, (7, 2, N_TERMS))
    whole = patches.evaluate(model, patches.window)
    region = Window(15, 45, 35, 66)
    np.testing.assert_array_equal(
        patches.evaluate(model, region), whole[(slice(None), *region.slices_in(patches.window))]
    )
    row, column = np.array([12.0, 45, 30]), np.array([33.0, 70, 33])
    at = patches.evaluate_at(model, row, column)
    np.testing.assert_allclose(at[:, 0], whole[:, 2, 3])
    np.testing.assert_allclose(at[:, 1], whole[:, 35, 40])
    assert np.isnan(at[:, 2]).all()
