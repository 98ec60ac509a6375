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
