"""Images that stand beside their neighbors in time."""

import numpy as np

from tessphot_lib.motion.affine_fit import is_displaced

TIME = np.concatenate([np.arange(40), 100 + np.arange(40)]) / 48  # [d], with a gap


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
    assert np.flatnonzero(is_displaced(motion, TIME, limit=0.1)).tolist() == [10, 30, 60]


def test_another_level_after_a_gap_is_no_jump():
    motion = drift()
    motion[40:, 0] += 5.0
    assert not is_displaced(motion, TIME, limit=0.1).any()


def test_a_few_hours_of_coarse_pointing_are_no_new_level():
    """Images within a quarter of a day count: five displaced ones are few among them."""
    motion = drift()
    motion[15:20, 3] += 0.5
    assert np.flatnonzero(is_displaced(motion, TIME, limit=0.1)).tolist() == [15, 16, 17, 18, 19]
    assert not is_displaced(np.full((80, 6), np.nan), TIME, limit=0.1).any()
