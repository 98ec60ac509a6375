"""How crowded a field is, from stars that can be counted by hand."""

import numpy as np
import pytest

from tessphot_lib.catalog.crowding import star_density
from tessphot_lib.core.geometry import Window

SQUARE_DEGREE = (3600 / 21) ** 2  # [pixels]


def test_density_is_that_of_the_crowded_tenth():
    """Four squares and a wider one; the last has 30 stars, one of them too faint, the others 2."""
    window = Window(100, 164, 300, 300 + 5 * 64 + 20)
    column = np.repeat(300.0 + 64 * np.arange(5) + 10, [2, 2, 2, 2, 30])
    row, tmag = np.full(len(column), 120.0), np.full(len(column), 16.0)
    tmag[-1] = 17.3
    row[0], tmag[1] = np.nan, np.nan
    few, most = 2 / 64**2, 29 / (64 * 84)
    found = star_density([window], row, column, tmag)
    assert found == pytest.approx((few + 0.6 * (most - few)) * SQUARE_DEGREE, rel=1e-3)


def test_patches_and_no_pixels():
    row, column, tmag = np.full(3, 12.0), np.full(3, 25.0), np.full(3, 10.0)
    patch = Window(10, 21, 20, 33)
    assert star_density([patch], row, column, tmag) == pytest.approx(
        3 / (11 * 13) * SQUARE_DEGREE, rel=1e-3
    )
    assert star_density([], row, column, tmag) == 0
    assert star_density([patch], row[:0], column[:0], tmag[:0]) == 0
