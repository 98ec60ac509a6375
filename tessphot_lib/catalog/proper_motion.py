"""Places of stars in other years than that of the catalog."""

import numpy as np
import pandas as pd

CATALOG_EPOCH = 2000.0  # [year] of the positions in the TIC
MAS_PER_DEGREE = 3.6e6


def at_epoch(stars: pd.DataFrame, epoch: float) -> tuple[np.ndarray, np.ndarray]:
    """Move positions by their proper motions; unknown proper motions count as zero.

    The motion goes along a great circle with the direction and speed at epoch
    2000, so that it is right at the poles, too.

    Parameters
    ----------
    stars : DataFrame
        ra_j2000, dec_j2000 [deg], pm_ra (times the cosine of the declination), pm_dec [mas/yr].
    epoch : float
        [year]

    Returns
    -------
    ra, dec : (n,) float64 arrays
        At ``epoch`` [deg].
    """
    ra, dec = np.radians(stars["ra_j2000"].to_numpy()), np.radians(stars["dec_j2000"].to_numpy())
    years = epoch - CATALOG_EPOCH
    east, north = (
        np.radians(np.nan_to_num(stars[name].to_numpy(dtype=float)) * years / MAS_PER_DEGREE)
        for name in ("pm_ra", "pm_dec")
    )
    zero = np.zeros_like(ra)
    radial = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    to_east = np.stack([-np.sin(ra), np.cos(ra), zero])
    to_north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    moved = radial + east * to_east + north * to_north
    new_ra = np.degrees(np.arctan2(moved[1], moved[0])) % 360.0
    new_dec = np.degrees(np.arctan2(moved[2], np.hypot(moved[0], moved[1])))
    return new_ra, new_dec
