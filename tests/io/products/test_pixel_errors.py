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
