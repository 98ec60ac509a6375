"""What the pixels do not show of a PRF: small stamps end 5 pixels from their stars.

What the noise of the few pixels beyond makes of the rest can be a ring of negative light, and
1.5 % too much light inside of it. The generic PRF goes on there, by as much as there is of it
nearer to the stars.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import spline_matrix
from tessphot_lib.prf.generic import N_SPLINES, SPACING, generic_prf
from tessphot_lib.prf.stars import HALF, StarField, corners, stamps_of

SEEN_BY, SEEN_BY_MANY = 0.5, 50  # a part is known that half of the stars, or so many, show
FOLLOWED = 3.5, 6.0  # [pixels] from the star, where the PRF tells how it goes on


def coefficients_seen(prf: Prf, field: StarField, stars: NDArray) -> NDArray:
    """Return how well the pixels of some stars show the coefficients of a PRF.

    Parameters
    ----------
    prf : Prf
        For the distance of its splines.
    field : StarField
        Pixels that are not finite are not there.
    stars : (n,) int array

    Returns
    -------
    (n_splines, n_splines) float64 array
        From 0, no star has pixels there, to 1, `SEEN_BY` of them or `SEEN_BY_MANY` have.
    """
    offsets, n_splines = np.arange(2 * HALF + 1), prf.coefficients.shape[2]
    positions = field.row[stars], field.column[stars]
    left, right = (
        spline_matrix(first[:, None] + offsets - position[:, None], n_splines, prf.spacing) ** 2
        for first, position in zip(corners(field, stars), positions, strict=True)
    )
    pixels = np.isfinite(stamps_of(field.image, field, stars)).astype(float)
    there = (left.swapaxes(1, 2) @ pixels @ right).sum(axis=0)
    whole = (left.swapaxes(1, 2) @ np.ones(pixels.shape) @ right).sum(axis=0)
    fraction = there / np.maximum(whole, 1e-300)
    return np.minimum(fraction * max(1 / SEEN_BY, len(stars) / SEEN_BY_MANY), 1.0)


def with_unseen(unknowns: NDArray, seen: NDArray) -> NDArray:
    """Let the generic PRF go on where no pixels are.

    Parameters
    ----------
    unknowns : (n_terms, n_splines, n_splines) array
        Coefficients of each term of the field.
    seen : (n_splines, n_splines) array
        From `coefficients_seen`.

    Returns
    -------
    (n_terms, n_splines, n_splines) float64 array
        As they are where they are seen, or where nothing is at `FOLLOWED`.
    """
    generic = generic_prf().coefficients[0, 0]
    offset = SPACING * (np.arange(N_SPLINES) - N_SPLINES // 2)
    distance = np.hypot(offset[:, None], offset)
    weight = np.where((distance >= FOLLOWED[0]) & (distance <= FOLLOWED[1]), seen, 0.0)
    if not weight.any():
        return unknowns
    factor = (weight * unknowns).sum(axis=(1, 2)) / (weight * generic).sum()
    return seen * unknowns + (1 - seen) * factor[:, None, None] * generic
