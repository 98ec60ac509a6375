"""Counts of things in words."""

import numpy as np

from tessphot_lib.core.counts import counted


def test_one_thing_is_in_the_singular():
    assert counted(1, "light curve") == "1 light curve"
    assert counted(np.int64(1), "star") == "1 star"
    assert [counted(number, "CCD") for number in (0, 2, 21)] == ["0 CCDs", "2 CCDs", "21 CCDs"]
