"""What the average image of a CCD says of its list of stars.

``unlisted.ecsv``: sources that the list lacks; of saturated ones that ``is_limited`` only a part
is on the pixels that there are, and position and flux are those of that part.
``list_check.ecsv``: listed stars of which not all is believed, and what is used instead.
Its header has the numbers of cells in which image and list differ (``cells_suspicious``), and
of those of them, the most significant ones, in which the stars were fitted (``cells_fitted``).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, read_rows, write_rows

# Columns, their types and units.
UNLISTED = {
    "number": (np.int64, None),
    "ra": (np.float64, "deg"),
    "dec": (np.float64, "deg"),
    "row": (np.float64, "pix"),
    "column": (np.float64, "pix"),
    "tmag": (np.float64, "mag"),
    "flux": (np.float64, "electron / s"),
    "flux_err": (np.float64, "electron / s"),
    "is_saturated": (bool, None),
    "is_limited": (bool, None),
    "affects": (str, None),
}
CHECKS = {
    "tic_id": (np.int64, None),
    "finding": (str, None),
    "same_as": (np.int64, None),
    "tmag_listed": (np.float64, "mag"),
    "tmag": (np.float64, "mag"),
    "row": (np.float64, "pix"),
    "column": (np.float64, "pix"),
    "offset": (np.float64, "pix"),
    "flux": (np.float64, "electron / s"),
    "flux_err": (np.float64, "electron / s"),
}


EXTENT_KEYS = ("cells_suspicious", "cells_fitted")  # in the header


class CensusExtent(NamedTuple):
    """How many cells differ from the list of stars, and in how many of them stars were fitted."""

    n_suspicious: int = 0
    n_fitted: int = 0


ALL_FITTED = CensusExtent()


def write_unlisted(path: Path, sources: pd.DataFrame, ccd_id: CcdId, made_by: dict) -> None:
    """Write the sources that the list lacks: columns of `UNLISTED`."""
    write_rows(path, sources, UNLISTED, {"ccd": str(ccd_id), **made_by})


def write_list_check(
    path: Path,
    stars: pd.DataFrame,
    ccd_id: CcdId,
    made_by: dict,
    extent: CensusExtent = ALL_FITTED,
) -> None:
    """Write the listed stars of which not all is believed: columns of `CHECKS`."""
    meta = {"ccd": str(ccd_id), **dict(zip(EXTENT_KEYS, extent, strict=True)), **made_by}
    write_rows(path, stars, CHECKS, meta)


def read_census_extent(path: Path) -> tuple[CcdId, CensusExtent]:
    """Read the CCD of a ``list_check.ecsv`` and how much of it was fitted.

    Raises
    ------
    InputDataError
        If the file cannot be read, or does not say which CCD it is of.
    """
    meta = read_ecsv(path).meta
    if "ccd" not in meta:
        raise InputDataError(f"{path}: does not say which CCD it is of")
    extent = CensusExtent(*(int(meta.get(key, 0)) for key in EXTENT_KEYS))
    return CcdId.from_string(str(meta["ccd"])), extent


def read_unlisted(path: Path | None) -> pd.DataFrame:
    """Read the sources that the list lacks; none where there is no file."""
    return read_rows(path, UNLISTED)


def read_list_check(path: Path | None) -> pd.DataFrame:
    """Read the stars of which not all is believed; none where there is no file."""
    return read_rows(path, CHECKS)
