"""Which images point where the others do."""

import numpy as np

from tessphot_lib.quality.pointing_check import PIXEL, agrees_with_others


def pointing(n_images=120):
    """Three directions, with a drift of 0.004 pixels per image and noise."""
    rng = np.random.default_rng(0)
    corners = np.eye(3) + rng.normal(0, 0.003 * PIXEL, (n_images, 3, 3))
    return corners + 0.004 * PIXEL * np.arange(n_images)[:, None, None] * [0.0, 1.0, 0.0]


def test_a_drift_is_no_reason_and_a_wrong_wcs_is():
    towards = pointing()
    assert agrees_with_others(towards).all()
    towards[60, :, 2] += 6 * PIXEL
    towards[[0, 119], 1, 0] += 0.7 * PIXEL  # one corner only: a turn
    towards[33] = np.nan
    assert np.flatnonzero(~agrees_with_others(towards)).tolist() == [0, 33, 60, 119]


def test_another_pointing_for_good_is_believed():
    towards = pointing()
    towards[70:, :, 2] += 1.5 * PIXEL
    assert agrees_with_others(towards)[[0, 69, 70, 119]].all()


def test_few_images_are_all_believed():
    towards = pointing(2)
    towards[0, :, 2] += 6 * PIXEL
    assert agrees_with_others(towards).tolist() == [True, True]
    assert agrees_with_others(np.full((4, 3, 3), np.nan)).tolist() == [False] * 4
    assert agrees_with_others(np.zeros((0, 3, 3))).shape == (0,)
