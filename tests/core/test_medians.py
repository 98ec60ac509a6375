"""Medians of what is known, and running ones."""

import numpy as np
import pytest

from tessphot_lib.core.medians import median, median_of_known, medians_of_known, running_median


def test_only_finite_values_count():
    values = np.array([[1.0, np.nan, np.inf, 4], [3, np.nan, 7, 5], [9, np.nan, np.nan, -1]])
    np.testing.assert_array_equal(medians_of_known(values), [3, np.nan, 7, 4])
    cube = np.stack([values, values + 1])
    np.testing.assert_array_equal(medians_of_known(cube)[1], [3.5, np.nan, 7.5, 5.5])
    assert medians_of_known(values.astype(np.float32)).dtype == np.float32


def test_no_values_have_no_median():
    assert np.isnan(medians_of_known(np.zeros((0, 3)))).all()
    assert medians_of_known(np.zeros((5, 0))).shape == (0,)
    assert np.isnan(median_of_known(np.array([np.nan, np.inf])))
    assert np.isnan(median_of_known(np.zeros(0)))
    assert median_of_known(np.array([np.nan, 2.0, 7.0, -np.inf])) == 4.5


@pytest.mark.parametrize("n_values", [1, 2, 7, 8])
def test_median_of_finite_values(n_values):
    values = np.random.default_rng(n_values).normal(size=n_values)
    before = values.copy()
    assert median(values) == np.median(values)
    np.testing.assert_array_equal(values, before)


def test_running_medians_are_those_of_their_rows():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 3))
    values[4:9, 1] = np.nan
    first = np.maximum(np.arange(40) - 3, 0)
    last = np.minimum(np.arange(40) + 2, 40)
    found = running_median(values, first, last)
    for index in range(40):
        around = values[first[index] : last[index]]
        np.testing.assert_array_equal(found[index], medians_of_known(around))
