"""Which images make the average image."""

import numpy as np

from tessphot_lib.preparation.changes import is_quiet, reference_images


def test_bright_images_are_not_quiet_but_bright_fields_are():
    level = np.array([200.0, 210.0, 1100.0, np.nan, 205.0])
    np.testing.assert_array_equal(is_quiet(level, 1000.0), [True, True, False, False, True])
    nebula = np.array([3000.0, 3010.0, 5000.0, 3005.0])
    np.testing.assert_array_equal(is_quiet(nebula, 1000.0), [True, True, False, True])
    assert not is_quiet(np.full(3, np.nan), 1000.0).any()


def test_reference_is_of_the_quieter_images_all_over_the_sector():
    level = np.tile([200.0, 300.0, 210.0, 205.0], 75)
    is_averaged = np.ones(300, dtype=bool)
    is_averaged[:30] = False
    chosen = reference_images(is_averaged, level)
    assert 50 <= len(chosen) <= 64
    assert chosen[0] >= 30
    assert chosen[-1] > 290
    assert (level[chosen] < 300).all()
    assert reference_images(np.zeros(300, dtype=bool), level).size == 0
