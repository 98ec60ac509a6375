"""The zero point of a CCD from few or many stars, whose true one is known."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image
from tessphot_lib.prf.stars import StarField
from tessphot_lib.prf.zeropoint import (
    choose_zeropoint_stars,
    measure_zeropoint,
    with_zeropoint,
)

WINDOW = Window(300, 420, 900, 1080)
TRUE = 20.62
LIMITS = {"bright_limit": 7.5, "faint_limit": 13.5}


def field_of(n_stars, *, seed=4, width=1.0, off=0.15, unknown=0.0, level=0.4):
    """Stars on a jostled grid, whose positions are off, with unknown ones beside some."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(308, 415, 13), np.arange(910, 1075, 14)), -1)
    places = rng.permutation(places.reshape(-1, 2))[:n_stars] + rng.uniform(-0.5, 0.5, (n_stars, 2))
    tmag = rng.uniform(8.5, 12.5, n_stars)
    flux = 10 ** (0.4 * (TRUE - tmag))
    prf = generic_prf()
    beside = rng.random(n_stars) < unknown
    row, column = places.T + off
    image = scene_image(prf, WINDOW, row, column, flux)
    image += scene_image(prf, WINDOW, row[beside] + 1.1, column[beside] - 0.7, 0.5 * flux[beside])
    image += level + 0.1 * rng.normal(size=image.shape)
    noise = np.full(image.shape, 0.1)
    return StarField(image, noise, WINDOW, *places.T, tmag)


def measured(field, prf=None):
    stars = choose_zeropoint_stars(field, **LIMITS)
    return measure_zeropoint(prf or generic_prf(), field, stars, shape_error=0.01)


def test_many_stars_give_it_to_a_hundredth():
    found = measured(field_of(90))
    assert found.value == pytest.approx(TRUE, abs=0.01)
    assert found.error < 0.015
    assert found.n_stars > 70


def test_stars_with_unknown_neighbors_do_not_decide():
    found = measured(field_of(90, unknown=0.3))
    assert found.value == pytest.approx(TRUE, abs=0.03)


@pytest.mark.parametrize(("n_stars", "typical"), [(1, 0.095), (2, 0.085), (4, 0.078), (8, 0.025)])
def test_errors_of_few_stars_hold(n_stars, typical):
    pulls, errors = [], []
    for seed in range(12):
        found = measured(field_of(n_stars, seed=seed, unknown=0.15))
        assert found.n_stars <= n_stars
        if found.n_stars:  # one with a neighbor in its core says nothing
            pulls.append((found.value - TRUE) / found.error)
            errors.append(found.error)
        if n_stars == 8:
            assert abs(found.value - TRUE) < 0.05
    assert len(pulls) > 8
    assert np.median(errors) < typical  # that of the mission's alone is 0.1: the stars count
    assert np.sqrt(np.mean(np.square(pulls))) < 1.8  # 0.18 mag off the mission's: 1.8 sigma


def test_without_stars_it_is_the_mission_s():
    field = field_of(3)
    nobody = replace(field, tmag=np.full(3, 15.0))
    prf = with_zeropoint(generic_prf(), nobody, choose_zeropoint_stars(nobody, **LIMITS))
    assert (prf.zeropoint, prf.zeropoint_error, prf.zeropoint_stars) == (TMAG_ZEROPOINT, 0.05, 0)


def test_a_prf_from_the_stars_keeps_its_own_zero_point():
    field = field_of(40)
    stars = choose_zeropoint_stars(field, **LIMITS)
    fitted = replace(generic_prf(), source="data: 40 stars, order 0", zeropoint=20.61)
    prf = with_zeropoint(fitted, field, stars)
    assert prf.zeropoint == 20.61
    assert prf.zeropoint_error < 0.02
    given = with_zeropoint(generic_prf(), field, stars)
    assert given.zeropoint == pytest.approx(TRUE, abs=0.03)
    assert given.zeropoint_stars > 30


def test_stars_at_the_edge_and_beside_equals_are_not_chosen():
    field = field_of(6)
    row, column, tmag = (one.copy() for one in (field.row, field.column, field.tmag))
    row[0], column[0] = 300.2, 960.0  # on the first row
    row[1], column[1], tmag[1] = row[2] + 2.5, column[2] + 1.0, tmag[2] + 0.3
    moved = replace(field, row=row, column=column, tmag=tmag)
    assert set(choose_zeropoint_stars(moved, **LIMITS)) == {3, 4, 5}
