"""``moving_objects/moving_objects.ecsv``: the moving objects of a CCD that have light curves."""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_rows, write_rows

NAME = "moving_objects.ecsv"
COLUMNS = {
    "number": (np.int64, None),  # identifier, see `tessphot_lib.core.identifiers`
    "object": (str, None),  # as in moving.ecsv
    "source": (str, None),
    "lightcurve": (str, None),  # file beside the table
    "n_points": (np.int64, None),  # with a flux
    "mean_flux": (np.float64, "electron / s"),  # median, whole light of the object
    "tmag": (np.float64, "mag"),
    "speed": (np.float64, "pix"),  # from one image to the next, median
}


def write_moving_objects(path: Path, objects: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write them: columns of `COLUMNS`."""
    write_rows(path, objects, COLUMNS, {"ccd": str(ccd_id), **made_by})


def read_moving_objects(path: Path) -> pd.DataFrame:
    """Read them back."""
    return read_rows(path, COLUMNS)
