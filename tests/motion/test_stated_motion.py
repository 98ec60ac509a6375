"""Motion as files state it: affine from known truth, and what the stars say of it."""

import numpy as np
import pytest

from tessphot_lib.core.affine import displacement
from tessphot_lib.motion.affine_fit import fit_motion
from tessphot_lib.motion.own_influence import own_influence
from tessphot_lib.motion.stated_motion import StatedMotion, is_better, scatter_around

FILES = ((120.0, 1800.0), (1900.0, 300.0), (700.0, 650.0), (1500.0, 1400.0))


def true_motion(n_images):
    rng = np.random.default_rng(4)
    return rng.normal(0.0, [0.02, 0.003, 0.002, 0.03, 0.001, 0.004], (n_images, 6))


def stated(motion, files=FILES, noise=0.0):
    rng = np.random.default_rng(5)
    found = StatedMotion(len(motion))
    for row, column in files:
        moved = displacement(motion, np.array([row]), np.array([column]))
        d_row, d_column = (axis[:, 0] + noise * rng.standard_normal(len(axis)) for axis in moved)
        found.add(row, column, np.arange(len(motion)), d_row, d_column)
    return found


def test_affine_motion_of_several_files():
    motion = true_motion(7)
    found = stated(motion).motion()
    # The prior of the gradients takes a hundredth of them.
    at = np.array([[200.0, 1700.0, 1000.0], [400.0, 300.0, 1500.0]])
    for axis, expected in zip(displacement(found, *at), displacement(motion, *at), strict=True):
        np.testing.assert_allclose(axis, expected, atol=3e-4)


def test_one_file_states_a_translation():
    found = stated(true_motion(3), FILES[:1]).motion()
    moved = displacement(true_motion(3), *np.array(FILES[:1]).T)
    np.testing.assert_allclose(found[:, 0], moved[0][:, 0], rtol=1e-12)
    np.testing.assert_allclose(found[:, 3], moved[1][:, 0], rtol=1e-12)
    np.testing.assert_allclose(found[:, [1, 2, 4, 5]], 0.0, atol=1e-12)


def test_files_side_by_side_do_not_make_gradients_of_their_noise():
    side_by_side = [(700.0, 650.0 + 9.0 * number) for number in range(4)]
    found = stated(np.zeros((50, 6)), side_by_side, noise=0.001).motion()
    far = displacement(found, np.array([100.0]), np.array([1900.0]))
    assert np.abs(far).max() < 0.01


def test_images_without_any_file_have_no_motion():
    found = StatedMotion(4)
    d_row, d_column = np.array([[0.1, np.nan, 0.2, 0.3], [-0.4, 0.0, 0.0, np.nan]])
    found.add(500.0, 900.0, np.arange(4), d_row, d_column)
    motion = found.motion()
    assert np.isnan(motion[[1, 3]]).all()
    np.testing.assert_allclose(motion[[0, 2]][:, [0, 3]], [[0.1, -0.4], [0.2, 0.0]])


@pytest.mark.parametrize(("error", "better"), [(1e-5, True), (0.002, False)])
def test_stars_tell_which_motion_is_better(error, better):
    """Five stars with 1 mpx of noise measure the motion to 0.45 mpx."""
    rng = np.random.default_rng(6)
    n_images, row, column = 400, rng.uniform(0, 2000, 5), rng.uniform(0, 2000, 5)
    motion = np.zeros((n_images, 6))
    motion[:, [0, 3]] = rng.normal(0.0, 0.02, (n_images, 2))
    noise = rng.normal(0.0, 0.001, (2, n_images, 5))
    measured = [
        axis + one for axis, one in zip(displacement(motion, row, column), noise, strict=True)
    ]
    own, _, _, scatter = fit_motion(*measured, row, column)
    influence = own_influence(*measured, row, column, motion=own, scatter=scatter)
    files = motion + error * rng.standard_normal(motion.shape) * np.array([1, 0, 0, 1, 0, 0])
    around_files = scatter_around(*measured, row, column, files)
    around_own = scatter_around(*measured, row, column, own, influence)
    assert is_better(around_files, around_own) is better
    assert is_better(around_own, around_files) is not better


def test_scatter_is_that_of_positions_about_the_motion_in_pixels():
    rng = np.random.default_rng(7)
    motion, row, column = true_motion(2000), np.array([300.0, 1700.0]), np.array([900.0, 150.0])
    noise = np.array([[0.003, 0.02], [0.004, 0.01]])  # by axis and star
    measured = [
        moved + 0.2 + rng.normal(0.0, sigma, moved.shape)  # stars are off the catalog
        for moved, sigma in zip(displacement(motion, row, column), noise, strict=True)
    ]
    found = scatter_around(*measured, row, column, motion)
    np.testing.assert_allclose(found, [0.005, np.hypot(0.02, 0.01)], rtol=0.05)


def test_hardly_better_is_not_better():
    scatter = np.array([0.01, 0.03, 0.002])
    assert is_better(0.98 * scatter, scatter)
    assert not is_better(0.995 * scatter, scatter)
    assert not is_better(scatter, scatter)


def test_no_stars_tell_nothing():
    assert not is_better(np.zeros(0), np.zeros(0))
    assert not is_better(np.array([np.nan, 0.1]), np.array([0.2, np.nan]))
