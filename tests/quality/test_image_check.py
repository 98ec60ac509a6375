"""Images that changed as a whole, among stars that vary as they like."""

import numpy as np
import pytest

from tessphot_lib.quality.image_check import (
    SHIFT_BASELINE,
    is_unlike,
    lacks_stars,
    shared_change,
    without_own_light,
)

N_IMAGES = 240
TIME = 1683.0 + np.arange(N_IMAGES) / 48
LIMITS = {"light_limit": 0.01, "sharpness_limit": 0.02, "shift_limit": 0.4, "jump_limit": 0.2}


def measures(n_stars=12, seed=0):
    """Light, sharpness, rows and columns of stars, a third of which vary."""
    rng = np.random.default_rng(seed)
    noise = 1 + rng.normal(0, 0.001, (4, N_IMAGES, n_stars))
    light = noise[0] * rng.uniform(500, 5000, n_stars)
    phase = TIME[:, None] * rng.uniform(0.3, 8, n_stars) + rng.random(n_stars)
    varies = np.arange(n_stars) % 3 == 0
    light *= 1 + 0.2 * varies * np.sin(2 * np.pi * phase)
    light[100:105, 1 % n_stars] *= 0.2  # an eclipse
    sharpness = 0.6 * noise[1]
    row, column = (300 * (values - 1) / 10 for values in noise[2:])
    return light, sharpness, row, column


def flagged(light, sharpness, row, column):
    sharpness = without_own_light(sharpness, light, TIME)
    of_light = shared_change(light, TIME, relative=True, outlying=0.05, by_many=True)
    of_sharpness = shared_change(sharpness, TIME, relative=True, outlying=0.1)
    of_shift = {"relative": False, "outlying": 0.4, "by_many": True, "baseline": SHIFT_BASELINE}
    shift = [shared_change(values, TIME, **of_shift) for values in (row, column)]
    return np.flatnonzero(is_unlike(of_light, of_sharpness, tuple(shift), **LIMITS)).tolist()


@pytest.mark.parametrize("n_stars", [1, 2, 3, 4, 12, 300])
def test_stars_that_vary_by_themselves_flag_nothing(n_stars):
    for seed in range(3):
        assert flagged(*measures(n_stars, seed)) == []


@pytest.mark.parametrize("n_stars", [1, 12])
def test_a_drift_may_be_longer_than_a_jump(n_stars):
    light, sharpness, row, column = measures(n_stars)
    row += (0.3 * (TIME - TIME.mean()) / np.ptp(TIME))[:, None]  # 0.15 pixels from the middle
    assert flagged(light, sharpness, row, column) == []
    column[[3, 90]] -= 0.35  # less than the limit against the sector
    assert flagged(light, sharpness, row, column) == [3, 90]
    assert flagged(light, sharpness, 12 * row, column)[-1] == N_IMAGES - 1  # 1.8 pixels


@pytest.mark.parametrize("factor", [0.97, 1.04, 0.5])
def test_a_change_that_all_stars_share_is_the_instruments(factor):
    light, sharpness, row, column = measures()
    light[[40, 171]] *= factor
    assert flagged(light, sharpness, row, column) == [40, 171]


def test_two_stars_may_vary_together_and_three_do_not():
    for n_stars, found in ((1, []), (2, []), (3, [60])):
        light, *others = measures(n_stars)
        light[60] *= 0.7
        assert flagged(light, *others) == found


@pytest.mark.parametrize("n_stars", [1, 2, 12])
def test_blurred_images_show_by_a_single_star(n_stars):
    light, sharpness, row, column = measures(n_stars)
    sharpness[33:36] *= 0.95
    assert flagged(light, sharpness, row, column) == [33, 34, 35]


def test_hours_at_the_start_do_not_spoil_the_images_after_them():
    light, sharpness, row, column = measures()
    light[:13] *= 0.3
    assert flagged(light, sharpness, row, column) == list(range(13))


@pytest.mark.parametrize("n_stars", [1, 2])
@pytest.mark.parametrize("change", ["eclipses", "outburst"])
def test_a_single_star_in_the_light_of_neighbors_may_vary(n_stars, change):
    """What is constant beside it changes the fraction in its core."""
    light, sharpness, row, column = measures(n_stars)
    star = np.ones((N_IMAGES, n_stars))
    if change == "eclipses":
        star[np.arange(N_IMAGES) % 50 < 5] = 0.4
    else:
        star[120:] = 20.0
    light = np.median(light, axis=0) * star
    others = 0.15 * np.median(light, axis=0)
    with_others = light + others
    blended = sharpness * (light + 0.3 * others) / with_others
    assert flagged(with_others, blended, row, column) == []
    blended[33:36] *= 0.9
    assert flagged(with_others, blended, row, column) == [33, 34, 35]


@pytest.mark.parametrize("n_stars", [1, 12])
def test_another_pointing_for_days(n_stars):
    light, sharpness, row, column = measures(n_stars)
    row[150:] += 1.2
    column[150:] -= 0.9
    assert flagged(light, sharpness, row, column) == list(range(150, N_IMAGES))


@pytest.mark.parametrize("first", [100, 120, 140])
def test_a_step_in_the_middle_flags_one_of_the_halves(first):
    light, sharpness, row, column = measures()
    row[first:] += 1.5
    found = flagged(light, sharpness, row, column)
    expected = list(range(first, N_IMAGES)) if first >= 120 else list(range(first))
    assert found == expected


def test_slow_drift_and_slow_dimming_are_no_reason():
    light, sharpness, row, column = measures()
    days = (TIME - TIME[0])[:, None]
    assert flagged(light * (1 - 0.005 * days), sharpness, row + 0.05 * days, column) == []


def test_unknown_stars_and_images():
    light, sharpness, row, column = measures()
    for values in (light, sharpness, row, column):
        values[20] = np.nan
        values[:, 3] = np.nan
    light[77] *= 0.9
    assert flagged(light, sharpness, row, column) == [77]
    nothing = np.full((N_IMAGES, 2), np.nan)
    assert flagged(nothing, nothing, nothing, nothing) == []
    assert flagged(*[np.zeros((N_IMAGES, 0))] * 4) == []


def test_images_without_the_stars_that_others_show():
    is_measured = np.ones((50, 3), dtype=bool)
    is_found = is_measured.copy()
    is_found[:30, 2] = False  # a star that is seldom found
    is_found[7] = False
    is_found[9, 0] = False  # one of two
    is_measured[11] = is_found[11] = False  # no data
    assert np.flatnonzero(lacks_stars(is_found, is_measured)).tolist() == [7]
    assert not lacks_stars(is_found[:, :0], is_measured[:, :0]).any()
