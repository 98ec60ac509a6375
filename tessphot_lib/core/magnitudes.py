"""Magnitudes and fluxes (Pogson's scale: five magnitudes are a factor of 100)."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import TMAG_ZEROPOINT

GAIA_COLORS = (-0.2, 3.5)  # [mag] BP - RP for which the polynomial holds
GAIA_TO_TMAG = (-0.00522555, 0.0891337, -0.633923, 0.0324473)  # Tmag - G by BP - RP


def flux_of(tmag: NDArray | float, zeropoint: float = TMAG_ZEROPOINT) -> NDArray | float:
    """Flux of stars [e-/s] by their magnitude.

    Parameters
    ----------
    tmag : array or float
        NaN gives NaN.
    zeropoint : float
        Magnitude of a star that gives 1 e-/s; that of the mission, or of a fitted PRF.
    """
    return flux_ratio(zeropoint - tmag)


def magnitude_of(flux: NDArray | float, zeropoint: float = TMAG_ZEROPOINT) -> NDArray | float:
    """Magnitude of stars by their flux [e-/s]: the inverse of `flux_of`."""
    return zeropoint - 2.5 * np.log10(flux)


def tmag_of_gaia(g: float, bp_rp: float) -> float:
    """Estimate Tmag of a star by its magnitude and color in Gaia (Stassun et al. 2019).

    Parameters
    ----------
    g : float
        [mag]
    bp_rp : float
        BP - RP [mag]; where it is NaN, or outside of -0.2 to 3.5, the mean difference
        of their eq. 2 is taken.
    """
    if not GAIA_COLORS[0] <= bp_rp <= GAIA_COLORS[1]:
        return g - 0.430
    return g + float(np.polyval(GAIA_TO_TMAG, bp_rp))


def flux_ratio(difference: NDArray | float) -> NDArray | float:
    """By what factor something is brighter that is brighter by a difference in magnitude."""
    return 10 ** (0.4 * difference)
