"""``transients.ecsv``: light that appeared in the images of a CCD where no star shone before.

One row per source, the brightest first. ``kind`` is "transient", or "outburst" where a star of
the catalog, then ``tic_id``, became much brighter; ``number`` is the identifier of a transient
(`tessphot_lib.core.identifiers`), and the TIC number of a star in outburst.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

COLUMNS = {
    "number": (np.int64, None),
    "kind": (str, None),
    "ra": (np.float64, "deg"),
    "dec": (np.float64, "deg"),
    "row": (np.float64, "pix"),  # by the reference image
    "column": (np.float64, "pix"),
    "position_err": (np.float64, "pix"),  # per axis
    "time_first": (np.float64, "d"),  # of the first detection, BTJD at the barycenter
    "time_last": (np.float64, "d"),
    "time_peak": (np.float64, "d"),
    "peak_flux": (np.float64, "electron / s"),
    "peak_flux_err": (np.float64, "electron / s"),
    "peak_tmag": (np.float64, "mag"),
    "mean_flux": (np.float64, "electron / s"),  # in the average image
    "mean_tmag": (np.float64, "mag"),  # of that, or 18 if it is fainter
    "n_detections": (np.int64, None),
    "tic_id": (np.int64, None),  # the nearest star of the catalog; 0 without any
    "distance": (np.float64, "arcsec"),  # of that star
    "tmag": (np.float64, "mag"),
}


def write_transients(path: Path, sources: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write transients: columns of `COLUMNS`."""
    from astropy.table import Table

    table = Table(meta={"ccd": str(ccd_id), **made_by})
    for name, (dtype, unit) in COLUMNS.items():
        values = sources[name].tolist()
        table[name] = np.array(values, dtype=dtype) if values else np.zeros(0, _empty(dtype))
        table[name].unit = unit
    write_ecsv(path, table)


def read_transients(path: Path | None) -> pd.DataFrame:
    """Read them back; none where there is no file.

    Raises
    ------
    InputDataError
        If the file cannot be read, or lacks a column.
    """
    if path is None:
        return no_transients()
    table = read_ecsv(path)
    missing = set(COLUMNS) - set(table.colnames)
    if missing:
        raise InputDataError(f"{path}: no column {', '.join(sorted(missing))}")
    return pd.DataFrame(
        {
            name: pd.Series([str(text) for text in table[name]], dtype=object)
            if dtype is str
            else np.asarray(table[name], dtype=dtype)
            for name, (dtype, _) in COLUMNS.items()
        }
    )


def no_transients() -> pd.DataFrame:
    """Table of none."""
    return pd.DataFrame(
        {
            name: np.zeros(0, dtype=object if dtype is str else dtype)
            for name, (dtype, _) in COLUMNS.items()
        }
    )


def _empty(dtype: type) -> type | str:
    return "U1" if dtype is str else dtype
