"""Sums over runs of images."""

import numpy as np
import pytest

from tessphot_lib.core.runs import means_of_runs, sums_of_runs


def test_runs_of_unequal_length_are_added_up():
    """What is before the first one does not count."""
    values = np.array([[100.0, 100], [1, 2], [3, 4], [5, 6], [7, np.nan], [9, 10]])
    np.testing.assert_array_equal(
        sums_of_runs(values, np.array([1, 2, 5])), [[1, 2], [15, np.nan], [9, 10]]
    )


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?"])
def test_they_are_those_of_numpy(dtype):
    values = np.random.default_rng(1).uniform(0, 2, (31, 2, 3)).astype(dtype)
    starts = np.array([0, 4, 5, 20])
    expected = np.add.reduceat(values, starts, axis=0, dtype=float)
    found = sums_of_runs(values, starts)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_array_equal(sums_of_runs(values[:, 0, 0], starts), found[:, 0, 0])


def test_no_run_has_no_sum():
    assert sums_of_runs(np.ones((5, 2)), np.zeros(0, dtype=int)).shape == (0, 2)
    assert sums_of_runs(np.ones((0, 2)), np.zeros(0, dtype=int)).shape == (0, 2)
    assert sums_of_runs(np.ones((5, 0)), np.array([0, 2])).shape == (2, 0)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_means_are_of_what_counts_and_is_known(dtype):
    """Runs of 2, 1 and 4 images; the first image is in none, and two do not count."""
    rng = np.random.default_rng(3)
    values = rng.uniform(0, 2, (8, 3, 2)).astype(dtype)
    values[4:, 2, 1], values[2, 0, 0], values[6, 1] = np.nan, np.inf, np.nan
    starts, counts = np.array([1, 3, 4]), np.array([1, 1, 1, 0, 1, 1, 1, 0], dtype=bool)
    means, numbers = means_of_runs(values, starts, counts)
    assert means.dtype == numbers.dtype == values.dtype
    for k, run in enumerate([[1, 2], [], [4, 5, 6]]):
        known = np.isfinite(values[run])
        np.testing.assert_array_equal(numbers[k], known.sum(axis=0))
        with np.errstate(invalid="ignore"):
            expected = np.where(known, values[run], 0).sum(axis=0) / known.sum(axis=0)
        np.testing.assert_allclose(means[k], expected, rtol=1e-6)


def test_no_run_has_no_mean():
    for shape, starts in (((5, 2), []), ((0, 2), []), ((5, 0), [0, 2])):
        counts = np.ones(shape[0], dtype=bool)
        means, numbers = means_of_runs(np.ones(shape), np.array(starts, dtype=int), counts)
        assert means.shape == numbers.shape == (len(starts), shape[1])
