"""Times of stars: light travel between the telescope and the solar system's barycentre.

The correction is r.n / c: r the place of TESS relative to the barycentre, n the
direction of the star at the epoch of the images. The relativistic terms are left
out: r.v / c**2 is 2 microseconds at most, and SPOC's own corrections agree
to some 1 ms without them.

Positions are in light days along the axes of the ICRS.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_OFFSET, SPEED_OF_LIGHT_AU_PER_DAY
from tessphot_lib.core.sphere import unit_vector


def earth_position(time: NDArray, body: str = "earth") -> NDArray:
    """Barycentric position of the Earth.

    Parameters
    ----------
    time : (n,) array
        [BTJD] at the Earth: no barycentric correction in it.
    body : {'earth', 'earth-moon-barycenter'}

    Returns
    -------
    (n, 3) float64 array
        ICRS [light days]; from ERFA's analytic ephemeris, good to about 15 km
        (0.05 ms of light travel).
    """
    # get_body_barycentric is an ordinary polynomial series: no tables are fetched.
    from astropy.coordinates import get_body_barycentric
    from astropy.time import Time

    when = Time(BTJD_OFFSET, np.asarray(time, dtype=float), format="jd", scale="tdb")
    position = get_body_barycentric(body, when, ephemeris="builtin").xyz.to_value("au")
    return position.T / SPEED_OF_LIGHT_AU_PER_DAY


def star_time_correction(position: NDArray, ra: NDArray, dec: NDArray) -> NDArray:
    """Barycentric correction of each star in each image.

    Parameters
    ----------
    position : (n_images, 3) array
        Of the telescope, relative to the barycentre [light days].
    ra, dec : (n_stars,) arrays
        At the epoch of the images [deg].

    Returns
    -------
    (n_stars, n_images) float64 array
        To be added to the time at the telescope [d].
    """
    return unit_vector(np.asarray(ra), np.asarray(dec)) @ np.asarray(position).T


def track_time_correction(position: NDArray, ra: NDArray, dec: NDArray) -> NDArray:
    """Barycentric correction of an object that is elsewhere in each image.

    Parameters
    ----------
    position : (n_images, 3) array
        As of `star_time_correction`.
    ra, dec : (n_images,) arrays
        Of the object in each image [deg]; NaN gives NaN.

    Returns
    -------
    (n_images,) float64 array
        To be added to the time at the telescope [d].
    """
    return np.einsum("ij,ij->i", unit_vector(np.asarray(ra), np.asarray(dec)), position)
