"""Static light of a cube moves with its stars."""

import numpy as np
from pixel_cube import open_cube

from tessphot_lib.core.geometry import Window

WINDOW = Window(203, 263, 480, 521)
MOTION = np.array([[0.015, 0.01], [-0.015, -0.01], [0.0, 0.0]])


def galaxy(d_row=0.0, d_column=0.0):
    """Narrow, at row 220.4, column 495.2."""
    row, column = np.indices(WINDOW.shape)
    distance = (row - 17.4 - d_row) ** 2 + (column - 15.2 - d_column) ** 2
    return 300 * np.exp(-0.5 * distance / 1.1**2)


def test_static_light_moves_with_the_stars(tmp_path):
    motion = np.zeros((3, 6))
    motion[:, [0, 3]] = MOTION
    flux = np.zeros((3, *WINDOW.shape), np.float32)
    with open_cube(tmp_path, WINDOW, flux, sky=50.0, motion=motion, static_light=galaxy()) as cube:
        level = cube.background_in(WINDOW)
        rows, columns = np.array([219.0, 222.0]), np.array([494.0, 497.0])
        at, _ = cube.background_at(rows, columns)
        parts = [Window(203, 222, 490, 498), Window(218, 263, 480, 496), Window(220, 221, 495, 496)]
        seen = [cube.background_in(part) for part in parts]
        some = cube.background_in(WINDOW, slice(0, None, 2))
    true = np.array([50.0 + galaxy(*move) for move in MOTION])
    moved = np.abs(true[0] - true[2]).max()
    # To first order; slopes over two pixels alone miss up to 0.3 of it.
    assert np.abs(level - true).max() < 0.2 * moved
    np.testing.assert_allclose(at, level[:, [16, 19], [14, 17]], atol=1e-4)
    np.testing.assert_array_equal(some, level[::2])
    for part, found in zip(parts, seen, strict=True):
        np.testing.assert_array_equal(found, level[(slice(None), *part.slices_in(WINDOW))])
