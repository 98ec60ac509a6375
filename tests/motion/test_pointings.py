"""Steps of the pointing: from positions of stars with known steps, drifts and single images off."""

import numpy as np
import pytest

from tessphot_lib.motion.pointings import find_pointings

N_IMAGES, LIMIT = 200, 0.3
WRONG = np.array([0.1, -0.1])  # what the list is off by
TIME = 1683.0 + np.arange(N_IMAGES) / 48


def found(off, good=True, seed=4):
    """Of what the stars are off, with some noise and 10 images in coarse pointing."""
    rng = np.random.default_rng(seed)
    off = off + rng.normal(0, 0.01, off.shape)
    off[rng.permutation(N_IMAGES)[:10]] += 0.4
    return find_pointings(off, TIME, np.broadcast_to(good, N_IMAGES), limit=LIMIT)


def moved(*pieces):
    """What the stars are off, from (first image, rows, columns)."""
    off = np.zeros((N_IMAGES, 2))
    for first, *by in pieces:
        off[first:] = by
    return off


@pytest.mark.parametrize("step", [(0.4, -0.2), (1.5, 0.3), (-2.1, 2.1)])
def test_a_step_divides_the_sector(step):
    """Even if the list is off by as much as no pointing is."""
    off = moved((80, *step))
    pointing = found(off + WRONG)
    np.testing.assert_allclose(pointing.displacement, off, atol=0.02)
    assert (pointing.displacement[:80] == 0).all()
    np.testing.assert_array_equal(pointing.whole[80:], np.rint(step) * np.ones((120, 1)))
    # The longer half is the usual one; without its images the other one.
    on_whole = np.hypot(*(np.rint(step) - step)) < 0.1
    assert pointing.is_usual[80:].all()
    assert (pointing.is_usual[:80] == on_whole).all()
    other = found(off + WRONG, good=np.arange(N_IMAGES) < 100)
    assert other.is_usual[:80].all()


def test_one_pointing_whatever_drifts_or_is_off_for_some_images():
    drift = np.linspace(-0.6, 0.6, N_IMAGES)[:, None] * [1, 0.5]
    for seed in range(20):
        assert not found(drift + 1.3, seed=seed).has_steps  # the list is off
    assert not found(moved((60, 1.5, 0.0), (65, 0.0, 0.0))).has_steps
    assert not found(moved((90, 0.2, 0.1))).has_steps
    unknown = np.full((N_IMAGES, 2), np.nan)
    assert not find_pointings(unknown, TIME, np.ones(N_IMAGES, dtype=bool), limit=LIMIT).has_steps


def test_there_and_back_are_two_pointings_and_not_three():
    off = moved((50, 0.9, 1.3), (90, 0.02, 0.0), (150, 0.92, 1.3))
    off[150] = np.nan  # counts with the image before
    pointing = found(off)
    assert len(np.unique(pointing.displacement, axis=0)) == 2
    is_first = np.array([True] * 50 + [False] * 40 + [True] * 61 + [False] * 49)
    np.testing.assert_array_equal(pointing.displacement[is_first], 0)
    np.testing.assert_allclose(pointing.displacement[~is_first], [[0.91, 1.3]] * 89, atol=0.02)
    np.testing.assert_array_equal(pointing.is_usual, is_first)
