"""Tables of the positions of asteroids and comets, as users have them from JPL or the MPC.

One row per object and time: ``name``, ``time`` [BTJD] or ``jd`` [JD], ``ra``, ``dec`` [deg, ICRS,
as seen by TESS], and ``tmag`` or ``vmag``; CSV or another format of star tables.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.constants import BTJD_OFFSET
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.stars.star_tables import read_columns

NAMES = {
    "name": ("name", "targetname", "object"),
    "time": ("time", "btjd", "jd", "datetime_jd"),
    "ra": ("ra",),
    "dec": ("dec",),
    "tmag": ("tmag", "vmag", "v"),
}
JD = ("jd", "datetime_jd")
V_MINUS_T = {"vmag": 0.7, "v": 0.7}  # [mag] of asteroids, with the colors of the Sun
LIMITS = {"time": (0.0, 2e5), "ra": (0.0, 360.0), "dec": (-90.0, 90.0), "tmag": (-5.0, 40.0)}


def read_object_ephemerides(path: Path) -> pd.DataFrame:
    """Read them.

    Returns
    -------
    DataFrame
        name, time [BTJD at the spacecraft], ra, dec [deg], tmag; by name and time.

    Raises
    ------
    InputDataError
        If the file cannot be read, lacks a column, or has an impossible value; names the row.
    """
    wanted = {name for names in NAMES.values() for name in names}
    table = pd.concat(list(read_columns(path, wanted)), ignore_index=True)
    lower = {str(name).strip().lower(): name for name in table.columns}
    found = {}
    for ours, names in NAMES.items():
        theirs = next((name for name in names if name in lower), None)
        if theirs is None:
            raise InputDataError(f"{path}: no column for {ours} (as {' or '.join(names)})")
        values = table[lower[theirs]]
        if ours == "name":
            found[ours] = values.astype(str).str.strip()
            continue
        numbers = pd.to_numeric(values, errors="coerce").astype(float)
        shift = -BTJD_OFFSET if theirs in JD else -V_MINUS_T.get(theirs, 0.0)
        numbers = numbers + shift
        low, high = LIMITS[ours]
        wrong = ~((numbers >= low) & (numbers <= high))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            where = f"{path}: row {row + 1}, column {lower[theirs]}"
            raise InputDataError(f"{where}: {values.iloc[row]!r} is not possible")
        found[ours] = numbers
    return pd.DataFrame(found).sort_values(["name", "time"], ignore_index=True)
