"""``not_measured.ecsv``: stars of a CCD of cutouts that get no light curve, and why."""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

COLUMNS = {"tic_id": "int64", "tmag": "float64", "row": "float64", "column": "float64"}
TEXTS = ("reason", "detail")


def write_not_measured(path: Path, stars: pd.DataFrame, ccd_id: CcdId) -> None:
    """Write one row per star: `COLUMNS`, ``reason`` (the same for many stars), ``detail``."""
    from astropy.table import Table

    table = Table(meta={"ccd": str(ccd_id)})
    for name, dtype in COLUMNS.items():
        table[name] = stars[name].to_numpy(dtype=dtype)
    for name in TEXTS:
        table[name] = np.array(stars[name].astype(str).tolist(), dtype=str)
    write_ecsv(path, table)


def read_not_measured(path: Path) -> pd.DataFrame:
    """Read back what `write_not_measured` wrote."""
    table = read_ecsv(path)
    columns = {name: np.asarray(table[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    for name in TEXTS:
        columns[name] = [str(text) for text in np.ma.filled(table[name], "")]
    return pd.DataFrame(columns)
