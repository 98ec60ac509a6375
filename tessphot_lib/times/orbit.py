"""The path of TESS around the Earth, from the laws of motion.

TESS flies freely: with the attraction of the Earth, the Moon and the Sun and
the pressure of sunlight its path follows from where it was at one moment. One
state vector, fitted to JPL's path of July 2018 to December 2019, gives that path
to 120 km rms (0.4 ms of light travel), and predicts SPOC's corrections of sectors 25 to
37, up to 16 months later, to 1 ms in the median (3 ms at most).

Positions are geocentric [km] and velocities [km/s], along the axes of the ICRS;
times BTJD at the spacecraft.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_OFFSET, SECONDS_PER_DAY

# [km3/s2] of the JPL ephemeris DE430 (Folkner et al. 2014)
GM_EARTH, GM_MOON, GM_SUN = 398600.435436, 4902.800066, 132712440041.939
SUNLIGHT = 7.5787e-11  # [km/s2] acceleration away from the Sun, fitted with the state

REFERENCE_TIME = 1600.0  # [BTJD]
REFERENCE_STATE = (
    *(108287.8046, 299378.0096, 70047.3644),  # [km]
    *(-0.5054098713, 0.7465599718, -0.1485004729),  # [km/s]
)  # fitted to the vectors of JPL Horizons for TESS (-95), BTJD 1330 to 1845
LAST_FITTED = 1845.0  # [BTJD]

BODY_STEP = 0.25  # [d] grid on which the Moon and the Sun are tabulated
TOLERANCE = {"rtol": 1e-10, "atol": 1e-6}


@dataclass(frozen=True)
class Bodies:
    """Geocentric places of the Moon and the Sun over some time, as cubic splines [km].

    Attributes
    ----------
    start : float
        First node; the others follow at intervals of `BODY_STEP` [BTJD].
    coefficients : (n_intervals, 4, 6) array
        Polynomials of the time since the node before, the highest power first: of the three
        coordinates of the Moon and those of the Sun.
    """

    start: float
    coefficients: NDArray

    @classmethod
    def between(cls, first: float, last: float) -> "Bodies":
        """Tabulate them; astropy's own series need no files."""
        from astropy.coordinates import get_body_barycentric
        from astropy.time import Time

        time = np.arange(first - 4 * BODY_STEP, last + 5 * BODY_STEP, BODY_STEP)
        when = Time(BTJD_OFFSET, time, format="jd", scale="tdb")
        place = {
            name: get_body_barycentric(name, when, ephemeris="builtin").xyz.to_value("km").T
            for name in ("earth", "moon", "sun")
        }
        both = np.hstack([place[name] - place["earth"] for name in ("moon", "sun")])
        spline = scipy.interpolate.CubicSpline(time, both)
        return cls(float(time[0]), np.ascontiguousarray(spline.c.swapaxes(0, 1)))

    def at(self, time: float) -> list[float]:
        """Coordinates of the Moon and those of the Sun at one moment; six numbers.

        A fifth of the time that scipy's splines take for one.
        """
        index = min(max(int((time - self.start) / BODY_STEP), 0), len(self.coefficients) - 1)
        since = time - (self.start + index * BODY_STEP)
        cubic, square, slope, level = self.coefficients[index]
        return (((cubic * since + square) * since + slope) * since + level).tolist()


def propagate(state: NDArray, epoch: float, time: NDArray, bodies: Bodies) -> NDArray:
    """Follow the path of a spacecraft.

    Parameters
    ----------
    state : (6,) array
        Position and velocity at ``epoch``.
    epoch : float
    time : (n,) array
        In any order, before and after ``epoch``; must lie within ``bodies``.
    bodies : Bodies

    Returns
    -------
    (n, 6) float64 array
        Position and velocity at ``time``.
    """
    moments, place = np.unique(np.asarray(time, dtype=float), return_inverse=True)
    states = np.empty((len(moments), 6))
    states[moments == epoch] = state
    for side, backwards in ((moments > epoch, False), (moments < epoch, True)):
        if not side.any():
            continue
        wanted = moments[side][::-1] if backwards else moments[side]
        path = scipy.integrate.solve_ivp(
            _motion,
            (epoch, wanted[-1]),
            np.asarray(state, dtype=float),
            method="DOP853",
            t_eval=wanted,
            args=(bodies,),
            **TOLERANCE,
        ).y.T
        states[side] = path[::-1] if backwards else path
    return states[place]


def predicted_state(epoch: float) -> NDArray:
    """State (6,) of TESS at any moment, from where it was in April 2019."""
    bodies = Bodies.between(min(epoch, REFERENCE_TIME), max(epoch, REFERENCE_TIME))
    return propagate(np.array(REFERENCE_STATE), REFERENCE_TIME, np.array([epoch]), bodies)[0]


def _motion(time: float, state: NDArray, bodies: Bodies) -> list[float]:
    """Time derivative of the state [per day]; in plain numbers, which is faster for so few."""
    x, y, z, *velocity = state.tolist()
    moon_x, moon_y, moon_z, sun_x, sun_y, sun_z = bodies.at(time)
    earth = GM_EARTH / (x * x + y * y + z * z) ** 1.5
    light = SUNLIGHT / math.sqrt(sun_x * sun_x + sun_y * sun_y + sun_z * sun_z)
    moon_here, moon_there = _pulls(GM_MOON, moon_x, moon_y, moon_z, x, y, z)
    sun_here, sun_there = _pulls(GM_SUN, sun_x, sun_y, sun_z, x, y, z)
    # The Moon and the Sun attract the Earth, too, which is the origin.
    acceleration = [
        moon_here * (moon - own)
        - moon_there * moon
        + sun_here * (sun - own)
        - (sun_there + light) * sun
        - earth * own
        for own, moon, sun in ((x, moon_x, sun_x), (y, moon_y, sun_y), (z, moon_z, sun_z))
    ]
    return [SECONDS_PER_DAY * value for value in (*velocity, *acceleration)]


def _pulls(
    gm: float, body_x: float, body_y: float, body_z: float, x: float, y: float, z: float
) -> tuple[float, float]:
    """Attraction of a body by its distance [1/s2]: on a spacecraft, and on the Earth."""
    near = (body_x - x) ** 2 + (body_y - y) ** 2 + (body_z - z) ** 2
    return gm / near**1.5, gm / (body_x * body_x + body_y * body_y + body_z * body_z) ** 1.5
