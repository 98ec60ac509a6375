"""``moving.ecsv``: where asteroids and comets were in the images of a CCD.

One row per object and image: ``object`` (the name of the table of ephemerides, or "found 1",
"found 2", ...), ``source`` (found, predicted), ``cadenceno``, ``time`` [BTJD at the spacecraft],
``row``, ``column`` [science pixels], ``flux`` [e-/s], ``is_seen`` (in this image).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_rows, write_rows

COLUMNS = {
    "object": (str, None),
    "source": (str, None),
    "cadenceno": (np.int64, None),
    "time": (np.float64, "d"),
    "row": (np.float64, "pix"),
    "column": (np.float64, "pix"),
    "flux": (np.float64, "electron / s"),
    "is_seen": (bool, None),
}


def write_moving(path: Path, positions: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write positions of objects: columns of `COLUMNS`."""
    write_rows(path, positions, COLUMNS, {"ccd": str(ccd_id), **made_by})


def read_moving(path: Path | None) -> pd.DataFrame:
    """Read them back; none where there is no file."""
    return read_rows(path, COLUMNS)
