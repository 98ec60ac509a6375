"""``transients.ecsv``: light that appeared in the images of a CCD where no star shone before.

One row per source, the brightest first. ``kind`` is "transient", or "outburst" where a star of
the catalog, then ``tic_id``, became much brighter; ``number`` is the identifier of a transient
(`tessphot_lib.core.identifiers`), and the TIC number of a star in outburst.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_rows, write_rows

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
    write_rows(path, sources, COLUMNS, {"ccd": str(ccd_id), **made_by})


def read_transients(path: Path | None) -> pd.DataFrame:
    """Read them back; none where there is no file.

    Raises
    ------
    InputDataError
        If the file cannot be read, or lacks a column.
    """
    return read_rows(path, COLUMNS)


def no_transients() -> pd.DataFrame:
    """Table of none."""
    return read_rows(None, COLUMNS)
