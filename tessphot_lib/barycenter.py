"""Times of stars: light travel between the telescope and the solar system's barycentre.

Each image comes with the correction for the centre of its CCD (BARYCORR). A
star elsewhere on the CCD gets that plus the difference r.(n_star - n_centre)/c,
where r is the position of the Earth: with TESS at most 2.3 light seconds off
it, and 8.5 deg from centre to corner, the error stays under 0.2 s.
"""

import numpy as np
from astropy.coordinates import get_body_barycentric
from astropy.time import Time
from numpy.typing import NDArray

from tessphot_lib.constants import BTJD_OFFSET, SPEED_OF_LIGHT_AU_PER_DAY


def earth_position(time: NDArray) -> NDArray:
    """Barycentric position of the Earth.

    Parameters
    ----------
    time : (n,) array
        [BTJD]

    Returns
    -------
    (n, 3) float64 array
        ICRS [light days]; from ERFA's analytic ephemeris, good to about 15 km
        (0.05 ms of light travel).
    """
    # get_body_barycentric is an ordinary polynomial series: no tables are fetched.
    when = Time(np.asarray(time, dtype=float) + BTJD_OFFSET, format="jd", scale="tdb")
    position = get_body_barycentric("earth", when, ephemeris="builtin").xyz.to_value("au")
    return position.T / SPEED_OF_LIGHT_AU_PER_DAY


def unit_vector(ra: NDArray, dec: NDArray) -> NDArray:
    """Directions as vectors: (..., 3) from right ascension and declination [deg]."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def star_time_correction(
    timecorr: NDArray,
    earth: NDArray,
    centre: tuple[float, float],
    ra: NDArray,
    dec: NDArray,
) -> NDArray:
    """Barycentric correction of each star in each image.

    Parameters
    ----------
    timecorr : (n_images,) array
        Correction for the centre of the CCD [d].
    earth : (n_images, 3) array
        From `earth_position` [light days].
    centre : (ra, dec)
        Direction that ``timecorr`` is for [deg].
    ra, dec : (n_stars,) arrays
        At the epoch of the images [deg].

    Returns
    -------
    (n_stars, n_images) float64 array
        To be added to the time at the telescope [d].
    """
    difference = unit_vector(ra, dec) - unit_vector(np.array(centre[0]), np.array(centre[1]))
    return timecorr + difference @ earth.T
