"""Magnitudes and fluxes (Pogson's scale: five magnitudes are a factor of 100)."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import TMAG_ZEROPOINT


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


def flux_ratio(difference: NDArray | float) -> NDArray | float:
    """By what factor something is brighter that is brighter by a difference in magnitude."""
    return 10 ** (0.4 * difference)
