"""Whether the stars of the average image are where the catalog has them, and what if not."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.catalog_offset import catalog_offset

log = logging.getLogger(__name__)

LIMITS = {"bright_limit": 7.5, "faint_limit": 12.5}  # [Tmag] of the stars that show it
MAX_OFFSET = 2.0  # [pixels] that the stars may be off: masks and motion stars would miss them
MIN_OFFSET = 0.15  # [pixels] smaller ones are left to the comparison of single stars
AFFINE_STARS = 20  # with fewer only the translation is believed


def check_catalog(
    image: NDArray,
    window: Window,
    stars: pd.DataFrame,
    *,
    catalog: Path,
    reference: str,
    mean_motion: NDArray | None = None,
) -> CatalogShift:
    """Compare a catalog with the stars of an image; refuse one that is displaced by much.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        The median of images, or their mean [e-/s].
    window : Window
    stars : DataFrame
        row, column, tmag of the catalog.
    catalog, reference
        Its path, and the image whose WCS it is from, for the message.
    mean_motion : (6,) array, optional
        By which this image is displaced against the reference image, as its motion says.

    Returns
    -------
    CatalogShift
        What is to be added to all positions: displacement, turn and scale where enough stars
        show more than `MIN_OFFSET`.

    Raises
    ------
    InputDataError
        If stars are off by more than `MAX_OFFSET` in the middle or a corner of the window.
    """
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    if mean_motion is not None:
        moved = displacement(mean_motion[None], row, column)
        row, column = row + moved[0][0], column + moved[1][0]
    off = catalog_offset(image, window, row, column, tmag, zeropoint=TMAG_ZEROPOINT, **LIMITS)
    if off is None or off.largest <= MIN_OFFSET:
        return CatalogShift()
    told = (
        f"{catalog}: the average image has the stars up to {off.largest:.1f} pixels from where "
        f"the catalog has them ({off.d_row:+.1f} rows, {off.d_column:+.1f} columns in the middle; "
        f"{counted(off.n_stars, 'star')})"
    )
    if off.largest > MAX_OFFSET:
        raise InputDataError(
            f"{told}: the WCS of {reference} is wrong, or the positions of the star list are; "
            "take that image away, or mend the list"
        )
    motion = off.motion
    if off.n_stars < AFFINE_STARS:
        motion = np.array([off.d_row, 0.0, 0.0, off.d_column, 0.0, 0.0])
    if not np.hypot(off.d_row, off.d_column) > MIN_OFFSET and off.n_stars < AFFINE_STARS:
        return CatalogShift()
    log.warning("%s; positions are set right by that", told)
    return CatalogShift(motion, off.d_row, off.d_column, off.n_stars)
