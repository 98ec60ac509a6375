"""One star in many images: the same as when each image is measured by itself."""

import numpy as np
import pytest
from scipy.special import erf

from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.star_light import measure_star_stamps
from tessphot_lib.motion.star_series import measure_star_series

ROW, COLUMN = 611.3, 118.6  # where the star is expected; it is elsewhere
SQUARE = Window(607, 616, 115, 124)
N = 300


def images(d_row, d_column, window=SQUARE, *, width=0.75, noise=8.0, seed=3):
    """A star that moves, with a fainter neighbor, and noise."""
    rows, columns = np.arange(window.row0, window.row1), np.arange(window.column0, window.column1)

    def profile(pixels, centre):
        low, high = (pixels + half - centre[:, None] for half in (-0.5, 0.5))
        return 0.5 * (erf(high / width / np.sqrt(2)) - erf(low / width / np.sqrt(2)))

    sky = np.random.default_rng(seed).normal(0, noise, (len(d_row), *window.shape))
    for flux, row, column in ((4000.0, ROW + 0.3, COLUMN - 0.45), (300.0, ROW + 3, COLUMN + 1)):
        along = profile(rows, row + d_row)[:, :, None], profile(columns, column + d_column)[:, None]
        sky += flux * along[0] * along[1]
    return sky


def one_by_one(squares):
    first = SQUARE.row0, SQUARE.column0
    at = (np.full(len(squares), one) for one in (ROW - first[0], COLUMN - first[1]))
    found = measure_star_stamps(squares, *at)
    return found._replace(row=found.row + first[0], column=found.column + first[1])


def check_same(found, expected, atol=1e-4):
    np.testing.assert_allclose(found.row, expected.row, atol=atol, rtol=0)
    np.testing.assert_allclose(found.column, expected.column, atol=atol, rtol=0)
    np.testing.assert_allclose(found.light, expected.light, rtol=1e-4)
    np.testing.assert_allclose(found.sharpness, expected.sharpness, rtol=1e-4)


def motion(size=0.05, seed=1):
    return np.random.default_rng(seed).normal(0, size, (2, N))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.02, 0.1])
def test_as_image_by_image(dtype, size):
    moved = motion(size)
    squares = images(*moved).astype(dtype)
    found = measure_star_series(squares, SQUARE, ROW, COLUMN)
    check_same(found, one_by_one(squares.astype(float)))
    np.testing.assert_allclose(found.row, ROW + 0.3 + moved[0], atol=0.05)


def test_images_that_are_displaced_are_measured_all_the_same():
    moved = motion()
    moved[:, 5:9] += [[0.8], [-0.6]]
    moved[:, 20] = 9.0  # the star is off the stamp
    squares = images(*moved)
    found = measure_star_series(squares, SQUARE, ROW, COLUMN)
    check_same(found, one_by_one(squares))
    np.testing.assert_allclose(found.row[5:9], ROW + 0.3 + moved[0, 5:9], atol=0.05)


def test_at_the_edge_of_a_patch_what_is_missing_counts_as_sky():
    part = Window(608, 614, 115, 122)  # less above, below, and to the right
    squares = np.zeros((N, *SQUARE.shape))
    squares[(slice(None), *part.slices_in(SQUARE))] = pixels = images(*motion(), part)
    check_same(measure_star_series(pixels, part, ROW, COLUMN), one_by_one(squares))


def test_missing_pixels():
    squares = images(*motion())
    expected = squares.copy()
    squares[4, 0, 8], expected[4, 0, 8] = np.nan, 0.0  # far from the star
    squares[6, 4, 4] = expected[6, 4, 4] = np.nan  # in its core
    squares[7] = expected[7] = np.nan
    found = measure_star_series(squares, SQUARE, ROW, COLUMN)
    check_same(found, one_by_one(expected))
    assert [np.flatnonzero(np.isnan(values)).tolist() for values in found] == [[6, 7]] * 4


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_images_or_none(n):
    squares = images(*motion()[:, :n])
    check_same(measure_star_series(squares, SQUARE, ROW, COLUMN), one_by_one(squares))


def test_without_a_star_or_data():
    nothing = measure_star_series(np.full((3, *SQUARE.shape), np.nan), SQUARE, ROW, COLUMN)
    assert all(np.isnan(values).all() for values in nothing)
    dark = measure_star_series(np.zeros((3, *SQUARE.shape)), SQUARE, ROW, COLUMN)
    assert np.isnan(dark.row).all()
    np.testing.assert_array_equal(dark.light, 0.0)
