"""Which pixels and images of a halo are used, by hand-made cases."""

import numpy as np

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.geometry import Window
from tessphot_lib.halo.pixels import (
    N_SECTORS,
    halo_mask,
    pixel_groups,
    pixel_weights,
    without_bright_sky,
    without_reflections,
)

# -- which pixels -------------------------------------------------------------------------------

WINDOW = Window(100, 121, 40, 57)
ROW, COLUMN = 109.3, 47.6


def mask_of(average=None, **changes):
    """Halo in `WINDOW`, of pixels with light of 100 e-/s unless told."""
    values = {
        "radius": 6.0,
        "target": np.full(WINDOW.shape, 100.0),
        "known": np.full(WINDOW.shape, 100.0),
        "often_full": np.zeros(WINDOW.shape, dtype=bool),
    } | changes
    average = np.full(WINDOW.shape, 100.0) if average is None else average
    return halo_mask(WINDOW, average, ROW, COLUMN, **values)


def test_halo_is_a_disk():
    row, column = np.mgrid[100:121, 40:57]
    expected = np.hypot(row - ROW, column - COLUMN) <= 6
    np.testing.assert_array_equal(mask_of(), expected)


def test_halo_is_without_full_missing_and_foreign_pixels():
    average = np.full(WINDOW.shape, 100.0)
    average[8, 7] = FULL_WELL_RATE  # rows 5 to 11 of its column may get its charge
    average[9, 10] = np.nan
    often_full = np.zeros(WINDOW.shape, dtype=bool)
    often_full[12, 5] = True
    known = np.full(WINDOW.shape, 100.0)
    known[9, 11], known[10, 11] = 126.0, 124.0
    own = np.full(WINDOW.shape, 100.0)
    own[7, 4] = 0.0
    found = mask_of(average, often_full=often_full, known=known, target=own)
    expected = mask_of()
    expected[5:12, 7] = False
    expected[9:16, 5] = False
    for pixel in ((9, 10), (9, 11), (7, 4)):
        expected[pixel] = False
    np.testing.assert_array_equal(found, expected)


def test_weights_against_an_error_that_all_pixels_share_by_hand():
    """Errors 1, 1, 2 of their own and 3 in common; the third is too faint to help."""
    level, noise = np.array([100.0, 60.0, 1.0]), np.array([1.0, 1.0, 2.0])
    found = pixel_weights(level, noise, 3.0)
    np.testing.assert_allclose(found, [10.0, 0.0, 0.0])


def test_weights_are_the_best_of_all_that_are_not_negative():
    rng = np.random.default_rng(12)
    level, noise = 10 ** rng.uniform(0.5, 4, 30), rng.uniform(0.5, 3, 30)
    covariance = np.diag(noise**2) + 0.3**2

    def noise_of(weight):
        return np.sqrt(weight @ covariance @ weight) / (weight @ level)

    best = pixel_weights(level, noise, 0.3)
    assert (best >= 0).all()
    assert 3 < (best > 0).sum() < 30
    for _ in range(300):
        other = np.maximum(best + best.max() * rng.normal(0, 10 ** rng.uniform(-4, -1), 30), 0)
        assert noise_of(best) <= noise_of(other) * (1 + 1e-12)
    np.testing.assert_allclose(pixel_weights(level, noise, 0.0), level / noise**2)


def test_images_with_bright_sky_do_not_count_where_others_are_left():
    good = np.array([1, 1, 1, 1, 0, 1, 1], dtype=bool)
    sky = np.array([100.0, 101, 230, 99, 5000, np.nan, 100])
    expected = [True, True, False, True, False, True, True]
    assert without_bright_sky(sky, good).tolist() == expected
    mostly_bright = np.array([1.0, 900, 1, 900, 1, 900, 900])
    np.testing.assert_array_equal(without_bright_sky(mostly_bright, good), good)
    assert not without_bright_sky(sky, np.zeros(7, dtype=bool)).any()


def test_reflections_cost_pixels_or_images_whichever_is_less():
    good = np.ones(100, dtype=bool)
    good[:10] = False
    lit = np.zeros((100, 4), dtype=bool)
    lit[40:90, 3] = True  # more than half of the good images
    kept, clean = without_reflections(lit, np.array([10.0, 5, 5, 2]), good)
    assert kept.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(clean, good)
    kept, clean = without_reflections(lit, np.array([10.0, 5, 5, 200]), good)
    assert kept.all()
    assert clean.sum() == 40
    lit[20, 0] = True  # one image, and a bad one
    lit[5, 1] = True
    kept, clean = without_reflections(lit, np.array([10.0, 5, 5, 2]), good)
    assert kept.tolist() == [True, True, True, False]
    assert (np.flatnonzero(good & ~clean) == [20]).all()
    kept, clean = without_reflections(lit, np.ones(4), np.zeros(100, dtype=bool))
    assert kept.all()
    assert not clean.any()


# -- groups -------------------------------------------------------------------------------------


def test_groups_are_pieces_of_sectors():
    row, column = (values.ravel() - 5.0 for values in np.mgrid[0:11, 0:11])
    off = (row != 0) | (column != 0)
    row, column = row[off], column[off]
    group = pixel_groups(row, column, np.ones(len(row)), 3 * N_SECTORS)
    assert sorted(set(group.tolist())) == list(range(3 * N_SECTORS))
    angle = np.arctan2(row, column)
    for number in range(3 * N_SECTORS):
        members = group == number
        assert np.abs(np.exp(1j * angle[members]).mean()) > np.cos(np.pi / N_SECTORS)
        assert 3 <= members.sum() <= 8  # of 120 in 24


def test_bright_pixels_are_alone():
    row, column = np.zeros(20), np.arange(1.0, 21.0)
    group = pixel_groups(row, column, np.array([50.0, 30] + [1] * 18), 2 * N_SECTORS)
    assert group.tolist() == [0] + [1] * 19
    assert pixel_groups(row, column, np.ones(20), 20).tolist() == list(range(20))
    assert set(pixel_groups(row, column, np.ones(20), 0).tolist()) == {0}
