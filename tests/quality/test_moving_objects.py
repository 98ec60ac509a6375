"""Moving objects in images of known truth: their tracks, and nothing else."""

import numpy as np
import pytest
from star_images import gaussian_star

from tessphot_lib.core.geometry import Window
from tessphot_lib.quality.moving_objects import Detections, find_detections, link_tracks

N_ROWS, N_COLUMNS, FIRST_ROW, FIRST_COLUMN = 60, 80, 300, 500
SIGMA = 5.0


def image(index, *objects, seed=0):
    """Objects are (row, column, rows per image, columns per image, flux)."""
    window = Window(FIRST_ROW, FIRST_ROW + N_ROWS, FIRST_COLUMN, FIRST_COLUMN + N_COLUMNS)
    light = np.random.default_rng([seed, index]).normal(0, SIGMA, (N_ROWS, N_COLUMNS))
    for row, column, speed_row, speed_column, flux in objects:
        at = row + index * speed_row, column + index * speed_column
        light += gaussian_star(window, *at, flux, 0.8)
    return light


def detections(light, sigma, index):
    return find_detections(light[None], sigma[None], np.array([index]), FIRST_ROW, FIRST_COLUMN)


def tracks_of(*objects, n_images=40, time=None, missing=(), seed=0):
    sigma = np.full((N_ROWS, N_COLUMNS), SIGMA)
    found = []
    for index in range(n_images):
        light = (
            np.full_like(sigma, np.nan) if index in missing else image(index, *objects, seed=seed)
        )
        found.append(detections(light, sigma, index))
    time = np.arange(n_images, dtype=float) if time is None else time
    return link_tracks(Detections.join(found), time)


@pytest.mark.parametrize("speed", [(0.3, 0.9), (-0.1, 0.12), (1.2, -0.4)])
@pytest.mark.parametrize("flux", [150.0, 3000.0])
def test_an_object_is_followed(speed, flux):
    start = 310.3 if speed[0] > 0 else 345.3, 530.4
    (track,) = tracks_of((*start, *speed, flux))
    time = np.arange(track.first, track.last + 1, dtype=float)
    row, column = track.at(time)
    np.testing.assert_allclose(row, start[0] + time * speed[0], atol=0.3)
    np.testing.assert_allclose(column, start[1] + time * speed[1], atol=0.3)
    assert track.flux == pytest.approx(flux, rel=0.2)
    assert track.first <= 3
    assert len(track.members) > 0.8 * (track.last - track.first + 1)


def test_two_objects_that_cross():
    tracks = tracks_of((310.0, 510.0, 0.8, 1.0, 800.0), (342.0, 510.0, -0.8, 1.0, 2000.0))
    assert len(tracks) == 2
    assert sorted(
        round(float(np.polyval(track.row, 1) - np.polyval(track.row, -1)) > 0) for track in tracks
    ) == [0, 1]


def test_a_gap_is_bridged():
    (track,) = tracks_of((310.0, 510.0, 0.5, 0.6, 1000.0), missing=range(15, 20))
    assert (track.first, track.last) == (0, 39)


@pytest.mark.parametrize("seed", range(3))
def test_noise_makes_no_tracks(seed):
    assert tracks_of(seed=seed) == []


def test_a_variable_star_does_not_move():
    assert tracks_of((330.2, 540.3, 0.0, 0.0, 2000.0)) == []


def test_an_edge_of_light_is_no_object():
    """Nor one that moves: it has not the shape of a star."""
    sigma, found = np.full((N_ROWS, N_COLUMNS), SIGMA), []
    for index in range(30):
        light = image(index)
        light[:, : 10 + index] += 100.0
        found.append(detections(light, sigma, index))
    assert link_tracks(Detections.join(found), np.arange(30.0)) == []


def test_many_images_at_once_are_as_one_by_one(monkeypatch):
    """With no more than the three brightest of each; an object at the very edge is one of them."""
    monkeypatch.setattr("tessphot_lib.quality.moving_objects.MAX_DETECTIONS", 3)
    objects = [(301.2 + 9 * k, 502.3 + 13 * k, 0.3, 1.1, 300.0 + 100 * (k % 4)) for k in range(6)]
    light = np.array([image(index, *objects) for index in range(5)])
    light[2] = np.nan
    light[3, :10, :10] = np.nan
    sigma, numbers = np.full(light.shape, SIGMA), np.array([4, 7, 8, 20, 31])
    together = find_detections(light, sigma, numbers, FIRST_ROW, FIRST_COLUMN)
    alone = Detections.join([detections(*one) for one in zip(light, sigma, numbers, strict=True)])
    assert np.unique(together.image, return_counts=True)[1].tolist() == [3, 3, 3, 3]
    for name, values in vars(alone).items():
        np.testing.assert_array_equal(getattr(together, name), values)


def test_nothing_in_nothing():
    nothing = np.full((N_ROWS, N_COLUMNS), np.nan)
    assert len(detections(nothing, nothing, 0).flux) == 0
    assert link_tracks(Detections.join([]), np.arange(5.0)) == []
