"""Who is to be measured and what came of it, in the SQLite format of TASOC's todo lists.

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

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.errors import InputDataError
from tessphot_lib.io.sqlite_tables import (
    SqlColumn,
    changed_database,
    create_table,
    insert,
    new_database,
    python_values,
    read_database,
    select,
)
from tessphot_lib.model import Window


class Status(IntEnum):
    """What became of a star; the numbers of TASOC."""

    UNKNOWN = 0
    OK = 1
    ERROR = 2
    WARNING = 3
    ABORT = 4
    SKIPPED = 5
    STARTED = 6


_PRIORITY = SqlColumn(
    "priority",
    "INTEGER PRIMARY KEY NOT NULL REFERENCES todolist (priority) ON DELETE CASCADE",
    "int64",
)
_STATUS = SqlColumn("status", "INTEGER DEFAULT NULL CHECK (status BETWEEN 0 AND 6)", "Int64")
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
        "TEXT DEFAULT NULL CHECK (method IN ('aperture', 'linpsf', 'psf', 'halo'))",
        "object",
    ),
    SqlColumn("tmag", "REAL", "float64"),
    _STATUS,
    SqlColumn("cbv_area", "INTEGER NOT NULL", "int64"),
    SqlColumn("row", "REAL", "float64"),
    SqlColumn("column", "REAL", "float64"),
    SqlColumn("tile", "TEXT", "object"),
)
DIAGNOSTICS = (
    _PRIORITY,
    SqlColumn("lightcurve", "TEXT", "object"),
    SqlColumn(
        "method_used",
        "TEXT NOT NULL CHECK (method_used IN ('aperture', 'linpsf', 'psf', 'halo', 'error'))",
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
    _PRIORITY,
    SqlColumn("dataval", "INTEGER NOT NULL DEFAULT 0", "int64"),
    SqlColumn("approved", "BOOLEAN NOT NULL DEFAULT 0", "bool"),
)
APERTURES = (
    _PRIORITY,
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


@dataclass(frozen=True)
class StarAperture:
    """The pixels chosen for one star.

    Attributes
    ----------
    window : Window
        The stamp.
    mask : (n_rows, n_columns) bool array
        True for the pixels that are summed.
    flags : int
        Bits whose meaning the caller defines; kept as they are.
    errors : str or None
        Remarks for the diagnostics, such as "Using minimum aperture."
    crowdsap, flfrcsap : float
        Share of the light in the aperture that is the star's, and of the star's
        light that is in the aperture; NaN where unknown.
    motion : (5,) float64 array
        Derivatives of the light in the aperture by the motion of the image, see
        `tessphot_lib.crowding.ApertureLight`.
    """

    window: Window
    mask: NDArray
    flags: int = 0
    errors: str | None = None
    crowdsap: float = float("nan")
    flfrcsap: float = float("nan")
    motion: NDArray = field(default_factory=lambda: np.zeros(5))

    def __post_init__(self) -> None:
        if self.mask.shape != self.window.shape:
            raise InputDataError(f"mask is {self.mask.shape}, the stamp {self.window.shape}")


def create_todo(
    path: Path,
    stars: pd.DataFrame,
    *,
    info: Mapping[str, Any] | None = None,
    apertures: Mapping[int, StarAperture] | None = None,
    diagnostics: pd.DataFrame | None = None,
    skipped: pd.DataFrame | None = None,
    excluded: pd.DataFrame | None = None,
) -> None:
    """Write a todo list; ``path`` appears complete or not at all.

    Parameters
    ----------
    path : Path
    stars : DataFrame
        Columns of ``todolist``: ``tic_id``, ``sector``, ``camera``, ``ccd``,
        ``cadence_seconds`` and ``cbv_area`` are needed, the others not.
        Without ``priority`` it is given by `with_priority`.
    info : mapping, optional
        Where the list comes from; values become text.
    apertures : mapping, optional
        Apertures by priority.
    diagnostics, skipped : DataFrame, optional
        See `write_diagnostics` and `write_skipped`.
    excluded : DataFrame, optional
        Stars that are not to be measured: columns of `EXCLUDED`.

    Raises
    ------
    ValueError
        If a table has a column that the file does not know.
    InputDataError
        If a star comes twice, or a value is not allowed.
    """
    if "priority" not in stars.columns:
        stars = with_priority(stars)
    with new_database(path) as connection:
        create_table(connection, "todolist", TODOLIST)
        create_table(connection, "diagnostics", DIAGNOSTICS)
        create_table(connection, "photometry_skipped", SKIPPED)
        create_table(connection, "datavalidation_raw", DATA_VALIDATION)
        create_table(connection, "apertures", APERTURES)
        create_table(connection, "excluded", EXCLUDED)
        create_table(connection, "todo_info", INFO)
        insert(connection, "todolist", TODOLIST, stars.sort_values("priority"))
        if diagnostics is not None:
            _insert_diagnostics(connection, diagnostics)
        if skipped is not None:
            _insert_skipped(connection, skipped)
        if excluded is not None:
            insert(connection, "excluded", EXCLUDED, excluded)
        _insert_apertures(connection, apertures or {})
        rows = [(key, None if value is None else str(value)) for key, value in (info or {}).items()]
        connection.executemany("INSERT INTO todo_info VALUES (?, ?)", rows)
        for statement in INDICES:
            connection.execute(statement)


def with_priority(stars: pd.DataFrame) -> pd.DataFrame:
    """Sort the stars, brightest first, and number them from 1 in a new column ``priority``.

    Equally bright ones follow by ``tic_id``, sector, camera and CCD, so that
    the order of the input does not matter; those without ``tmag`` come last.
    """
    keys = ["tmag", "tic_id", "sector", "camera", "ccd"]
    ordered = stars.sort_values([key for key in keys if key in stars.columns], kind="stable")
    ordered = ordered.drop(columns="priority", errors="ignore").reset_index(drop=True)
    ordered.insert(0, "priority", np.arange(1, len(ordered) + 1))
    return ordered


def read_todo(
    path: Path,
    *,
    tile: str | None = None,
    window: Window | None = None,
    priorities: Iterable[int] | None = None,
    tic_ids: Iterable[int] | None = None,
) -> pd.DataFrame:
    """Read stars in the order of priority; all that is asked for has to hold.

    Parameters
    ----------
    path : Path
    tile : str, optional
        Only the stars of one tile.
    window : Window, optional
        Only stars whose position falls on one of these pixels.
    priorities, tic_ids : iterable of int, optional
        Only these stars; ones that the list does not have are not an error.

    Returns
    -------
    DataFrame
        ``priority``, ``tic_id``, ``sector``, ``datasource``, ``camera``,
        ``ccd``, ``cadence_seconds``, ``method`` (None), ``tmag`` (NaN), ``status`` (``Int64``,
        NA), ``cbv_area``, ``row``, ``column`` (NaN), ``tile`` (None); in
        parentheses what stands for a missing value.
    """
    conditions: list[tuple[str, Any]] = []
    if tile is not None:
        conditions.append(("tile = ?", tile))
    if window is not None:
        conditions += [
            ('"row" >= ?', window.row0 - 0.5),
            ('"row" < ?', window.row1 - 0.5),
            ('"column" >= ?', window.column0 - 0.5),
            ('"column" < ?', window.column1 - 0.5),
        ]
    if priorities is not None:
        conditions.append(_among("priority", priorities))
    if tic_ids is not None:
        conditions.append(_among("starid", tic_ids))
    with read_database(path) as connection:
        return select(connection, "todolist", TODOLIST, conditions, order="priority")


def write_diagnostics(path: Path, diagnostics: pd.DataFrame) -> None:
    """Add diagnostics to a list, all of them or, on an error, none.

    Parameters
    ----------
    path : Path
    diagnostics : DataFrame
        Columns of ``diagnostics``: ``priority``, ``method_used`` and
        ``elaptime`` are needed, the others not. ``lightcurve`` is relative to
        the folder of ``path``. A column ``status`` goes into the list of stars.
        Earlier diagnostics of the same stars are replaced.
    """
    with changed_database(path) as connection:
        rows = zip(python_values(diagnostics["priority"]))
        connection.executemany("DELETE FROM diagnostics WHERE priority = ?", rows)
        _insert_diagnostics(connection, diagnostics)


def read_diagnostics(path: Path) -> pd.DataFrame:
    """Read the diagnostics in the order of priority; see `TODOLIST` for the status."""
    with read_database(path) as connection:
        return select(connection, "diagnostics", DIAGNOSTICS, order="priority")


def write_skipped(path: Path, skipped: pd.DataFrame) -> None:
    """Note which stars are left to which brighter one, and set their status.

    Parameters
    ----------
    path : Path
    skipped : DataFrame
        ``priority`` and ``skipped_by``, the priority of the brighter star.
    """
    with changed_database(path) as connection:
        _insert_skipped(connection, skipped)


def read_skipped(path: Path) -> pd.DataFrame:
    """Read the skipped stars, see `write_skipped`."""
    with read_database(path) as connection:
        return select(connection, "photometry_skipped", SKIPPED, order="priority, skipped_by")


def read_excluded_stars(path: Path) -> pd.DataFrame:
    """Read the stars that the user has excluded: columns of `EXCLUDED`, brightest first."""
    with read_database(path) as connection:
        return select(connection, "excluded", EXCLUDED, order="tmag, starid, sector, camera, ccd")


def write_apertures(path: Path, apertures: Mapping[int, StarAperture]) -> None:
    """Add the apertures of stars, by their priority, or replace them."""
    with changed_database(path) as connection:
        rows = [(int(priority),) for priority in apertures]
        connection.executemany("DELETE FROM apertures WHERE priority = ?", rows)
        _insert_apertures(connection, apertures)


def read_apertures(path: Path, priorities: Iterable[int] | None = None) -> dict[int, StarAperture]:
    """Read the apertures of some stars (default: of all), by their priority, in its order.

    Stars that have none are left out.
    """
    conditions = [] if priorities is None else [_among("priority", priorities)]
    with read_database(path) as connection:
        rows = select(connection, "apertures", APERTURES, conditions, order="priority")
    apertures = {}
    for priority, row0, column0, height, width, blob, flags, errors, *light in rows.itertuples(
        index=False, name=None
    ):
        bits = np.unpackbits(np.frombuffer(blob, dtype=np.uint8), count=height * width)
        crowdsap, flfrcsap, motion = light
        apertures[priority] = StarAperture(
            window=Window(row0, row0 + height, column0, column0 + width),
            mask=bits.astype(bool).reshape(height, width),
            flags=flags,
            errors=errors,
            crowdsap=float(crowdsap),
            flfrcsap=float(flfrcsap),
            motion=np.frombuffer(motion, dtype="<f8"),
        )
    return apertures


def read_info(path: Path) -> dict[str, str | None]:
    """Read where the list comes from."""
    with read_database(path) as connection:
        rows = select(connection, "todo_info", INFO, order="key")
    return dict(rows.itertuples(index=False, name=None))


def merge_todos(
    paths: Iterable[Path],
    output: Path,
    *,
    diagnostics: Mapping[Path, pd.DataFrame] | None = None,
    skipped: Mapping[Path, pd.DataFrame] | None = None,
    info: Mapping[str, str] | None = None,
) -> None:
    """Join the lists of several CCDs into one, brightest star first over all of them.

    Parameters
    ----------
    paths : iterable of Path
        The lists; they are not changed.
    output : Path
        Gets new priorities, which the diagnostics and the skipped stars
        follow; paths of light curves become relative to its folder. Apertures stay in the
        lists of the CCDs.
    diagnostics, skipped : mapping, optional
        More of them for some of the lists, with the priorities of that list, and
        light curves relative to its folder; as in `write_diagnostics` and `write_skipped`.
    info : mapping, optional
        How the joined list was made; what the lists say of themselves is added, with the
        names of their folders.

    Raises
    ------
    InputDataError
        If a list cannot be read, or a star is in two of them.
    """
    stars, found, left, excluded, info = [], [], [], [], dict(info or {})
    paths = [Path(path) for path in paths]
    for number, path in enumerate(paths):
        stars.append(read_todo(path).assign(source=number))
        folder = os.path.relpath(path.parent.absolute(), Path(output).parent.absolute())
        for table in (read_diagnostics(path), (diagnostics or {}).get(path)):
            if table is not None and len(table):
                table = _typed(table, (*DIAGNOSTICS, _STATUS))
                found.append(_from_folder(table, folder).assign(source=number))
        for table in (read_skipped(path), (skipped or {}).get(path)):
            if table is not None and len(table):
                left.append(_typed(table, SKIPPED).assign(source=number))
        excluded.append(read_excluded_stars(path))
        info |= {f"{path.parent.name}/{key}": value for key, value in read_info(path).items()}
    if not stars:
        raise InputDataError(f"{output}: there are no todo lists to join")

    old = pd.concat(stars, ignore_index=True)
    merged = with_priority(old.rename(columns={"priority": "old"}))
    renumbered = pd.Series(
        merged["priority"].to_numpy(),
        index=pd.MultiIndex.from_arrays([merged["source"], merged["old"]]),
    )
    create_todo(
        output,
        merged.drop(columns=["source", "old"]),
        info=info,
        diagnostics=_renumber(found, renumbered, ["priority"], output),
        skipped=_renumber(left, renumbered, ["priority", "skipped_by"], output),
        excluded=pd.concat(excluded, ignore_index=True),
    )


def _renumber(
    tables: list[pd.DataFrame], renumbered: pd.Series, columns: list[str], output: Path
) -> pd.DataFrame | None:
    """Put the new priorities into joined tables of the CCDs."""
    if not tables:
        return None
    table = pd.concat(tables, ignore_index=True)
    for column in columns:
        key = pd.MultiIndex.from_arrays([table["source"], table[column]])
        new = renumbered.reindex(key)
        if new.isna().any():
            unknown = table.loc[new.isna().to_numpy(), column].iloc[0]
            raise InputDataError(f"{output}: no star has the {column} {unknown} in its list")
        table[column] = new.to_numpy().astype(np.int64)
    return table.drop(columns="source").sort_values(columns)


def _typed(table: pd.DataFrame, columns: Sequence[SqlColumn]) -> pd.DataFrame:
    """Bring a table to all of the columns, so that tables can be joined."""
    unknown = set(table.columns) - {column.key for column in columns}
    if unknown:
        raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
    full = table.reindex(columns=[column.key for column in columns])
    return full.astype({column.key: column.dtype for column in columns})


def _from_folder(diagnostics: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Make the paths of light curves relative to another folder."""
    start = folder.replace(os.sep, "/")
    moved = [
        None if value is None else posixpath.normpath(f"{start}/{value}")
        for value in python_values(diagnostics["lightcurve"])
    ]
    return diagnostics.assign(lightcurve=pd.Series(moved, index=diagnostics.index, dtype=object))


