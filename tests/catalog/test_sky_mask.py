"""sky_mask(): that of the stars where there is sky between them, less in a crowd."""

import numpy as np
import pytest

from tessphot_lib.catalog.sky_mask import MIN_SKY, sky_mask
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of

WINDOW = Window(100, 300, 1010, 1180)  # not aligned with the cells of 64 pixels


def stars(n_stars, seed=1, columns=(1000, 1190)):
    rng = np.random.default_rng(seed)
    tmag = 18 + np.log10(1 - rng.random(n_stars)) / 0.3
    low, high = (90, columns[0]), (310, columns[1])
    row, column = rng.uniform(low, high, size=(n_stars, 2)).T
    return row, column, np.maximum(tmag, 8.0)


def light_of(row, column, tmag, sigma=1.2):
    """Light of Gaussian stars in the window [e-/s]."""
    rows = np.exp(-0.5 * ((np.arange(100, 300) - row[:, None]) / sigma) ** 2)
    columns = np.exp(-0.5 * ((np.arange(1010, 1180) - column[:, None]) / sigma) ** 2)
    return (rows * flux_of(tmag)[:, None]).T @ columns / (2 * np.pi * sigma**2)


def test_field_with_sky_has_the_masks_of_its_stars():
    catalog = stars(400)
    np.testing.assert_array_equal(sky_mask(WINDOW, *catalog), star_mask(WINDOW, *catalog))


@pytest.mark.parametrize("n_stars", [4000, 10000, 40000])
def test_crowd_leaves_some_sky_in_every_cell_and_it_is_dark(n_stars):
    row, column, tmag = stars(n_stars)
    mask = sky_mask(WINDOW, row, column, tmag)
    light = light_of(row, column, tmag)
    for rows in (slice(0, 28), slice(28, 92), slice(92, 156), slice(156, 200)):
        for columns in (slice(0, 14), slice(14, 78), slice(78, 142), slice(142, 170)):
            cell = mask[rows, columns]
            assert 1 - cell.mean() > 0.9 * MIN_SKY
            if n_stars == 40000:  # on each pixel, one star
                assert 1 - cell.mean() < 1.5 * MIN_SKY
                dark = light[rows, columns][~cell]
                assert np.median(dark) < np.quantile(light[rows, columns], 0.15)
    bright = tmag < 12
    pixel = np.round(row[bright]).astype(int) - 100, np.round(column[bright]).astype(int) - 1010
    inside = (pixel[0] >= 0) & (pixel[0] < 200) & (pixel[1] >= 0) & (pixel[1] < 170)
    assert mask[pixel[0][inside], pixel[1][inside]].mean() > 0.97


def test_masks_shrink_only_where_the_crowd_is():
    catalog = stars(12000, columns=(1000, 1080))
    mask = sky_mask(WINDOW, *catalog)
    np.testing.assert_array_equal(mask[:, 110:], star_mask(WINDOW, *catalog)[:, 110:])
    assert not mask[:, :60].all()


def test_field_without_stars():
    assert not sky_mask(WINDOW, *np.zeros((3, 0))).any()
