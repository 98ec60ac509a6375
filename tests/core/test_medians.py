"""Medians of what is known."""

import numpy as np

from tessphot_lib.core.medians import medians_of_known


def test_only_finite_values_count():
    values = np.array([[1.0, np.nan, np.inf, 4], [3, np.nan, 7, 5], [9, np.nan, np.nan, -1]])
    np.testing.assert_array_equal(medians_of_known(values), [3, np.nan, 7, 4])
    cube = np.stack([values, values + 1])
    np.testing.assert_array_equal(medians_of_known(cube)[1], [3.5, np.nan, 7.5, 5.5])
    assert medians_of_known(values.astype(np.float32)).dtype == np.float32


def test_no_values_have_no_median():
    assert np.isnan(medians_of_known(np.zeros((0, 3)))).all()
    assert medians_of_known(np.zeros((5, 0))).shape == (0,)
