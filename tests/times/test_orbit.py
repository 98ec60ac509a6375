"""The laws of motion: orbits with known answers, and JPL's path of TESS."""

import numpy as np
import pytest
from paths import REALDATA

from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.times.barycenter import earth_position
from tessphot_lib.times.orbit import GM_EARTH, Bodies, predicted_state, propagate

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
EPOCH = 1500.3


@pytest.fixture(scope="module")
def bodies():
    return Bodies.between(1480.0, 1520.0)


def test_close_orbit_is_keplers(bodies):
    """So near the Earth that the Moon and the Sun matter little."""
    semi_axis, eccentricity = 9000.0, 0.2
    perigee = semi_axis * (1 - eccentricity)
    speed = np.sqrt(GM_EARTH * (1 + eccentricity) / perigee)
    state = np.array([perigee, 0, 0, 0, 0.6 * speed, 0.8 * speed])
    period = 2 * np.pi * np.sqrt(semi_axis**3 / GM_EARTH) / 86400
    half, whole = propagate(state, EPOCH, EPOCH + period * np.array([0.5, 1.0]), bodies)
    np.testing.assert_allclose(half[:3], [-semi_axis * (1 + eccentricity), 0, 0], atol=0.05)
    np.testing.assert_allclose(whole, state, rtol=0, atol=0.1)


def test_there_and_back_in_any_order(bodies):
    state = predicted_state(EPOCH)
    times = np.array([1510.0, 1490.0, EPOCH, 1500.0, 1510.0])
    states = propagate(state, EPOCH, times, bodies)
    np.testing.assert_array_equal(states[0], states[4])
    np.testing.assert_array_equal(states[2], state)
    back = propagate(states[1], 1490.0, np.array([EPOCH, 1510.0]), bodies)
    np.testing.assert_allclose(back[0, :3], state[:3], atol=0.1)
    np.testing.assert_allclose(back[1, :3], states[0, :3], atol=0.5)


def test_period_and_size_of_tess_orbit():
    """Two revolutions in the time of one of the Moon; 17 to 59 (later 64) Earth radii."""
    times = np.arange(1325.0, 1325.0 + 27.32 * 13, 0.25)
    bodies = Bodies.between(times[0], times[-1])
    path = propagate(predicted_state(1500.0), 1500.0, times, bodies)
    distance = np.linalg.norm(path[:, :3], axis=1)
    lowest = np.flatnonzero((distance[1:-1] < distance[:-2]) & (distance[1:-1] <= distance[2:]))
    assert len(lowest) in (25, 26)
    assert 65e3 < distance.min() < 120e3
    assert 340e3 < distance.max() < 415e3


@needs_realdata
@pytest.mark.realdata
@pytest.mark.parametrize("name", ["20180720_tess_ephem.csv.gz", "20190101_tess_ephem.csv.gz"])
def test_path_is_that_of_jpl(name):
    times = np.arange(1330.0, 1482.0, 0.7) + (355.0 if name.startswith("2019") else 0.0)
    tess = read_ephemeris(REALDATA / "ephemeris" / name, times).position
    expected = tess - earth_position(times) * 86400 * 299792.458
    bodies = Bodies.between(times[0], times[-1])
    found = propagate(predicted_state(times[0]), times[0], times, bodies)[:, :3]
    distance = np.linalg.norm(found - expected, axis=1)
    assert np.sqrt(np.mean(distance**2)) < 250
    assert distance.max() < 700
