"""Magnitudes that the pixels of an image leave possible, for what is done before stars are fitted.

A list may have numbers that stand for none, such as 0 for a star of Tmag 10, whose light would
be expected all over the image. Finer errors are found once there is a PRF
(`tessphot_lib.prf.list_check`).
"""

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import BLEED_SHARE, FULL_WELL_RATE
from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.stamps import values_at

SIDE = 5  # [pixels] in which the brightest one is looked for
LEAST_PEAK = 0.1  # of a star's light is in its brightest pixel
IMPOSSIBLE = 10.0  # times the most light that there can be


def possible_magnitudes(
    image: NDArray, window: Window, row: NDArray, column: NDArray, tmag: NDArray
) -> NDArray:
    """Replace magnitudes that are far too bright for the pixels about the star.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Sky included or not [e-/s]; NaN where there is no pixel.
    window : Window
        Pixels it covers.
    row, column, tmag : (n_stars,) arrays
        Stars in and around it; NaN stays.

    Returns
    -------
    (n_stars,) float64 array
        That of all light that the brightest pixel can show, where a magnitude is brighter
        by a factor of `IMPOSSIBLE`; else as given, also off the window and beside full pixels.
    """
    tmag = np.asarray(tmag, dtype=float)
    if not np.isfinite(image).any():
        return tmag.copy()
    finite = np.where(np.isfinite(image), image, -np.inf)
    brightest = scipy.ndimage.maximum_filter(finite, SIDE, mode="constant", cval=-np.inf)
    seen = values_at(brightest, window, row, column, outside=np.inf)
    most = np.maximum(seen - float(np.nanmin(image)), 1.0) / LEAST_PEAK
    with np.errstate(invalid="ignore"):
        impossible = flux_of(tmag) > IMPOSSIBLE * most
    impossible &= np.isfinite(seen) & (seen < BLEED_SHARE * FULL_WELL_RATE)
    limit = TMAG_ZEROPOINT - 2.5 * np.log10(np.where(impossible, most, 1.0))
    return np.where(impossible, limit, tmag)
