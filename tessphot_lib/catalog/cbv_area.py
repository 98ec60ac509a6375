"""Areas of a camera that share systematics: rings about its centre, as TASOC counts them."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.sphere import separation

HALF_DIAGONAL = np.hypot(12.0, 12.0)  # [deg] from the centre to the corner of a camera
N_RINGS = 4


def cbv_area(
    camera: int, ccd: int, ra: NDArray, dec: NDArray, centre: tuple[float, float]
) -> NDArray:
    """Number of the area that stars lie in.

    Parameters
    ----------
    camera, ccd : int
    ra, dec : (n,) arrays
        [deg]
    centre : (ra, dec)
        Of the camera [deg].

    Returns
    -------
    (n,) int array
        ``camera * 100 + ccd * 10 + ring``, ring 1 to 4 by quarters of the
        distance from the centre to the corner.
    """
    distance = separation(*centre, ra, dec)
    ring = np.clip(np.ceil(distance / (HALF_DIAGONAL / N_RINGS)), 1, N_RINGS).astype(int)
    return camera * 100 + ccd * 10 + ring
