"""Fluxes of a cube with their errors, as stated or as measured."""

import numpy as np
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel

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
