"""Whether the stars of the average image are where the catalog has them."""

import logging
from pathlib import Path

import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.catalog_offset import catalog_offset

log = logging.getLogger(__name__)

LIMITS = {"bright_limit": 7.5, "faint_limit": 12.5}  # [Tmag] of the stars that show it
MAX_OFFSET = 1.5  # [pixels] that the stars may be off: masks and apertures would miss them
TOLD_OFFSET = 0.3  # [pixels]


def check_catalog(
    image: NDArray, window: Window, stars: pd.DataFrame, *, catalog: Path, reference: str
) -> None:
    """Refuse a catalog whose stars are displaced, turned or scaled against the image.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        The average image [e-/s].
    window : Window
    stars : DataFrame
        row, column, tmag of the catalog.
    catalog, reference
        Its path, and the image whose WCS it is from, for the message.

    Raises
    ------
    InputDataError
        If stars are off by more than `MAX_OFFSET` in the middle or a corner of the window.
    """
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    off = catalog_offset(image, window, row, column, tmag, zeropoint=TMAG_ZEROPOINT, **LIMITS)
    if off is None or off.largest <= TOLD_OFFSET:
        return
    told = (
        f"{catalog}: the average image has the stars up to {off.largest:.1f} pixels from where "
        f"the catalog has them ({off.d_row:+.1f} rows, {off.d_column:+.1f} columns in the middle; "
        f"{off.n_stars} stars)"
    )
    if off.largest > MAX_OFFSET:
        raise InputDataError(
            f"{told}: the WCS of {reference} is wrong, or the positions of the star list are; "
            "take that image away, or mend the list"
        )
    log.warning("%s", told)
