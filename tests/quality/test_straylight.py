"""Stray light is told by the background where it is brightest, over the quiet sky."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.settings import FlagSettings
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.quality.straylight import brightest_level, has_straylight
from tessphot_lib.simulation.diffuse import diffuse_light, scattered_level


def test_stray_light():
    level = np.array([100.0, 90, 110, 95, 105, 100, 970, 1100, np.nan, 3000])
    # The quiet level is that of the darkest fifth, 98.
    assert np.flatnonzero(has_straylight(level, 10.0)).tolist() == [7, 9]
    assert np.flatnonzero(has_straylight(level, 9.8)).tolist() == [6, 7, 9]
    assert not has_straylight(np.full(3, np.nan), 10.0).any()
    # A dark sky (oversubtracted) does not make everything stray light:
    assert has_straylight(np.array([-3.0, 0.1, 5.0, 20.0]), 10.0).tolist() == [False] * 3 + [True]


@pytest.mark.parametrize("camera", [1, 2, 3, 4])
@pytest.mark.parametrize("ccd", [1, 2, 3, 4])
def test_scattered_light_from_any_side_is_told_by_its_strength(camera, ccd):
    """All images with over 10 times the sky at the brightest place, none below 3 times."""
    settings = SimulationSettings(scattered_every=40, scattered_images=30, n_images=200)
    ccd_id = CcdId(14, camera, ccd)
    mesh = Mesh.over(Window(), 64)
    at = 0.5 * (mesh.row_edges[:-1] + mesh.row_edges[1:] - 1)
    nodes = np.stack(
        [diffuse_light(ccd_id, index, index / 48, at, at, settings) for index in range(200)]
    )
    strength = np.array([scattered_level(ccd_id, index, settings) for index in range(200)])
    brightest = brightest_level(nodes, np.median(nodes, axis=(1, 2)))
    flagged = has_straylight(brightest, FlagSettings().straylight_factor)
    assert (strength > 10 * settings.sky_level).sum() > 5
    assert flagged[strength > 10 * settings.sky_level].all()
    assert not flagged[strength < 3 * settings.sky_level].any()


def test_brightest_level_by_hand():
    """A corner that always glows does not count; unknown images and cells do not either."""
    nodes = np.full((6, 2, 50), 100.0)
    nodes[:, 0, :10] = 400.0  # glow
    nodes[3, 1, 20:30] += 250.0
    nodes[4] = np.nan
    nodes[:, 1, 49] = np.nan
    level = np.array([100.0, 100.0, 100.0, 100.0, np.nan, 130.0])
    nodes[5] += 30.0
    np.testing.assert_allclose(brightest_level(nodes, level), [100, 100, 100, 350, np.nan, 130])
    assert np.isnan(brightest_level(np.full((2, 3, 3), np.nan), np.full(2, np.nan))).all()
