"""Where the stars of an image are, against a catalog that is off."""

import numpy as np
import pytest
from star_images import gaussian_star

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.catalog_offset import catalog_offset

WINDOW = Window(300, 460, 1500, 1700)
ZEROPOINT = 20.44


def stars(n_stars=60, seed=0):
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(310, 450, n_stars), rng.uniform(1510, 1690, n_stars)
    return row, column, rng.uniform(8, 13, n_stars)


def image_of(row, column, tmag):
    """Gaussian stars of FWHM 1.8 pixels with noise, and a pixel without data."""
    image = np.random.default_rng(1).normal(0, 1, WINDOW.shape)
    for at_row, at_column, magnitude in zip(row, column, tmag, strict=True):
        flux = 10 ** (0.4 * (ZEROPOINT - magnitude))
        image += gaussian_star(WINDOW, at_row, at_column, flux, 0.8)
    image[50, 60] = np.nan
    return image


def measured(image, row, column, tmag):
    limits = {"bright_limit": 7.5, "faint_limit": 12.5}
    return catalog_offset(image, WINDOW, row, column, tmag, zeropoint=ZEROPOINT, **limits)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, -0.3), (5.8, -2.2), (-3.1, 11.4)])
def test_displacement_of_all_stars(shift):
    row, column, tmag = stars()
    found = measured(image_of(row + shift[0], column + shift[1], tmag), row, column, tmag)
    assert (found.d_row, found.d_column) == pytest.approx(shift, abs=0.03)
    assert found.largest == pytest.approx(np.hypot(*shift), abs=0.1)
    assert found.n_stars >= 20


def test_turn_and_scale():
    row, column, tmag = stars()
    motion = np.array([0.0, 6.0, -9.0, 0.0, 9.0, 6.0])
    motion[[0, 3]] -= [moved[0, 0] for moved in displacement(motion[None], [380.0], [1600.0])]
    moved = (one[0] for one in displacement(motion[None], row, column))
    d_row, d_column = moved
    found = measured(image_of(row + d_row, column + d_column, tmag), row, column, tmag)
    reached = displacement(found.motion[None], row, column)
    np.testing.assert_allclose(reached[0][0], d_row, atol=0.05)
    np.testing.assert_allclose(reached[1][0], d_column, atol=0.05)
    assert found.largest == pytest.approx(np.hypot(6, 9) * np.hypot(80, 100) / 1024, abs=0.1)


def test_wrong_magnitudes_and_missing_stars_do_not_matter():
    row, column, tmag = stars()
    image = image_of(row[10:] + 3.0, column[10:], tmag[10:])
    tmag[20:28] -= 3.0
    found = measured(image, row, column, tmag)
    assert (found.d_row, found.d_column) == pytest.approx((3.0, 0.0), abs=0.05)


def test_unknown_without_stars():
    row, column, tmag = stars()
    assert measured(image_of(row[:0], column[:0], tmag[:0]), row, column, tmag) is None
    assert measured(image_of(row, column, tmag), row[:5], column[:5], tmag[:5]) is None
    assert measured(np.full(WINDOW.shape, np.nan), row, column, tmag) is None
