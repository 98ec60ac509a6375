"""What the average image of a CCD says of its list of stars.

``unlisted.ecsv``: sources that the list lacks; of saturated ones that ``is_limited`` only a part
is on the pixels that there are, and position and flux are those of that part.
``list_check.ecsv``: listed stars of which not all is believed, and what is used instead.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

# Columns, their types and units.
UNLISTED = {
    "number": ("int64", None),
    "ra": ("float64", "deg"),
    "dec": ("float64", "deg"),
    "row": ("float64", "pix"),
    "column": ("float64", "pix"),
    "tmag": ("float64", "mag"),
    "flux": ("float64", "electron / s"),
    "flux_err": ("float64", "electron / s"),
    "is_saturated": ("bool", None),
    "is_limited": ("bool", None),
    "affects": ("str", None),
}
CHECKS = {
    "tic_id": ("int64", None),
    "finding": ("str", None),
    "same_as": ("int64", None),
    "tmag_listed": ("float64", "mag"),
    "tmag": ("float64", "mag"),
    "row": ("float64", "pix"),
    "column": ("float64", "pix"),
    "offset": ("float64", "pix"),
    "flux": ("float64", "electron / s"),
    "flux_err": ("float64", "electron / s"),
}


def write_unlisted(path: Path, sources: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write the sources that the list lacks: columns of `UNLISTED`."""
    _write(path, sources, UNLISTED, ccd_id, made_by)


def write_list_check(path: Path, stars: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write the listed stars of which not all is believed: columns of `CHECKS`."""
    _write(path, stars, CHECKS, ccd_id, made_by)


def read_unlisted(path: Path | None) -> pd.DataFrame:
    """Read the sources that the list lacks; none where there is no file."""
    return _read(path, UNLISTED)


def read_list_check(path: Path | None) -> pd.DataFrame:
    """Read the stars of which not all is believed; none where there is no file."""
    return _read(path, CHECKS)


def _write(path: Path, rows: pd.DataFrame, columns: dict, ccd_id: CcdId, made_by: dict) -> None:
    from astropy.table import Table

    table = Table(meta={"ccd": str(ccd_id), **made_by})
    for name, (dtype, unit) in columns.items():
        values = np.array(rows[name].tolist(), dtype=dtype)
        table[name] = (
            values if values.size else np.zeros(0, dtype="U1" if dtype == "str" else dtype)
        )
        table[name].unit = unit
    write_ecsv(path, table)


def _read(path: Path | None, columns: dict) -> pd.DataFrame:
    if path is None:
        return pd.DataFrame(
            {name: np.zeros(0, _dtype(dtype)) for name, (dtype, _) in columns.items()}
        )
    table = read_ecsv(path)
    missing = set(columns) - set(table.colnames)
    if missing:
        raise InputDataError(f"{path}: no column {', '.join(sorted(missing))}")
    values = {
        name: [str(text) for text in np.ma.filled(table[name].astype(str), "")]
        if dtype == "str"
        else np.asarray(table[name], dtype=dtype)
        for name, (dtype, _) in columns.items()
    }
    return pd.DataFrame(values).astype(
        {name: _dtype(dtype) for name, (dtype, _) in columns.items()}
    )


def _dtype(name: str) -> str:
    return "object" if name == "str" else name
