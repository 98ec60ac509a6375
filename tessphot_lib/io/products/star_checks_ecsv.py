"""What the average image of a CCD says of its list of stars.

``unlisted.ecsv``: sources that the list lacks; of saturated ones that ``is_limited`` only a part
is on the pixels that there are, and position and flux are those of that part.
``list_check.ecsv``: listed stars of which not all is believed, and what is used instead.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_rows, write_rows

# Columns, their types and units.
UNLISTED = {
    "number": (np.int64, None),
    "ra": (np.float64, "deg"),
    "dec": (np.float64, "deg"),
    "row": (np.float64, "pix"),
    "column": (np.float64, "pix"),
    "tmag": (np.float64, "mag"),
    "flux": (np.float64, "electron / s"),
    "flux_err": (np.float64, "electron / s"),
    "is_saturated": (bool, None),
    "is_limited": (bool, None),
    "affects": (str, None),
}
CHECKS = {
    "tic_id": (np.int64, None),
    "finding": (str, None),
    "same_as": (np.int64, None),
    "tmag_listed": (np.float64, "mag"),
    "tmag": (np.float64, "mag"),
    "row": (np.float64, "pix"),
    "column": (np.float64, "pix"),
    "offset": (np.float64, "pix"),
    "flux": (np.float64, "electron / s"),
    "flux_err": (np.float64, "electron / s"),
}


def write_unlisted(path: Path, sources: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write the sources that the list lacks: columns of `UNLISTED`."""
    write_rows(path, sources, UNLISTED, {"ccd": str(ccd_id), **made_by})


def write_list_check(path: Path, stars: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write the listed stars of which not all is believed: columns of `CHECKS`."""
    write_rows(path, stars, CHECKS, {"ccd": str(ccd_id), **made_by})


def read_unlisted(path: Path | None) -> pd.DataFrame:
    """Read the sources that the list lacks; none where there is no file."""
    return read_rows(path, UNLISTED)


def read_list_check(path: Path | None) -> pd.DataFrame:
    """Read the stars of which not all is believed; none where there is no file."""
    return read_rows(path, CHECKS)
