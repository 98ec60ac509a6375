"""Tables of a todo list, in the SQLite format of TASOC: names, types and declarations.

A todo list knows its stars by ``priority``, 1 being the brightest. Its tables:

``todolist``
    the stars; TASOC's columns and ours: ``row``, ``column`` [zero-based science
    pixels] and ``tile``. In pandas tables ``starid`` is called ``tic_id``, and
    ``cadence`` ``cadence_seconds``.
``diagnostics``
    what the photometry found, one row per measured star.
``photometry_skipped``
    stars that lie in the aperture of a brighter one: the ``priority`` of both.
``datavalidation_raw``
    empty; TASOC's programs expect it.
``excluded``
    ours: stars that the user has excluded; they are in no other table.
``apertures``, ``todo_info``
    ours: the aperture of each star, packed to bits; where the list comes from.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import METHODS
from tessphot_lib.io.files.sqlite_tables import SqlColumn


class Status(IntEnum):
    """What became of a star; the numbers of TASOC."""

    UNKNOWN = 0
    OK = 1
    ERROR = 2
    WARNING = 3
    ABORT = 4
    SKIPPED = 5
    STARTED = 6


STATUS_WORDS = {  # as users read it; None in the list is `Status.UNKNOWN`
    Status.OK: "measured",
    Status.WARNING: "measured with a warning",
    Status.SKIPPED: "left to a brighter neighbor",
    Status.ERROR: "failed",
    Status.UNKNOWN: "not measured yet",
    Status.ABORT: "aborted",
    Status.STARTED: "begun",
}
ENDS = (Status.OK, Status.WARNING, Status.SKIPPED, Status.ERROR)  # of stars of a finished run


def ccd_of_row(row: Mapping[str, Any]) -> CcdId:
    """CCD of a row of ``todolist``, with the cadence where it is of target pixel files.

    Parameters
    ----------
    row : mapping
        ``sector``, ``camera``, ``ccd``, ``datasource``, ``cadence_seconds``.
    """
    is_tpf = str(row["datasource"]).startswith("tpf")
    cadence = int(row["cadence_seconds"]) if is_tpf else 0
    return CcdId(int(row["sector"]), int(row["camera"]), int(row["ccd"]), cadence)


def ccd_names(stars: pd.DataFrame) -> pd.Series:
    """Name of the CCD of each row of ``todolist``, see `ccd_of_row`."""
    columns = ["sector", "camera", "ccd", "datasource", "cadence_seconds"]
    names = [str(ccd_of_row(row)) for row in stars[columns].to_dict("records")]
    return pd.Series(names, stars.index, dtype=object)


def _texts(names: Iterable[str]) -> str:
    """Names as SQL writes a list of texts."""
    return ", ".join(f"'{name}'" for name in names)


PRIORITY = SqlColumn(
    "priority",
    "INTEGER PRIMARY KEY NOT NULL REFERENCES todolist (priority) ON DELETE CASCADE",
    "int64",
)
STATUS = SqlColumn("status", "INTEGER DEFAULT NULL CHECK (status BETWEEN 0 AND 6)", "Int64")
TODOLIST = (
    SqlColumn("priority", "INTEGER PRIMARY KEY NOT NULL", "int64"),
    SqlColumn("starid", "INTEGER NOT NULL", "int64", "tic_id"),
    SqlColumn("sector", "INTEGER NOT NULL CHECK (sector > 0)", "int64"),
    SqlColumn(
        "datasource",
        "TEXT NOT NULL DEFAULT 'ffi' CHECK (datasource IN ('ffi', 'tpf') OR"
        " datasource LIKE 'tpf:%')",
        "object",
    ),
    SqlColumn("camera", "INTEGER NOT NULL CHECK (camera BETWEEN 1 AND 4)", "int64"),
    SqlColumn("ccd", "INTEGER NOT NULL CHECK (ccd BETWEEN 1 AND 4)", "int64"),
    SqlColumn("cadence", "INTEGER NOT NULL CHECK (cadence > 0)", "int64", "cadence_seconds"),
    SqlColumn(
        "method",
        f"TEXT DEFAULT NULL CHECK (method IN ({_texts(METHODS)}))",
        "object",
    ),
    SqlColumn("tmag", "REAL", "float64"),
    STATUS,
    SqlColumn("cbv_area", "INTEGER NOT NULL", "int64"),
    SqlColumn("row", "REAL", "float64"),
    SqlColumn("column", "REAL", "float64"),
    SqlColumn("tile", "TEXT", "object"),
)
DIAGNOSTICS = (
    PRIORITY,
    SqlColumn("lightcurve", "TEXT", "object"),
    SqlColumn(
        "method_used",
        f"TEXT NOT NULL CHECK (method_used IN ({_texts([*METHODS, 'error'])}))",
        "object",
    ),
    SqlColumn("elaptime", "REAL NOT NULL", "float64"),  # [s]
    SqlColumn("worker_wait_time", "REAL", "float64"),  # [s]
    SqlColumn("mean_flux", "REAL", "float64"),  # [e-/s]
    SqlColumn("variance", "REAL", "float64"),  # this and the next relative, not ppm
    SqlColumn("variability", "REAL", "float64"),
    SqlColumn("rms_hour", "REAL", "float64"),
    SqlColumn("ptp", "REAL", "float64"),
    SqlColumn("pos_row", "REAL", "float64"),
    SqlColumn("pos_column", "REAL", "float64"),
    SqlColumn("contamination", "REAL", "float64"),
    SqlColumn("mask_size", "INTEGER", "Int64"),
    SqlColumn("edge_flux", "REAL", "float64"),  # [e-/s]
    SqlColumn("stamp_width", "INTEGER", "Int64"),
    SqlColumn("stamp_height", "INTEGER", "Int64"),
    SqlColumn("stamp_resizes", "INTEGER", "Int64"),
    SqlColumn("errors", "TEXT", "object"),
    SqlColumn("cdpp_0_5h", "REAL", "float64"),  # this and the next [ppm]; not TASOC's
    SqlColumn("cdpp_1h", "REAL", "float64"),
    SqlColumn("cdpp_2h", "REAL", "float64"),
    SqlColumn("cdpp_6h", "REAL", "float64"),
    SqlColumn("crowdsap", "REAL", "float64"),
    SqlColumn("flfrcsap", "REAL", "float64"),
    SqlColumn("cdpp_sg_6h", "REAL", "float64"),  # [ppm]
)
SKIPPED = (
    SqlColumn(
        "priority",
        "INTEGER NOT NULL REFERENCES todolist (priority) ON DELETE CASCADE",
        "int64",
    ),
    SqlColumn(
        "skipped_by",
        "INTEGER NOT NULL REFERENCES todolist (priority) ON DELETE CASCADE",
        "int64",
    ),
)
DATA_VALIDATION = (
    PRIORITY,
    SqlColumn("dataval", "INTEGER NOT NULL DEFAULT 0", "int64"),
    SqlColumn("approved", "BOOLEAN NOT NULL DEFAULT 0", "bool"),
)
APERTURES = (
    PRIORITY,
    SqlColumn("stamp_row0", "INTEGER NOT NULL", "int64"),
    SqlColumn("stamp_column0", "INTEGER NOT NULL", "int64"),
    SqlColumn("height", "INTEGER NOT NULL", "int64"),
    SqlColumn("width", "INTEGER NOT NULL", "int64"),
    SqlColumn("mask", "BLOB NOT NULL", "object"),
    SqlColumn("flags", "INTEGER NOT NULL DEFAULT 0", "int64"),
    SqlColumn("errors", "TEXT", "object"),
    SqlColumn("crowdsap", "REAL", "float64"),
    SqlColumn("flfrcsap", "REAL", "float64"),
    SqlColumn("motion", "BLOB NOT NULL", "object"),
)
EXCLUDED = (
    SqlColumn("starid", "INTEGER NOT NULL", "int64", "tic_id"),
    SqlColumn("sector", "INTEGER NOT NULL", "int64"),
    SqlColumn("camera", "INTEGER NOT NULL", "int64"),
    SqlColumn("ccd", "INTEGER NOT NULL", "int64"),
    SqlColumn("tmag", "REAL", "float64"),
    SqlColumn("reason", "TEXT NOT NULL", "object"),
)
INFO = (
    SqlColumn("key", "TEXT PRIMARY KEY NOT NULL", "object"),
    SqlColumn("value", "TEXT", "object"),
)
INDICES = (
    "CREATE UNIQUE INDEX unique_target_idx ON todolist"
    " (starid, datasource, sector, camera, ccd, cadence)",
    "CREATE INDEX status_idx ON todolist (status)",
    "CREATE INDEX tile_idx ON todolist (tile)",
    "CREATE UNIQUE INDEX lightcurve_idx ON diagnostics (lightcurve)",
    "CREATE INDEX skipped_idx ON photometry_skipped (priority)",
)
LEFT_OUT = "left out: "  # begins keys of ``todo_info`` that say which list cannot be read, and why
TABLES = {
    "todolist": TODOLIST,
    "diagnostics": DIAGNOSTICS,
    "photometry_skipped": SKIPPED,
    "datavalidation_raw": DATA_VALIDATION,
    "apertures": APERTURES,
    "excluded": EXCLUDED,
    "todo_info": INFO,
}