def _insert_diagnostics(connection: Connection, diagnostics: pd.DataFrame) -> None:
    if "status" in diagnostics.columns:
        known = diagnostics[diagnostics["status"].notna()]
        values = python_values(known["status"]), python_values(known["priority"])
        connection.executemany(
            "UPDATE todolist SET status = ? WHERE priority = ?", zip(*values, strict=True)
        )
        diagnostics = diagnostics.drop(columns="status")
    insert(connection, "diagnostics", DIAGNOSTICS, diagnostics)


def _insert_skipped(connection: Connection, skipped: pd.DataFrame) -> None:
    insert(connection, "photometry_skipped", SKIPPED, skipped)
    connection.executemany(
        f"UPDATE todolist SET status = {int(Status.SKIPPED)} WHERE priority = ?",
        [(priority,) for priority in python_values(skipped["priority"])],
    )


def _insert_apertures(connection: Connection, apertures: Mapping[int, StarAperture]) -> None:
    rows = [
        (
            int(priority),
            int(aperture.window.row0),
            int(aperture.window.column0),
            *map(int, aperture.mask.shape),
            np.packbits(aperture.mask).tobytes(),
            int(aperture.flags),
            aperture.errors,
            float(aperture.crowdsap),
            float(aperture.flfrcsap),
            np.asarray(aperture.motion, dtype="<f8").tobytes(),
        )
        for priority, aperture in apertures.items()
    ]
    connection.executemany("INSERT INTO apertures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _among(column: str, values: Iterable[int]) -> tuple[str, str]:
    """Condition that an integer column has one of any number of values."""
    listed = ",".join(str(int(value)) for value in values)
    return f"{column} IN (SELECT value FROM json_each(?))", f"[{listed}]"
