"""Displaced images: which pixels they are read from, and what of their motion is left."""

import numpy as np
import pytest

from tessphot_lib.core.pointing import Pointing, displaced_pixels

SHAPE = (6, 9)
PLANE = np.arange(54).reshape(SHAPE)


@pytest.mark.parametrize("whole", [(0, 0), (2, -1), (-3, 2), (0, 8), (7, 0), (-4, -20)])
@pytest.mark.parametrize("pixels", [np.s_[1:4, 2:8], np.s_[:, :], np.s_[5:6, 0:1]])
def test_pixels_are_those_of_the_plane_rolled(pixels, whole):
    padded = np.full((50, 60), -1)
    padded[22:28, 25:34] = PLANE
    expected = np.roll(padded, (-whole[0], -whole[1]), axis=(0, 1))[22:28, 25:34][pixels]
    source, target = displaced_pixels(pixels, whole, SHAPE)
    found = np.full(expected.shape, -1)
    found[target] = PLANE[source]
    np.testing.assert_array_equal(found, expected)


def test_runs_and_motion_of_whole_pixels():
    displacement = np.array([[0.0, 0.0], [0.4, 0.3], [0.6, -1.4], [0.9, -1.3], [0.0, 0.0]])
    pointing = Pointing(displacement, np.ones(5, dtype=bool))
    runs = [(some.start, some.stop, whole) for some, whole in pointing.runs(1, 5)]
    assert runs == [(1, 2, (0, 0)), (2, 4, (1, -1)), (4, 5, (0, 0))]
    assert [(some.stop, whole) for some, whole in pointing.runs(3, 3)] == [(3, (0, 0))]
    motion = np.arange(30.0).reshape(5, 6)
    left = pointing.without_whole(motion)
    np.testing.assert_array_equal(left[3], motion[3] - [1, 0, 0, -1, 0, 0])
    np.testing.assert_array_equal(pointing.with_whole(left), motion)
    assert pointing.has_steps
    assert not Pointing.single(5).has_steps
