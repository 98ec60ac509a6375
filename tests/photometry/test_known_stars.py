"""Which of the known stars are fitted in a crowd."""

import numpy as np
import pytest

from tessphot_lib.photometry.known_stars import brightest

FLUX = np.array([5.0, 90.0, 20.0, 70.0, 20.0])


@pytest.mark.parametrize(
    ("n_most", "chosen"), [(0, []), (1, [3]), (2, [2, 3]), (3, [2, 3, 4]), (9, [0, 2, 3, 4])]
)
def test_the_brightest_of_those_allowed_are_chosen(n_most, chosen):
    among = np.array([True, False, True, True, True])
    assert np.flatnonzero(brightest(FLUX, among, n_most)).tolist() == chosen
    assert not brightest(FLUX[:0], among[:0], n_most).any()
