"""Images that stand beside their neighbors in time."""

import numpy as np

from tessphot_lib.motion.affine_fit import _spread, is_displaced

NO_ERROR = np.zeros(80)
MIDDLE = np.array([1023.5]), np.array([1023.5])
TIME = np.concatenate([np.arange(40), 100 + np.arange(40)]) / 48  # [d], with a gap


def displaced(motion, error=NO_ERROR, place=MIDDLE):
    return is_displaced(motion, error, TIME, *place, limit=0.1)


def drift():
    """A slow drift of the translation, and other terms that say nothing about the middle."""
    motion = np.zeros((80, 6))
    motion[:, 0], motion[:, 3] = 0.1 * TIME, -0.05 * TIME
    motion[:, [1, 2, 4, 5]] = np.random.default_rng(0).normal(0, 3, (80, 4))
    return motion


def test_jumps_along_rows_and_columns_are_found():
    motion = drift()
    motion[10, 0] += 0.2
    motion[30, 3] -= 0.2
    motion[60, [0, 3]] += 0.08  # 0.11 together
    motion[70, [0, 3]] += 0.06  # 0.08
    motion[20] = np.nan
    assert np.flatnonzero(displaced(motion)).tolist() == [10, 30, 60]


def test_another_level_after_a_gap_is_no_jump():
    motion = drift()
    motion[40:, 0] += 5.0
    assert not displaced(motion).any()


def test_a_few_hours_of_coarse_pointing_are_no_new_level():
    """Images within a quarter of a day count: five displaced ones are few among them."""
    motion = drift()
    motion[15:20, 3] += 0.5
    assert np.flatnonzero(displaced(motion)).tolist() == [15, 16, 17, 18, 19]
    assert not displaced(np.full((80, 6), np.nan)).any()


def test_motion_is_judged_where_the_pixels_are():
    """A roll about a window near a corner moves the middle of the CCD, and not the window."""
    motion = np.zeros((80, 6))
    motion[7, [0, 1, 2]] = 0.3, 0.0, 0.4  # d_row = 0.3 + 0.4 v, which is 0 at v = -0.75
    window = np.array([300.0]), np.array([1023.5 - 0.75 * 1024])
    assert np.flatnonzero(displaced(motion)).tolist() == [7]
    assert not displaced(motion, place=window).any()
    # Of several patches the median counts.
    three = (np.append(window[0], [300.0, 300.0]), np.append(window[1], [window[1][0], 1023.5]))
    assert not displaced(motion, place=three).any()


def test_a_step_is_not_the_fault_of_the_images_beside_it():
    motion = drift()
    motion[20:40, 0] += 1.5
    motion[30, 3] += 0.3
    assert np.flatnonzero(displaced(motion)).tolist() == [30]


def test_what_is_not_clear_is_no_jump():
    motion = np.zeros((80, 6))
    motion[[7, 50], 0] = 0.2
    error = np.full(80, 0.001)
    error[7] = 0.06
    assert np.flatnonzero(displaced(motion, error)).tolist() == [50]


def test_many_patches_are_judged_as_few():
    """A roll of 0.5 pixels at the corners; a jump that all patches see; in any order."""
    motion = np.zeros((80, 6))
    motion[25, 0] = 0.2
    motion[50, [2, 4]] = -0.05, 0.05  # a roll: less than the limit in most of the CCD
    rng = np.random.default_rng(3)
    row, column = rng.uniform(0, 2047, (2, 500))
    assert np.flatnonzero(displaced(motion, place=(row, column))).tolist() == [25]
    motion[50, [2, 4]] = -0.4, 0.4
    assert np.flatnonzero(displaced(motion, place=(row, column))).tolist() == [25, 50]
    mixed = rng.permutation(500)
    found = displaced(motion, place=(row[mixed], column[mixed]))
    assert np.flatnonzero(found).tolist() == [25, 50]


def test_positions_are_spread_over_the_rows():
    row, _ = _spread(np.arange(1000.0)[::-1], np.full(1000, 7.0))
    assert len(row) == 10
    assert row.min() == 0
    assert row.max() == 999
    np.testing.assert_allclose(np.diff(row), 111, atol=1)
    few = _spread(np.array([5.0, 1.0]), np.array([2.0, 3.0]))
    np.testing.assert_array_equal(few, [[5, 1], [2, 3]])
