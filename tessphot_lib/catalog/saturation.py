"""Saturated stars: full wells, and how far their charge bleeds."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.magnitudes import flux_of

FULL_WELL_RATE = 9e4  # [e-/s] a pixel that fills its well of 1.8e5 e- in each 2-s frame


def bleed_half_length(tmag: NDArray) -> NDArray:
    """Rows above and below a saturated star that its bleed trail may reach [pixels]."""
    flux = flux_of(np.asarray(tmag))
    return 0.4 * flux / FULL_WELL_RATE + 5.0


def saturation_flags(flux: NDArray, full_well_rate: float) -> NDArray:
    """Flag pixels that are full, (n_rows, n_columns) uint8; NaN pixels are not."""
    with np.errstate(invalid="ignore"):
        return (flux > full_well_rate) * np.uint8(PixelFlag.SATURATED)


BLEED_SHARE = 0.5  # of a full well: pixels above it in a saturated star's columns are its own


MAX_MOVE = 4  # [rows] beyond full pixels that the end of a bleed trail may reach
TRAIL_END = np.ones((2 * MAX_MOVE + 1, 1), dtype=bool)
