"""Positions of stars in other years than that of the catalog."""

import numpy as np
import pandas as pd

from tessphot_lib.core.sphere import tangent_axes, unit_vector

CATALOG_EPOCH = 2000.0  # [year] of the positions in the TIC
MAS_PER_DEGREE = 3.6e6


def at_epoch(
    stars: pd.DataFrame, epoch: float, start: np.ndarray | float = CATALOG_EPOCH
) -> tuple[np.ndarray, np.ndarray]:
    """Move positions by their proper motions; unknown proper motions count as zero.

    The motion goes along a great circle with the direction and speed at the
    start, so that it is right at the poles, too.

    Parameters
    ----------
    stars : DataFrame
        ra_j2000, dec_j2000 [deg], pm_ra (times the cosine of the declination), pm_dec [mas/yr].
    epoch : float
        [year]
    start : float or (n,) array
        Epoch that the given positions are of [year].

    Returns
    -------
    ra, dec : (n,) float64 arrays
        At ``epoch`` [deg].
    """
    directions = stars["ra_j2000"].to_numpy(), stars["dec_j2000"].to_numpy()
    years = epoch - np.asarray(start, dtype=float)
    east, north = (
        np.radians(np.nan_to_num(stars[name].to_numpy(dtype=float)) * years / MAS_PER_DEGREE)
        for name in ("pm_ra", "pm_dec")
    )
    to_east, to_north = tangent_axes(*directions)
    moved = unit_vector(*directions) + east[:, None] * to_east + north[:, None] * to_north
    x, y, z = moved.T
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))
