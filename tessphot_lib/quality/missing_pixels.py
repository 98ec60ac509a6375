"""Pixels that an image has no data for."""

import numpy as np
from numpy.typing import NDArray


def without_missing(flux: NDArray) -> NDArray:
    """Mark the pixels of calibrated images that were not filled.

    The sky is in calibrated images, so that no pixel is exactly 0 but those that were never
    written: whole images, or some of their rows.

    Parameters
    ----------
    flux : array of any shape
        Calibrated, sky included [e-/s].

    Returns
    -------
    array of the same shape and type
        NaN where ``flux`` is exactly 0; ``flux`` itself if that is nowhere.
    """
    missing = flux == 0
    if not missing.any():
        return flux
    return np.where(missing, flux.dtype.type(np.nan), flux)
