"""Fluxes of a cube with their errors, as stated or as measured."""

import numpy as np
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import Patches

WINDOW = Window(300, 308, 400, 412)
PART, CADENCES = Window(302, 305, 403, 410), slice(1, 4)
FLUX = np.random.default_rng(1).uniform(50.0, 900.0, (5, *WINDOW.shape)).astype(np.float32)


@pytest.mark.parametrize("source", [None, "images", "pixels"])
def test_fluxes_and_errors_are_those_read_one_by_one(tmp_path, monkeypatch, source):
    noise = None if source is None else NoiseModel((0.04, 0.01, 0.09, 0.16), 6e-4, source)
    attributes = {} if noise is None else {"noise": noise.to_json()}
    stated = np.sqrt(0.04 + 5e-4 * FLUX)
    with open_cube(tmp_path, WINDOW, FLUX, flux_err=stated, attributes=attributes) as cube:
        expected = [cube.read(name, PART, CADENCES) for name in ("flux", "flux_err")]
        whole = cube.read("flux_err")
        read, stored = [], cube._stored
        monkeypatch.setattr(
            cube, "_stored", lambda name, *of: read.append(name) or stored(name, *of)
        )
        found = cube.read_with_errors(PART, CADENCES)
        assert sorted(read) == ["flux", "flux_err"]  # each once
        np.testing.assert_array_equal(cube.read_with_errors()[1], whole)
        none = cube.read_used(PART, np.array([3, 1]), slice(2, 2))
        assert [one.shape for one in none] == [(2, 0)] * 4
    np.testing.assert_array_equal(found, expected)
    assert found[0].shape == (3, *PART.shape)
    true = stated if source in (None, "images") else noise.sigma(FLUX, WINDOW)
    np.testing.assert_allclose(found[1], true[CADENCES, 2:5, 3:10], rtol=1 / 256)


@pytest.mark.parametrize("source", [None, "images", "pixels"])
@pytest.mark.parametrize("is_lit", [False, True])
def test_used_pixels_are_those_of_their_region(tmp_path, source, is_lit):
    """At the border of two outputs, of pixels that are not in order, with extended light or not."""
    window, rng = Window(300, 308, 506, 518), np.random.default_rng(2)
    noise = None if source is None else NoiseModel((0.04, 9.0, 0.09, 0.16), 6e-4, source)
    more = {"attributes": {} if noise is None else {"noise": noise.to_json()}}
    more["pixel_flags"] = rng.integers(0, 4, FLUX.shape).astype(np.uint8)
    more["motion"] = rng.normal(0, 0.1, (5, 6)) * [1, 0, 0, 1, 0, 0]
    if is_lit:
        more["static_light"] = rng.uniform(0, 50, window.shape)
    part, used = Window(302, 306, 508, 517), np.array([30, 2, 17, 3])
    with open_cube(tmp_path, window, FLUX, sky=np.arange(5.0), **more) as cube:
        flux, flux_err, background, flags = cube.read_used(part, used, CADENCES)
        expected = *cube.read_with_errors(part, CADENCES), cube.background_in(part, CADENCES)
        expected += (cube.read("pixel_flags", part, CADENCES),)
    for found, whole in zip((flux, flux_err, background, flags), expected, strict=True):
        assert found.dtype == whole.dtype
        np.testing.assert_array_equal(found, whole.reshape(3, -1)[:, used].T)


@pytest.mark.parametrize("source", [None, "images", "pixels"])
def test_errors_of_the_model_alone_are_not_read(tmp_path, source):
    noise = None if source is None else NoiseModel((0.04, 9.0, 0.09, 0.16), 6e-4, source)
    attributes = {} if noise is None else {"noise": noise.to_json()}
    used = np.array([5, 3])
    with open_cube(tmp_path, WINDOW, FLUX, flux_err=3.0, attributes=attributes) as cube:
        flux, flux_err, *_ = cube.read_used(WINDOW, used, with_stated=False)
    whole = np.full(FLUX.shape, 3.0) if noise is None else noise.sigma(FLUX, WINDOW)
    np.testing.assert_allclose(flux_err, whole[:, 0, used].T, rtol=1 / 256)
    np.testing.assert_array_equal(flux, FLUX[:, 0, used].T)


STARTS, COUNTS = np.array([0, 3, 4]), np.array([True, False, True, False, True, True, True])
RUNS = [np.array([0, 2]), np.zeros(0, dtype=int), np.array([4, 5, 6])]  # images that are in means


@pytest.fixture
def seven():
    """Seven images, of which two lack a pixel; in one it counts, of the last run it lacks all."""
    flux = np.random.default_rng(4).uniform(90.0, 95.0, (7, *WINDOW.shape)).astype(np.float32)
    flux[2, 3, 5] = flux[4:, 4, 4] = np.nan
    return flux


def means_of(values):
    """Means of the runs, image by image."""
    means = np.full((len(RUNS), *values.shape[1:]), np.nan)
    for number, images in enumerate(RUNS):
        known = np.isfinite(values[images])
        total = np.where(known, values[images], 0.0).sum(axis=0)
        np.divide(total, known.sum(axis=0), out=means[number], where=known.any(axis=0))
    return means


@pytest.mark.parametrize("source", [None, "images", "pixels"])
def test_means_of_runs_are_those_of_the_images_that_count(tmp_path, seven, source):
    noise = None if source is None else NoiseModel((0.04, 9.0, 0.09, 0.16), 6e-4, source)
    attributes = {} if noise is None else {"noise": noise.to_json()}
    every = np.concatenate([seven[:1] + 50, seven])  # the first image is not asked for
    stated = 1.3 * NoiseModel((0.04, 9.0, 0.09, 0.16), 6e-4, "formula").sigma(every, WINDOW)
    with open_cube(tmp_path, WINDOW, every, flux_err=stated, attributes=attributes) as cube:
        flux, error = cube.read_means(PART, slice(1, 8), STARTS, COUNTS)
        single = cube.read("flux_err", PART, slice(1, 8))
    part = seven[:, 2:5, 3:10]
    numbers = np.array([np.isfinite(part[images]).sum(axis=0) for images in RUNS])
    np.testing.assert_allclose(flux, means_of(part), rtol=1e-6)
    expected = means_of(single) / np.sqrt(np.where(numbers, numbers, np.nan))
    np.testing.assert_allclose(error, expected, rtol=0.01)


@pytest.mark.parametrize("kind", ["mesh", "static light", "patches"])
def test_means_of_backgrounds_are_those_of_the_images_that_count(tmp_path, seven, kind):
    """Of patches also beside them, and where two are in a region."""
    rng = np.random.default_rng(6)
    more = {
        "sky": np.array([90.0, 5, 20, 30, np.nan, 50, 70]),
        "motion": rng.normal(0, 0.1, (7, 6)),
    }
    if kind == "static light":
        more["static_light"] = rng.uniform(0, 50, WINDOW.shape)
    if kind == "patches":
        halves = [Window(300, 308, 400, 405), Window(300, 304, 406, 412)]
        more["patches"] = Patches.of([*halves, Window(306, 308, 410, 412)])
    with open_cube(tmp_path, WINDOW, seven, **more) as cube:
        means = cube.mean_background_in(PART, slice(None), STARTS, COUNTS)
        expected = means_of(cube.background_in(PART))
    assert np.isfinite(means[2]).any() and not np.isfinite(means[1]).any()
    np.testing.assert_allclose(means, expected, rtol=1e-9)
