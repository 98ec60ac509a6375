"""Which stars have no neighbor that disturbs them."""

import numpy as np
import pytest

from tessphot_lib.core.isolation import is_isolated

LIMITS = {"radius": 4.0, "tmag_difference": 2.0}


@pytest.mark.parametrize(
    ("d_row", "d_column", "d_tmag", "alone"),
    [
        (3.9, 0.0, 1.9, False),
        (0.0, -3.9, -5.0, False),
        (3.0, 3.0, 0.0, True),  # 4.2 pixels away
        (1.0, 1.0, 2.1, True),  # too faint to disturb
        (0.0, 0.0, 0.0, False),  # twins
        (np.nan, 0.0, 0.0, True),
        (0.0, 0.0, np.nan, True),
    ],
)
def test_one_neighbor(d_row, d_column, d_tmag, alone):
    row, column = np.array([50.0, 10.0, 10.0 + d_row]), np.array([50.0, 20.0, 20.0 + d_column])
    tmag = np.array([8.0, 10.0, 10.0 + d_tmag])
    assert is_isolated(row, column, tmag, np.array([1, 0]), **LIMITS).tolist() == [alone, True]


def test_the_brighter_one_of_two_may_be_alone():
    row, column, tmag = np.array([10.0, 11.0]), np.array([20.0, 21.0]), np.array([10.0, 13.0])
    assert is_isolated(row, column, tmag, np.array([0, 1]), **LIMITS).tolist() == [True, False]


def test_nobody_is_asked_about():
    nobody = np.zeros(0, dtype=int)
    assert is_isolated(np.ones(3), np.ones(3), np.ones(3), nobody, **LIMITS).shape == (0,)
