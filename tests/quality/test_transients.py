"""Detections that stay where they are."""

import numpy as np
import pytest

from tessphot_lib.quality.moving_objects import Detections
from tessphot_lib.quality.transients import stationary_sources


def detections(image, row, column, seed=0, snr=20.0, scatter=0.1):
    image = np.asarray(image)
    off = np.random.default_rng(seed).normal(0, scatter, (2, len(image)))
    return Detections(
        image,
        np.broadcast_to(row, image.shape) + off[0],
        np.broadcast_to(column, image.shape) + off[1],
        np.full(image.shape, 300.0),
        np.full(image.shape, float(snr)),
    )


def test_what_stays_is_a_source():
    one, two = (
        detections(np.arange(10, 22), 310.2, 511.7),
        detections([4, 5, 6], 314.6, 511.7, seed=1, snr=50.0),
    )
    first, second = stationary_sources(Detections.join([one, two]))
    assert (first.row, first.column) == pytest.approx((314.6, 511.7), abs=0.2)
    assert (second.row, second.column) == pytest.approx((310.2, 511.7), abs=0.1)
    assert second.members.tolist() == list(range(12))
    assert 0.02 <= second.error < 0.1 < 3 * first.error


@pytest.mark.parametrize("speed", [(0.12, 0.0), (-0.1, 0.25), (0.5, 0.7)])
def test_what_moves_is_none(speed):
    image = np.arange(30)
    found = detections(image, 310 + speed[0] * image, 511 + speed[1] * image)
    assert stationary_sources(found) == []


def test_flashes_are_none():
    """In two images, or in many that do not follow each other."""
    assert stationary_sources(detections([7, 8], 310.0, 511.0)) == []
    assert stationary_sources(detections([7, 19, 34, 60], 310.0, 511.0)) == []
    assert stationary_sources(Detections.join([])) == []


def test_one_detection_of_each_image_counts():
    found = Detections.join([detections([5, 6], 310.0, 511.0), detections([5, 6], 310.4, 511.0)])
    assert stationary_sources(found) == []


def at_places(image, row, snr=20.0):
    """Detections exactly where they are said to be, all at one column."""
    image, row, snr = np.broadcast_arrays(
        image, np.asarray(row, dtype=float), np.asarray(snr, dtype=float)
    )
    return Detections(image, row, np.full(row.shape, 511.0), np.full(row.shape, 300.0), snr)


def places(found):
    return sorted(round(source.row, 3) for source in stationary_sources(found))


def test_position_and_error_are_the_weighted_ones():
    """By signal to noise, of at most 50: twice as much at 310.0 as at 310.3."""
    (source,) = stationary_sources(at_places(np.arange(8), [310.0, 310.3] * 4, [500.0, 25.0] * 4))
    assert source.row == pytest.approx(310.1)
    assert source.column == pytest.approx(511.0)
    assert source.error == pytest.approx(np.sqrt(0.02) / np.sqrt(2 * 8))


def test_the_brightest_detection_of_an_image_counts():
    image = np.arange(5)
    bright, faint = at_places(image, 310.0, 20.0), at_places(image, 310.5, 19.0)
    (source,) = stationary_sources(Detections.join([faint, bright]))
    assert source.row == 310.0
    assert source.members.tolist() == [5, 6, 7, 8, 9]


def test_sources_side_by_side_or_one_after_the_other_are_two():
    first, image = at_places(np.arange(10, 22), 310.0), np.arange(12)
    for later in (10, 60):
        second = at_places(image + later, 312.0)
        assert places(Detections.join([first, second])) == [310.0, 312.0]


@pytest.mark.parametrize(
    ("image", "is_source"),
    [([7, 9, 11], True), ([7, 9, 12], False), ([2, 30, 32, 34, 60], True)],
)
def test_three_detections_in_five_images_are_enough(image, is_source):
    assert len(stationary_sources(at_places(image, 310.0))) == is_source


@pytest.mark.parametrize(("size", "is_source"), [(0.4, True), (0.8, False)])
def test_what_jumps_about_is_no_source(size, is_source):
    found = at_places(np.arange(9), 310.0 + size * np.array([0, 1, -1, 1, -1, 1, -1, 1, -1]))
    assert len(stationary_sources(found)) == is_source


def test_a_drift_is_one_if_it_is_large_and_clear():
    image, few = np.arange(100), np.arange(5)
    assert places(at_places(image, 310 + 0.3 * image / 99, 50.0)) == [310.15]  # clear, but small
    assert places(at_places(few, 310 + 0.24 * few, 3.0)) == [310.48]  # could be noise
    assert places(at_places(few, 310 + 0.24 * few, 50.0)) == []
    # Scatter beyond what the signal to noise tells counts as noise.
    image = np.arange(6)
    scatter = np.array([0.3, -0.3, 0.3, -0.3, 0.3, -0.3])
    drift = 310 + 0.96 * (image / 5 - 0.5)
    assert places(at_places(image, drift)) == []
    assert places(at_places(image, drift + scatter)) == [310.0]
