"""The path of TESS around the Earth, from the laws of motion.

TESS flies freely: with the attraction of the Earth, the Moon and the Sun and
the pressure of sunlight its path follows from where it was at one moment. One
state vector, fitted to JPL's path of July 2018 to December 2019, gives that path
to 120 km rms (0.4 ms of light travel), and predicts SPOC's corrections of sectors 25 to
37, up to 16 months later, to 1 ms in the median (3 ms at the most).

Positions are geocentric [km] and velocities [km/s], along the axes of the ICRS;
times BTJD at the spacecraft.
"""

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
    """Geocentric places of the Moon and the Sun over some time, as splines [km]."""

    moon: "scipy.interpolate.CubicSpline"
    sun: "scipy.interpolate.CubicSpline"

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
        return cls(
            scipy.interpolate.CubicSpline(time, place["moon"] - place["earth"]),
            scipy.interpolate.CubicSpline(time, place["sun"] - place["earth"]),
        )


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


def _motion(time: float, state: NDArray, bodies: Bodies) -> NDArray:
    """Time derivative of the state [per day]."""
    position = state[:3]
    acceleration = -GM_EARTH * position / np.linalg.norm(position) ** 3
    sun = bodies.sun(time)
    # The Moon and the Sun attract the Earth, too, which is the origin.
    for body, gm in ((bodies.moon(time), GM_MOON), (sun, GM_SUN)):
        towards = body - position
        acceleration = acceleration + gm * (
            towards / np.linalg.norm(towards) ** 3 - body / np.linalg.norm(body) ** 3
        )
    acceleration = acceleration - SUNLIGHT * sun / np.linalg.norm(sun)
    return SECONDS_PER_DAY * np.concatenate([state[3:], acceleration])
