"""A PRF for fields that show none of their own, and to begin fits with."""

import numpy as np
import scipy

from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import evenly_normalized, spline_matrix
from tessphot_lib.prf.stars import HALF

N_SPLINES = 33  # the core reaches 9 pixels
SPACING = 0.5  # [pixels] of the splines
# Round Gaussians, integrated over the pixels, with the average PRF's fraction of the light in 4, 9
# and 16 pixels (60, 81 and 95 %; the mission's PRFs: 57-67, 79-82, 89-90 %).
GENERIC_SHARE = np.array([0.74, 0.21, 0.05])
GENERIC_WIDTH = np.array([0.64, 1.25, 3.3])  # [pixels]
GENERIC_ERROR = 0.02  # of the star's light in each pixel


def generic_prf() -> Prf:
    """A round PRF like the average of all cameras', for fields that show none of their own."""
    offset = (np.arange(4 * N_SPLINES + 1) - 2 * N_SPLINES) * SPACING / 4
    edges = [(offset[:, None] + side) / (GENERIC_WIDTH * np.sqrt(2)) for side in (-0.5, 0.5)]
    profiles = 0.5 * (scipy.special.erf(edges[1]) - scipy.special.erf(edges[0]))
    wanted = np.einsum("k,rk,ck->rc", GENERIC_SHARE, profiles, profiles)
    design = spline_matrix(offset, N_SPLINES, SPACING)
    inside = np.abs(offset) <= (N_SPLINES // 2 - 1) * SPACING
    inverse = np.linalg.pinv(design[inside])
    coefficients = inverse @ wanted[np.ix_(inside, inside)] @ inverse.T
    side = 2 * HALF + 1
    prf = Prf(
        node_row=np.zeros(1),
        node_column=np.zeros(1),
        coefficients=coefficients[None, None],
        spacing=SPACING,
        interpolation="cubic",
        wing_radius=np.zeros(0),
        wing_share=np.zeros(0),
        error=np.full((side, side), GENERIC_ERROR),
        zeropoint=TMAG_ZEROPOINT,
        source="generic",
    )
    return evenly_normalized(prf)
