"""Light travel time between the spacecraft and the barycentre of the solar system."""

import numpy as np
from astropy.coordinates import get_body_barycentric
from astropy.time import Time
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_OFFSET, SPEED_OF_LIGHT_AU_PER_DAY
from tessphot_lib.simulation.pointing import to_vectors

ORBIT_RADIUS = 0.00167  # [au] 250,000 km, roughly the mean distance of TESS from Earth
ORBIT_PERIOD = 13.7  # [d]
ORBIT_INCLINATION = np.deg2rad(37.0)


def spacecraft_position(time: NDArray) -> NDArray:
    """Return the place of the spacecraft at ``time`` [BTJD], (n, 3) [au] from the barycentre.

    Earth by astropy's built-in series, and a circle around it.
    """
    time = np.atleast_1d(time)
    earth = get_body_barycentric(
        "earth", Time(BTJD_OFFSET, time, format="jd", scale="tdb"), ephemeris="builtin"
    )
    phase = 2 * np.pi * time / ORBIT_PERIOD
    circle = np.stack(
        [
            np.cos(phase),
            np.sin(phase) * np.cos(ORBIT_INCLINATION),
            np.sin(phase) * np.sin(ORBIT_INCLINATION),
        ],
        axis=-1,
    )
    return earth.xyz.to_value("au").T + ORBIT_RADIUS * circle


def barycentric_correction(time: NDArray, ra: NDArray, dec: NDArray) -> NDArray:
    """Return what to add to the spacecraft's ``time``, (n_times, n_stars) [d].

    ``ra``, ``dec`` are arrays [deg].
    """
    direction = to_vectors(np.atleast_1d(ra), np.atleast_1d(dec))
    return spacecraft_position(time) @ direction / SPEED_OF_LIGHT_AU_PER_DAY
