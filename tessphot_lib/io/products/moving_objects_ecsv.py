"""``moving_objects/moving_objects.ecsv``: the moving objects of a CCD that have light curves."""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

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
    from astropy.table import Table

    table = Table(meta={"ccd": str(ccd_id), **made_by})
    for name, (dtype, unit) in COLUMNS.items():
        values = objects[name].tolist() if len(objects) else []
        table[name] = np.array(values, dtype=dtype) if values else np.zeros(0, dtype or "U1")
        table[name].unit = unit
    write_ecsv(path, table)


def read_moving_objects(path: Path) -> pd.DataFrame:
    """Read them back."""
    table = read_ecsv(path)
    return pd.DataFrame(
        {
            name: pd.Series([str(text) for text in table[name]], dtype=object)
            if dtype is str
            else np.asarray(table[name], dtype=dtype)
            for name, (dtype, _) in COLUMNS.items()
        }
    )
