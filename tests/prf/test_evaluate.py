"""The PRF evaluated: splines, derivatives, and light that is neither lost nor made."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import (
    DERIVATIVES,
    evenly_normalized,
    prf_derivatives,
    prf_from_samples,
    prf_stamps,
    spline_matrix,
    total_light,
    wing_values,
)
from tessphot_lib.prf.generic import generic_prf


def lopsided(seed=0, n_rows=2, n_columns=3):
    """A PRF without any symmetry, different at all its nodes, with a wing."""
    rng = np.random.default_rng(seed)
    offset = 0.5 * (np.arange(25) - 12)
    bell = np.exp(-0.5 * (offset[:, None] - 0.3) ** 2 / 1.1 - 0.5 * (offset + 0.2) ** 2 / 0.7)
    scatter = 1 + 0.1 * rng.random((n_rows, n_columns, 25, 25))
    prf = Prf(
        node_row=np.array([100.0, 900.0])[:n_rows],
        node_column=np.array([50.0, 700.0, 2000.0])[:n_columns],
        coefficients=bell * scatter,
        spacing=0.5,
        interpolation="linear",
        wing_radius=np.array([6.0, 12.0, 20.0]),
        wing_share=np.array([3e-5, 4e-6, 6e-7]),
        error=np.zeros((3, 3)),
        zeropoint=20.44,
        source="test",
    )
    return evenly_normalized(prf)


def stamp_of(prf, row, column, first_row, first_column, shape, **more):
    corner = np.array([first_row]), np.array([first_column])
    return prf_stamps(prf, np.array([row]), np.array([column]), *corner, shape, **more)[0]


def test_splines_sum_to_one_inside_and_are_zero_outside():
    offset = np.linspace(-5, 5, 333)
    matrix = spline_matrix(offset, 31, 0.5)
    assert matrix.shape == (333, 31)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert (spline_matrix(np.array([-20.0, 9.0, 1e6]), 31, 0.5) == 0).all()
    # The middle one sits on zero, and has two thirds of its weight there.
    assert spline_matrix(np.zeros(1), 31, 0.5)[0, 15] == pytest.approx(2 / 3)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_splines(order):
    offset, step = np.linspace(-4.7, 4.9, 57), 1e-5
    lower, upper = (spline_matrix(offset + change, 21, 0.5, order - 1) for change in (-step, step))
    np.testing.assert_allclose(
        spline_matrix(offset, 21, 0.5, order), (upper - lower) / (2 * step), atol=2e-4
    )


@pytest.mark.parametrize("phase", [(0.0, 0.0), (0.25, -0.4), (-0.5, 0.13)])
@pytest.mark.parametrize("place", [(100, 50), (470, 1300), (2040, 3)])
def test_all_light_of_a_star_is_somewhere(phase, place):
    prf = lopsided()
    row, column = place[0] + phase[0], place[1] + phase[1]
    stamp = stamp_of(prf, row, column, place[0] - 90, place[1] - 95, (181, 191))
    assert stamp.sum() == pytest.approx(1, abs=2e-4)
    np.testing.assert_allclose(total_light(prf), 1)


def test_star_that_moves_by_whole_pixels_takes_its_light_with_it():
    prf = lopsided()
    here = stamp_of(prf, 200.3, 80.8, 195, 70, (11, 21))
    there = stamp_of(
        prf, 203.3, 75.8, 198, 65, (11, 21), shape_row=np.array([200.3]), shape_column=[80.8]
    )
    np.testing.assert_allclose(here, there, atol=1e-15)
    # Elsewhere on the CCD it looks different.
    assert np.abs(stamp_of(prf, 203.3, 75.8, 198, 65, (11, 21)) - there).max() > 1e-7


def test_centre_of_light():
    prf = generic_prf()
    stamp = stamp_of(prf, 50.37, 61.81, 30, 40, (41, 43))
    rows, columns = np.mgrid[30:71, 40:83]
    assert (stamp * rows).sum() / stamp.sum() == pytest.approx(50.37, abs=2e-3)
    assert (stamp * columns).sum() / stamp.sum() == pytest.approx(61.81, abs=2e-3)


@pytest.mark.parametrize("orders", DERIVATIVES[1:])
def test_derivatives_by_the_place_of_the_star(orders):
    prf = replace(lopsided(), wing_share=np.array([0.0, 0, 0]))  # wings have no second ones
    places = {"shape_row": np.array([300.0]), "shape_column": np.array([400.0])}
    step = 1e-3
    lower_order = (orders[0] - 1, orders[1]) if orders[0] else (0, orders[1] - 1)
    d_row, d_column = orders[0] - lower_order[0], orders[1] - lower_order[1]
    low, high = (
        stamp_of(
            prf,
            300.2 + sign * step * d_row,
            400.4 + sign * step * d_column,
            293,
            392,
            (15, 17),
            d_row=lower_order[0],
            d_column=lower_order[1],
            **places,
        )
        for sign in (-1, 1)
    )
    found = stamp_of(
        prf, 300.2, 400.4, 293, 392, (15, 17), d_row=orders[0], d_column=orders[1], **places
    )
    np.testing.assert_allclose(found, (high - low) / (2 * step), atol=2e-4)


def test_slope_of_the_wing():
    prf = lopsided()
    step = 1e-3
    low, high = (stamp_of(prf, 300 + s * step, 400, 312, 391, (5, 18)) for s in (-1, 1))
    found = stamp_of(prf, 300, 400, 312, 391, (5, 18), d_row=1)
    np.testing.assert_allclose(found, (high - low) / (2 * step), rtol=0.02, atol=1.5e-7)


def test_many_stars_at_once_are_those_one_by_one(monkeypatch):
    monkeypatch.setattr("tessphot_lib.prf.evaluate.AT_ONCE", 2000)
    prf = lopsided()
    rng = np.random.default_rng(5)
    row, column = rng.uniform(0, 2047, 17), rng.uniform(0, 2047, 17)
    first_row, first_column = row.astype(int) - 3, column.astype(int) - 4
    together = prf_derivatives(prf, row, column, first_row, first_column, (7, 9))
    assert together.shape == (6, 17, 7, 9)
    for index in range(17):
        one = prf_derivatives(
            prf, row[[index]], column[[index]], first_row[[index]], first_column[[index]], (7, 9)
        )
        np.testing.assert_allclose(together[:, index], one[:, 0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_beyond_the_outer_nodes_the_prf_is_that_of_the_edge(interpolation):
    prf = replace(lopsided(), interpolation=interpolation)
    expected = stamp_of(prf, 900.0, 2000.0, 895, 1996, (11, 9))
    for moved in ((400, 0), (0, 40), (1000, 47)):
        at = 900.0 + moved[0], 2000.0 + moved[1]
        found = stamp_of(prf, *at, 895 + moved[0], 1996 + moved[1], (11, 9))
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_is_wrong_far_out_does_not_change_the_middle_with_the_phase_of_the_pixels():
    """Few stars leave the sum of the faint pixels uncertain by 0.5 % at each phase."""
    prf = generic_prf()
    offset = prf.spacing * (np.arange(prf.coefficients.shape[2]) - prf.coefficients.shape[2] // 2)
    far = np.hypot(offset[:, None], offset) > 5.5
    wrong = prf.coefficients.copy()
    wrong[0, 0, ::2, ::2][far[::2, ::2]] += 4e-5
    wrong[0, 0, 1::2, ::2][far[1::2, ::2]] -= 3e-5
    phase = np.linspace(-0.5, 0.5, 7)
    row, column = (axis.ravel() for axis in np.meshgrid(700 + phase, 90 + phase, indexing="ij"))
    first = np.full(49, 697), np.full(49, 87)

    def slope(prf):
        return prf_stamps(prf, row, column, *first, (7, 7), d_row=1).sum(axis=(1, 2))

    found = slope(evenly_normalized(replace(prf, coefficients=wrong)))
    # It was 0.0075 per pixel.
    np.testing.assert_allclose(found, slope(prf), atol=1e-3)
    whole = evenly_normalized(replace(prf, coefficients=wrong))
    everything = prf_stamps(whole, row, column, first[0] - 9, first[1] - 9, (25, 25))
    np.testing.assert_allclose(everything.sum(axis=(1, 2)), 1, atol=1e-9)


def test_wing_by_hand():
    prf = lopsided()
    share, distance = prf.wing_share, np.array([0.0, 3.0, 6.0, 12.0, 40.0, 65.0])
    expected = [share[0], share[0], share[0], share[1], share[2] / 8, 0]
    np.testing.assert_allclose(wing_values(prf.wing_radius, share, distance), expected, rtol=1e-6)


def test_prf_from_samples_goes_through_them():
    """Every third sample is what pixels record of a star that stands on a sample."""
    offset = (np.arange(45) - 22) / 3
    samples = np.stack(
        [
            np.exp(-0.5 * (offset[:, None] / width) ** 2 - 0.5 * ((offset - 0.4) / 0.8) ** 2)
            for width in (0.9, 1.1)
        ]
    ).reshape(2, 1, 45, 45)
    samples /= samples.sum(axis=(2, 3), keepdims=True) / 9
    prf = prf_from_samples(np.array([10.0, 110.0]), np.array([500.0]), samples, 3, source="x")
    # Star at (10, 500 + 1/3): the pixel at its row and column 500 is a sample left of it.
    stamp = stamp_of(prf, 10.0, 500 + 1 / 3, 5, 496, (11, 9))
    expected = samples[0, 0, 22 - 15 : 38 : 3, 22 - 13 : 34 : 3]
    np.testing.assert_allclose(stamp, expected, rtol=2e-2, atol=1e-9)
    between = stamp_of(prf, 60.0, 500 + 1 / 3, 55, 496, (11, 9))
    mean = samples.mean(axis=(0, 1))
    np.testing.assert_allclose(
        between, mean[22 - 15 : 38 : 3, 22 - 13 : 34 : 3], rtol=2e-2, atol=1e-9
    )
    assert prf.source == "x"


def test_prf_of_wrong_shape_is_refused():
    prf = generic_prf()
    with pytest.raises(InputDataError, match=r"coefficients are \(1, 1, 32, 32\)"):
        replace(prf, coefficients=np.zeros((1, 1, 32, 32)))
    with pytest.raises(InputDataError, match="interpolation is 'nearest'"):
        replace(prf, interpolation="nearest")
    with pytest.raises(InputDataError, match="2 radii of wings, 0 fractions"):
        replace(prf, wing_radius=np.ones(2))
