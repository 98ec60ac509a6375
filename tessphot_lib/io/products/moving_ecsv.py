"""``moving.ecsv``: where asteroids and comets were in the images of a CCD.

One row per object and image: ``object`` (the name of the table of ephemerides, or "found 1",
"found 2", ...), ``source`` (found, predicted), ``cadenceno``, ``time`` [BTJD at the spacecraft],
``row``, ``column`` [science pixels], ``flux`` [e-/s], ``is_seen`` (in this image).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

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
    from astropy.table import Table

    table = Table(meta={"ccd": str(ccd_id), **made_by})
    for name, (dtype, unit) in COLUMNS.items():
        values = positions[name].tolist()
        table[name] = np.array(values, dtype=dtype) if values else np.zeros(0, dtype or "U1")
        table[name].unit = unit
    write_ecsv(path, table)


def read_moving(path: Path | None) -> pd.DataFrame:
    """Read them back; none where there is no file."""
    if path is None:
        return pd.DataFrame({name: np.zeros(0, dtype) for name, (dtype, _) in COLUMNS.items()})
    table = read_ecsv(path)
    return pd.DataFrame(
        {
            name: [str(text) for text in table[name]]
            if dtype is str
            else np.asarray(table[name], dtype=dtype)
            for name, (dtype, _) in COLUMNS.items()
        }
    )
