"""find_anomalies(): a ring of light on a plain sky with stars, and what is none."""

import numpy as np

from tessphot_lib.anomalies import find_anomalies

SHAPE = (140, 170)
ROW, COLUMN = np.indices(SHAPE)


def ring(level):
    """A ring of 9 px width, off the centre, that leaves the image."""
    distance = np.hypot(ROW - 60.0, COLUMN - 130.0)
    return np.where(np.abs(distance - 50) < 4.5, level, 0.0)


def field(seed=0):
    """Background, noisy sky with unknown stars, and the mask of known stars with their light."""
    rng = np.random.default_rng(seed)
    background = 150 + 0.1 * ROW
    image = background + rng.normal(0, 0.5, SHAPE)
    for row, column in rng.uniform([0, 0], SHAPE, size=(300, 2)):  # unknown stars, one pixel each
        image[int(row), int(column)] += rng.uniform(1, 30)
    stars = np.zeros(SHAPE, dtype=bool)
    for row, column in rng.uniform([0, 0], SHAPE, size=(250, 2)):
        disk = np.hypot(ROW - row, COLUMN - column) <= 2.5
        stars |= disk
        image[disk] += 400.0
    return image, background, stars


def test_sky_with_stars_has_none():
    image, background, stars = field()
    assert not find_anomalies(image, background, stars, limit=12.0).any()


def test_ring_is_found_on_sky_and_on_stars():
    image, background, stars = field()
    light = ring(60.0)
    found = find_anomalies(image + light, background, stars, limit=12.0)
    truth = light > 0
    assert (found & truth & ~stars).sum() > 0.99 * (truth & ~stars).sum()
    assert (found & truth & stars).sum() > 0.8 * (truth & stars).sum()
    assert (found & ~truth & ~stars).sum() < 10  # unknown stars beside the ring
    assert (found & ~truth).sum() < 0.15 * truth.sum()  # stars at its rim


def test_ring_below_the_limit_is_left_alone():
    image, background, stars = field()
    assert not find_anomalies(image + ring(8.0), background, stars, limit=12.0).any()


def test_limit_grows_with_the_background():
    """In scattered light the background is not known to 12 e-/s."""
    image, background, stars = field()
    bright = 20 * background
    image = image + 19 * background + ring(25.0)
    assert not find_anomalies(image, bright, stars, limit=12.0).any()


def test_missing_pixels_are_no_anomaly():
    image, background, stars = field()
    image[30:60, 90:100] = np.nan
    found = find_anomalies(image + ring(60.0), background, stars, limit=12.0)
    assert found.any()
    assert not found[np.isnan(image)].any()
