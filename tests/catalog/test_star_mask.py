"""star_mask(): disks and bleed trails, compared with a slow and plain reckoning."""

import numpy as np
import pytest

from tessphot_lib.catalog.saturation import bleed_half_length
from tessphot_lib.catalog.star_mask import mask_radius, star_mask
from tessphot_lib.core.geometry import Window

WINDOW = Window(100, 140, 300, 375)


def brute_force(window, row, column, tmag, scale):
    rows, columns = np.mgrid[window.row0 : window.row1, window.column0 : window.column1]
    mask = np.zeros(window.shape, dtype=bool)
    for at_row, at_column, magnitude in zip(row, column, tmag, strict=True):
        radius = min(min(1.5 * 10 ** (0.1 * (17 - magnitude)), 60) * scale, 60)
        mask |= (rows - at_row) ** 2 + (columns - at_column) ** 2 <= radius**2
    return mask


def masked_pixels(mask, window=WINDOW):
    rows, columns = np.nonzero(mask)
    return {(r + window.row0, c + window.column0) for r, c in zip(rows, columns, strict=True)}


def test_radius_by_magnitude():
    np.testing.assert_allclose(mask_radius(np.array([17.0, 7.0, -9.0])), [1.5, 15.0, 60.0])


def test_one_faint_star():
    mask = star_mask(WINDOW, np.array([110.0]), np.array([320.0]), np.array([17.0]))
    plus = {(110 + d, 320 + e) for d in (-1, 0, 1) for e in (-1, 0, 1)}
    assert masked_pixels(mask) == plus  # the diagonal is 1.41 px away


def test_row_is_not_column():
    mask = star_mask(WINDOW, np.array([110.5]), np.array([320.0]), np.array([19.0]))  # 0.95 px
    assert masked_pixels(mask) == {(r, c) for r in (110, 111) for c in (320,)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", [1.0, 0.7, 2.5])
def test_disks_of_many_stars_on_and_off_the_window(seed, scale):
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(60, 180, 12), rng.uniform(260, 415, 12)
    tmag = rng.uniform(6.9, 18, 12)  # none is saturated
    mask = star_mask(WINDOW, row, column, tmag, radius_scale=scale)
    np.testing.assert_array_equal(mask, brute_force(WINDOW, row, column, tmag, scale))


def test_bleed_runs_along_the_column():
    tmag = np.array([2.0])
    length = float(bleed_half_length(tmag)[0])
    assert length > 60  # else the disk would hide it
    window = Window(600, 1400, 300, 500)
    mask = star_mask(window, np.array([1000.0]), np.array([400.0]), tmag)
    rows = np.flatnonzero(mask[:, 400 - 300]) + 600
    assert abs(rows[0] - (1000 - length)) <= 1
    assert abs(rows[-1] - (1000 + length)) <= 1
    assert len(rows) == rows[-1] - rows[0] + 1
    beyond = mask[1000 + 61 - 600]  # a row that the disk does not reach
    assert (np.flatnonzero(beyond) + 300).tolist() == [398, 399, 400, 401, 402]
    assert not mask[1000 - 600, [400 - 300 - 61, 400 - 300 + 61]].any()


def test_scale_of_the_masks_holds_for_bleeds():
    tmag = np.array([2.0])
    length = 0.5 * float(bleed_half_length(tmag)[0])
    assert length > 31  # beyond half of the largest disk
    window = Window(600, 1400, 300, 500)
    mask = star_mask(window, np.array([1000.0]), np.array([400.0]), tmag, radius_scale=0.5)
    rows = np.flatnonzero(mask[:, 400 - 300]) + 600
    assert abs(rows[0] - (1000 - length)) <= 1
    assert abs(rows[-1] - (1000 + length)) <= 1


def test_bleed_of_a_star_outside_the_window_reaches_in():
    length = float(bleed_half_length(np.array([2.0]))[0])
    row = WINDOW.row1 - 1 + length - 10  # the trail ends 10 rows inside
    mask = star_mask(WINDOW, np.array([row]), np.array([301.0]), np.array([2.0]))
    assert mask[-9:, :4].all()
    assert not mask[:-12].any()
    assert not mask[:, 4:].any()
    beside = star_mask(WINDOW, np.array([row]), np.array([296.0]), np.array([2.0]))
    assert not beside.any()


def test_window_cuts_the_mask_of_the_ccd():
    rng = np.random.default_rng(3)
    stars = rng.uniform(80, 160, 30), rng.uniform(280, 395, 30), rng.uniform(4, 18, 30)
    outer = Window(50, 300, 200, 500)
    np.testing.assert_array_equal(
        star_mask(WINDOW, *stars), star_mask(outer, *stars)[WINDOW.slices_in(outer)]
    )


def test_unknown_stars_and_none():
    nothing = np.zeros(0)
    assert not star_mask(WINDOW, nothing, nothing, nothing).any()
    row, column = np.array([110.0, np.nan, 110.0]), np.array([np.nan, 320.0, 320.0])
    assert not star_mask(WINDOW, row, column, np.array([10.0, 10.0, np.nan])).any()


def test_scale_shortens_bleeds_too():
    length = float(bleed_half_length(np.array([2.0]))[0])
    wide = Window(0, 2000, 300, 400)
    mask = star_mask(wide, np.array([1000.0]), np.array([350.0]), np.array([2.0]), radius_scale=0.5)
    rows = np.flatnonzero(mask[:, 50])
    assert abs(rows[-1] - (1000 + 0.5 * length)) <= 1
    assert abs(rows[0] - (1000 - 0.5 * length)) <= 1
