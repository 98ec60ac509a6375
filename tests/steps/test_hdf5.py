"""Step `hdf5`: what is decided from all images of a sector together."""

import numpy as np
import pytest

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.steps.hdf5 import _set_motion, _smooth, cadence_seconds

MESH = Mesh.over(Window(0, 192, 0, 128), 64)


def images(n_images=12, level=100.0):
    rng = np.random.default_rng(2)
    return {
        "time": 1683.0 + np.arange(n_images) / 48,
        "quality": np.zeros(n_images, dtype=np.int32),
        "background": level + rng.normal(0, 0.01, (n_images, 3, 2)),
        "background_error": np.full((n_images, 3, 2), 0.3),
    }


def test_errors_shrink_with_the_number_of_images_averaged():
    table = images()
    before = table["background"].copy()
    _smooth(table, 2.6, 32, MESH)  # two on each side
    np.testing.assert_allclose(table["background"][5], before[3:8].mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(table["background_error"][5], 0.3 / np.sqrt(5), rtol=1e-3)
    np.testing.assert_allclose(table["background_error"][0], 0.3 / np.sqrt(3), rtol=1e-3)


def test_bad_images_keep_their_own_background_and_error():
    table = images()
    table["quality"][5] = 32
    table["background"][5] += 0.2
    before = table["background"].copy()
    _smooth(table, 2.6, 32, MESH)
    np.testing.assert_allclose(table["background"][5], before[5], rtol=1e-6)
    np.testing.assert_allclose(table["background_error"][5], 0.3, rtol=1e-6)
    np.testing.assert_allclose(table["background"][6], before[[4, 6, 7, 8]].mean(axis=0), atol=1e-4)


def test_images_are_flagged_by_the_motion_that_they_get():
    """Motion from pixels replaces that from stars, also where it is not known."""
    unknown = int(CadenceFlag.NO_MOTION)
    table = {"quality": np.array([unknown, 0, 32, unknown | 32], dtype=np.int32)}
    motion = np.zeros((4, 6))
    motion[[1, 2], 0] = np.nan
    _set_motion(table, motion, np.full(4, 1e-3))
    assert table["quality"].tolist() == [0, unknown, unknown | 32, 32]
    assert table["quality"].dtype == np.int32
    assert table["motion"] is motion


@pytest.mark.parametrize(
    ("seconds", "exposure", "expected"),
    [(1800, 1425.6, 1800), (600, 475.2, 600), (200, 158.4, 200)],
)
def test_sampling_interval_of_many_images_and_of_one(seconds, exposure, expected):
    time = 1683.0 + np.arange(5) * seconds / 86400
    time[3:] += 1.0  # a gap
    assert cadence_seconds(time, np.full(5, exposure)) == expected
    assert cadence_seconds(time[:1], np.array([exposure])) == expected
