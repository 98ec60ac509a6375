"""``not_measured.ecsv``: stars of a CCD of cutouts that get no light curve, and why."""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_rows, write_rows

COLUMNS = {
    "tic_id": (np.int64, None),
    "tmag": (np.float64, None),
    "row": (np.float64, None),
    "column": (np.float64, None),
    "reason": (str, None),  # the same for many stars
    "detail": (str, None),
}


def write_not_measured(path: Path, stars: pd.DataFrame, ccd_id: CcdId) -> None:
    """Write one row per star: `COLUMNS`."""
    write_rows(path, stars, COLUMNS, {"ccd": str(ccd_id)})


def read_not_measured(path: Path) -> pd.DataFrame:
    """Read back what `write_not_measured` wrote."""
    return read_rows(path, COLUMNS)
