"""The stars on and around a CCD, in the SQLite format of TASOC's catalog files.

Tables of stars have the columns ``tic_id``, ``ra``, ``dec`` [deg, ICRS, at the
sector's epoch], ``ra_j2000``, ``dec_j2000`` [deg], ``pm_ra`` (cos(dec)
included), ``pm_dec`` [mas/yr], ``tmag``, ``teff`` [K], ``row``, ``column``
[zero-based science pixels by the reference WCS; may lie off the CCD]. What is
not known is NaN, NULL in the file.
"""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.sqlite_tables import (
    SqlColumn,
    create_table,
    insert,
    new_database,
    read_database,
    select,
)

INFO = (
    SqlColumn("key", "TEXT PRIMARY KEY NOT NULL", "object"),
    SqlColumn("value", "TEXT", "object"),
)
COLUMNS = (
    SqlColumn("starid", "INTEGER PRIMARY KEY NOT NULL", "int64", "tic_id"),
    SqlColumn("ra", "REAL NOT NULL", "float64"),
    SqlColumn("decl", "REAL NOT NULL", "float64", "dec"),
    SqlColumn("ra_J2000", "REAL NOT NULL", "float64", "ra_j2000"),
    SqlColumn("decl_J2000", "REAL NOT NULL", "float64", "dec_j2000"),
    SqlColumn("pm_ra", "REAL", "float64"),
    SqlColumn("pm_decl", "REAL", "float64", "pm_dec"),
    SqlColumn("tmag", "REAL", "float64"),
    SqlColumn("teff", "REAL", "float64"),
    SqlColumn("row", "REAL", "float64"),
    SqlColumn("column", "REAL", "float64"),
)
SETTINGS = (
    SqlColumn("sector", "INTEGER NOT NULL", "int64"),
    SqlColumn("camera", "INTEGER NOT NULL", "int64"),
    SqlColumn("ccd", "INTEGER NOT NULL", "int64"),
    SqlColumn("ticver", "TEXT NOT NULL", "object"),
    SqlColumn("reference_time", "REAL NOT NULL", "float64"),  # [JD]
    SqlColumn("epoch", "REAL NOT NULL", "float64"),  # [year]
    SqlColumn("coord_buffer", "REAL NOT NULL", "float64"),  # [deg]
    SqlColumn("camera_centre_ra", "REAL NOT NULL", "float64"),  # [deg]
    SqlColumn("camera_centre_dec", "REAL NOT NULL", "float64"),  # [deg]
    SqlColumn("footprint", "TEXT NOT NULL", "object"),  # ((ra,dec),...) [deg]
    SqlColumn("wcs", "TEXT", "object"),  # header of the reference image
    SqlColumn("reference_image", "TEXT", "object"),
    SqlColumn("centre_ra", "REAL", "float64"),  # of the CCD [deg], which BARYCORR is for
    SqlColumn("centre_dec", "REAL", "float64"),
    SqlColumn("image_header", "TEXT", "object"),  # JSON: keywords that all images share
)


def write_catalog(
    path: Path,
    stars: pd.DataFrame,
    settings: Mapping[str, Any],
    *,
    info: Mapping[str, str] | None = None,
) -> None:
    """Write the catalog of a CCD; ``path`` appears complete or not at all.

    Parameters
    ----------
    path : Path
    stars : DataFrame
        See the module; further columns are not stored.
    settings : mapping
        ``sector``, ``camera``, ``ccd``, ``ticver``, ``reference_time`` [JD],
        ``epoch`` [year], ``coord_buffer``, ``camera_centre_ra``,
        ``camera_centre_dec`` [deg], ``footprint`` ((n_corners, 2) values, ra and
        dec [deg], or their text), and optionally ``wcs`` (header string of the
        reference image, pixels as in the full image), ``reference_image``,
        ``centre_ra``, ``centre_dec`` [deg] and ``image_header`` (JSON).
    info : mapping, optional
        How it was made, for the table ``catalog_info``.

    Raises
    ------
    ValueError
        If a column or a setting is missing, or a setting unknown.
    InputDataError
        If a star comes twice or has no position.
    """
    missing = [column.key for column in COLUMNS if column.key not in stars.columns]
    if missing:
        raise ValueError(f"{path}: the stars lack {', '.join(missing)}")
    row = dict(settings)
    if not isinstance(row.get("footprint"), str | None):
        corners = np.asarray(row["footprint"], dtype=np.float64).tolist()
        row["footprint"] = f"({','.join(f'({ra},{dec})' for ra, dec in corners)})"
    absent = [setting.key for setting in SETTINGS[:10] if row.get(setting.key) is None]
    if absent:
        raise ValueError(f"{path}: the settings lack {', '.join(absent)}")

    with new_database(path) as connection:
        create_table(connection, "settings", SETTINGS)
        insert(connection, "settings", SETTINGS, pd.DataFrame([row]))
        create_table(connection, "catalog_info", INFO)
        connection.executemany("INSERT INTO catalog_info VALUES (?, ?)", (info or {}).items())
        create_table(connection, "catalog", COLUMNS)
        ordered = stars[[column.key for column in COLUMNS]].sort_values("tic_id")
        insert(connection, "catalog", COLUMNS, ordered)
        connection.execute("CREATE INDEX ra_dec_idx ON catalog (ra, decl)")
        connection.execute('CREATE INDEX row_column_idx ON catalog ("row", "column")')


def read_catalog(
    path: Path, names: Sequence[str] | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read back what `write_catalog` wrote.

    Parameters
    ----------
    path : Path
    names : sequence of str, optional
        Only these columns of the stars, which is faster.

    Returns
    -------
    stars : DataFrame
        In the order of ``tic_id``.
    settings : dict
        ``footprint`` as a tuple of (ra, dec) pairs.

    Raises
    ------
    InputDataError
        If the file cannot be read or is not a catalog.
    """
    columns = [column for column in COLUMNS if names is None or column.key in names]
    with read_database(path) as connection:
        stars = select(connection, "catalog", columns, order="starid")
    return stars, read_catalog_settings(path)


def read_catalog_settings(path: Path) -> dict[str, Any]:
    """Read only the settings, see `read_catalog`."""
    with read_database(path) as connection:
        rows = select(connection, "settings", SETTINGS, order="sector")
    if len(rows) != 1:
        raise InputDataError(f"{path}: table settings has {counted(len(rows), 'row')}, expected 1")
    settings = {key: values[0] for key, values in rows.to_dict("list").items()}
    try:
        settings["footprint"] = ast.literal_eval(settings["footprint"])
    except (SyntaxError, ValueError) as error:
        raise InputDataError(f"{path}: footprint {settings['footprint']!r}: {error}") from error
    return settings


def read_catalog_window(
    path: Path,
    row0: float,
    row1: float,
    column0: float,
    column1: float,
    faint_limit: float | None = None,
) -> pd.DataFrame:
    """Read the stars of a part of the CCD, in the order of ``tic_id``.

    Parameters
    ----------
    path : Path
    row0, row1, column0, column1 : float
        Positions from (included) to (not included) [science pixels].
    faint_limit : float, optional
        Leave out stars fainter than this Tmag, and those without one.
    """
    conditions: list[tuple[str, Any]] = [
        ('"row" >= ?', float(row0)),
        ('"row" < ?', float(row1)),
        ('"column" >= ?', float(column0)),
        ('"column" < ?', float(column1)),
    ]
    if faint_limit is not None:
        conditions.append(("tmag <= ?", float(faint_limit)))
    with read_database(path) as connection:
        return select(connection, "catalog", COLUMNS, conditions, order="starid")
