"""find_anomalies(): a ring of light on a plain sky with stars, and what is none."""

import numpy as np
from scipy import ndimage

from tessphot_lib.quality.reflections import (
    MARGIN,
    REACH,
    anomaly_limit,
    extend_anomalies,
    find_anomalies,
)

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


def test_stars_in_a_reflection_are_bridged_as_far_as_it_shows_on_their_sides():
    """No pixel of sky is near the middle of a star 13 pixels wide; one of 31 hides too much."""
    image, stars = np.full(SHAPE, 100.0), np.zeros(SHAPE, dtype=bool)
    narrow = np.hypot(ROW - 50, COLUMN - 60) <= 6
    wide = np.hypot(ROW - 50, COLUMN - 110) <= 15
    stars |= narrow | wide
    image[20:80, 30:140] += 60.0
    image[stars] = 1000.0
    found = find_anomalies(image, np.full(SHAPE, 100.0), stars, limit=12.0)
    assert found[narrow].all()
    assert not found[50, 110]
    # Beside the reflection a star is not bridged.
    image[:, 60:] = np.where(stars[:, 60:], 1000.0, 100.0)
    found = find_anomalies(image, np.full(SHAPE, 100.0), stars, limit=12.0)
    assert found[50, 50]
    assert not found[50, 62:].any()


def test_single_bright_pixels_of_sky_among_stars_are_no_reflection():
    """Unknown stars in the little sky that a crowd leaves: one pixel of few is not a third."""
    stars = np.ones(SHAPE, dtype=bool)
    sky = (ROW % 7 == 3) & (COLUMN % 7 == 2)
    stars[sky] = False
    image = np.where(sky, 160.0, 1000.0)
    background = np.full(SHAPE, 100.0)
    assert not find_anomalies(image, background, stars, limit=12.0).any()
    stars[70:90, 70:90] = False
    image[70:90, 70:90] = 160.0
    found = find_anomalies(image, background, stars, limit=12.0)
    assert found[72:88, 72:88].all()
    assert not found[:60].any()


def test_missing_pixels_are_no_anomaly():
    image, background, stars = field()
    image[30:60, 90:100] = np.nan
    found = find_anomalies(image + ring(60.0), background, stars, limit=12.0)
    assert found.any()
    assert not found[np.isnan(image)].any()


# -- the second look, which knows the stars --------------------------------------------------------


def second_field(seed=1):
    """Light of stars, and a noisy image of it without sky."""
    rng = np.random.default_rng(seed)
    starlight = np.zeros(SHAPE)
    for row, column in rng.uniform([0, 0], SHAPE, size=(120, 2)):
        distance = np.hypot(ROW - row, COLUMN - column)
        starlight += 10 ** rng.uniform(1, 4) * np.exp(-0.5 * (distance / 1.5) ** 2)
    noise = rng.normal(0, 1, SHAPE) * (0.5 + 0.02 * starlight)  # photons, motion, variability
    return starlight, noise


def test_second_look_finds_the_ring_under_stars():
    starlight, noise = second_field()
    light = ring(60.0)
    seen = (light > 0) & (starlight < 5)
    found = extend_anomalies(noise + light, starlight, seen, limit=12.0)
    assert found[light > 0].mean() > 0.99
    beside = ndimage.distance_transform_edt(light == 0)
    assert found[beside > 3].mean() < 1e-3


def test_second_look_adds_nothing_without_light():
    starlight, noise = second_field()
    seen = ring(60.0) > 0
    np.testing.assert_array_equal(extend_anomalies(noise, starlight, seen, limit=12.0), seen)


def test_second_look_stays_near_to_what_was_seen():
    seen = np.zeros(SHAPE, dtype=bool)
    seen[70, 20] = True
    found = extend_anomalies(np.full(SHAPE, 50.0), np.zeros(SHAPE), seen, limit=12.0)
    steps = np.maximum(np.abs(ROW - 70), np.abs(COLUMN - 20))
    np.testing.assert_array_equal(found, steps <= REACH)


def test_second_look_follows_the_light_behind_a_bright_star():
    """The mask of the star hides 30 pixels; its wings are known, and so is what adds to them."""
    distance = np.hypot(ROW - 60, COLUMN - 80)
    starlight = 3e5 * (1 + distance**2) ** -1.5
    noise = np.random.default_rng(4).normal(0, 1, SHAPE) * (0.5 + 0.002 * starlight)
    light = ring(60.0)
    seen = (light > 0) & (distance > 30)
    found = extend_anomalies(noise + light, starlight, seen, limit=12.0)
    hidden = (light > 0) & (distance <= 30) & (distance > 5)
    assert hidden.sum() > 100
    assert found[hidden].mean() > 0.95
    # Light beside it to which nothing leads is something else.
    other = noise + light
    other[25:31, 37:43] += 500.0
    away = (light == 0) & (np.hypot(ROW - 28, COLUMN - 40) < 6)
    assert not extend_anomalies(other, starlight, seen, limit=12.0)[away].any()


def test_second_look_where_nothing_was_seen():
    nothing = np.zeros(SHAPE, dtype=bool)
    found = extend_anomalies(np.full(SHAPE, 50.0), np.zeros(SHAPE), nothing, limit=12.0)
    assert not found.any()
    assert found is not nothing


def test_second_look_bridges_what_is_unknown():
    """A pixel without average image is decided by those around it."""
    starlight, noise = second_field()
    light = ring(60.0)
    seen = (light > 0) & (starlight < 5)
    residual = noise + light
    unknown = (light > 0) & (np.hypot(ROW - 60, COLUMN - 80) < 3)
    assert unknown.sum() > 10
    residual[unknown] = starlight[unknown] = np.nan
    found = extend_anomalies(residual, starlight, seen & ~unknown, limit=12.0)
    assert found[unknown].all()


def test_second_look_at_a_part_is_that_at_the_whole():
    starlight, noise = second_field()
    light = ring(60.0)
    seen = (light > 0) & (starlight < 5)
    whole = extend_anomalies(noise + light, starlight, seen, limit=12.0)
    cut = (slice(10, 130), slice(40, 165))
    part = extend_anomalies((noise + light)[cut], starlight[cut], seen[cut], limit=12.0)
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    np.testing.assert_array_equal(part[inner], whole[cut][inner])


def test_limit_of_a_bright_background():
    limits = anomaly_limit(np.array([100.0, 1200.0, 5000.0]), 12.0)
    np.testing.assert_allclose(limits, [12.0, 12.0, 50.0])
