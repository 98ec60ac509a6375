"""What a star itself adds to the motion at it."""

import numpy as np
import pytest

from tessphot_lib.core.affine import displacement
from tessphot_lib.motion.affine_fit import fit_motion
from tessphot_lib.motion.own_influence import own_influence

N_IMAGES = 400


def field(n_stars, seed=0):
    """Measured positions of stars that move together, and the true motion at them."""
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(0, 2047, (2, n_stars))
    motion = np.zeros((N_IMAGES, 6))
    motion[:, [0, 3]] = rng.normal(0, 0.02, (N_IMAGES, 2))
    true = np.stack(displacement(motion, row, column))
    return row, column, true, true + rng.normal(0, 0.003, true.shape)


@pytest.mark.parametrize("n_stars", [3, 4, 9, 20])
def test_motion_at_a_star_without_it_is_that_of_a_fit_without_it(n_stars):
    row, column, true, measured = field(n_stars)
    signal = 0.01 * np.sin(np.arange(N_IMAGES) / 7)  # a blend that varies
    measured[:, :, 1] += signal
    motion, _, _, scatter = fit_motion(*measured, row, column)
    at_star = np.stack(displacement(motion, row[[1]], column[[1]]))[:, :, 0] - true[:, :, 1]
    own = np.stack(own_influence(*measured, row, column, motion=motion, scatter=scatter))[:, :, 1]
    before, after = (np.polyfit(signal, values[0], 1)[0] for values in (at_star, at_star - own))
    assert before > 0.5 / n_stars**1.5
    assert abs(after) < 0.2 * before


def test_by_hand_with_three_stars_of_equal_weight():
    """The mean of three: a third of the star's own offset, which the others do not share."""
    rng = np.random.default_rng(1)
    off = np.sign(rng.normal(size=(2, N_IMAGES, 3))) * 0.01
    row, column = np.array([10.0, 900.0, 2000.0]), np.array([5.0, 1800.0, 700.0])
    motion = np.zeros((N_IMAGES, 6))
    motion[:, [0, 3]] = off.mean(axis=2).T
    motion -= np.median(motion, axis=0)
    own = np.stack(own_influence(*off, row, column, motion=motion, scatter=np.ones(3)))
    others = off[:, :, 1:].mean(axis=2)
    left = motion[:, [0, 3]].T - own[:, :, 0] - others
    np.testing.assert_allclose(left - np.median(left, axis=1)[:, None], 0, atol=1e-12)


def test_reference_and_catalog_positions_do_not_matter():
    row, column, _, measured = field(5)
    motion, _, _, scatter = fit_motion(*measured, row, column)
    own = own_influence(*measured, row, column, motion=motion, scatter=scatter)
    shifted = measured + np.arange(5.0)
    again = own_influence(*shifted, row, column, motion=motion - motion[7], scatter=scatter)
    np.testing.assert_allclose(again, own, atol=1e-9)


def test_unknown_motion_and_stars_that_were_not_found():
    row, column, _, measured = field(5)
    measured[:, :30, 2] = np.nan
    motion, _, _, scatter = fit_motion(*measured, row, column)
    motion[50] = np.nan
    own = np.stack(own_influence(*measured, row, column, motion=motion, scatter=scatter))
    assert np.isfinite(own).all()
    assert not own[:, 50].any()
    assert not own[:, :30, 2].any()
    nothing = {"motion": np.zeros((9, 6)), "scatter": np.zeros(0)}
    none = own_influence(*np.zeros((2, 9, 0)), *np.zeros((2, 0)), **nothing)
    assert none[0].shape == none[1].shape == (9, 0)
