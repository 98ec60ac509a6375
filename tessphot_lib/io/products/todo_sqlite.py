"""Who is to be measured and what came of it: todo lists as TASOC's programs read them.

`tessphot_lib.io.products.todo_tables` says which tables and columns there are.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.files.sqlite_tables import (
    among,
    create_table,
    insert,
    new_database,
    python_values,
    read_database,
    select,
)
from tessphot_lib.io.products.todo_apertures import insert_apertures
from tessphot_lib.io.products.todo_tables import (
    DIAGNOSTICS,
    EXCLUDED,
    INDICES,
    INFO,
    SKIPPED,
    TABLES,
    TODOLIST,
    Status,
)


def create_todo(
    path: Path,
    stars: pd.DataFrame,
    *,
    info: Mapping[str, Any] | None = None,
    apertures: Mapping[int, Aperture] | None = None,
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
        See `insert_diagnostics` and `insert_skipped`.
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
    with new_todo(path, stars, info or {}) as connection:
        if diagnostics is not None:
            insert_diagnostics(connection, diagnostics)
        if skipped is not None:
            insert_skipped(connection, skipped)
        if excluded is not None:
            insert(connection, "excluded", EXCLUDED, excluded)
        insert_apertures(connection, apertures or {})


@contextmanager
def new_todo(path: Path, stars: pd.DataFrame, info: Mapping[str, Any]) -> Iterator[Connection]:
    """Give a connection to a new list that holds its stars, for what else is to be in it.

    Parameters
    ----------
    path : Path
        Appears once all went well.
    stars, info
        See `create_todo`; ``stars`` with ``priority``.
    """
    with new_database(path) as connection:
        for table, columns in TABLES.items():
            create_table(connection, table, columns)
        insert(connection, "todolist", TODOLIST, stars.sort_values("priority"))
        rows = [(key, None if value is None else str(value)) for key, value in info.items()]
        connection.executemany("INSERT INTO todo_info VALUES (?, ?)", rows)
        yield connection
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
        conditions.append(among("priority", priorities))
    if tic_ids is not None:
        conditions.append(among("starid", tic_ids))
    with read_database(path) as connection:
        return select(connection, "todolist", TODOLIST, conditions, order="priority")


def read_diagnostics(path: Path, priorities: Iterable[int] | None = None) -> pd.DataFrame:
    """Read diagnostics (default: of all stars) in the order of priority.

    The status of a star is in the list of the stars, see `read_todo`.
    """
    conditions = [] if priorities is None else [among("priority", priorities)]
    with read_database(path) as connection:
        return select(connection, "diagnostics", DIAGNOSTICS, conditions, order="priority")


def read_skipped(path: Path) -> pd.DataFrame:
    """Read which stars are left to which brighter one, see `insert_skipped`."""
    with read_database(path) as connection:
        return select(connection, "photometry_skipped", SKIPPED, order="priority, skipped_by")


def read_excluded_stars(path: Path) -> pd.DataFrame:
    """Read the stars that the user has excluded: columns of `EXCLUDED`, brightest first."""
    with read_database(path) as connection:
        return select(connection, "excluded", EXCLUDED, order="tmag, starid, sector, camera, ccd")


def read_info(path: Path) -> dict[str, str | None]:
    """Read where the list comes from."""
    with read_database(path) as connection:
        rows = select(connection, "todo_info", INFO, order="key")
    return dict(rows.itertuples(index=False, name=None))


def insert_diagnostics(connection: Connection, diagnostics: pd.DataFrame) -> None:
    """Append diagnostics of stars of the list.

    Parameters
    ----------
    connection : Connection
    diagnostics : DataFrame
        Columns of ``diagnostics``: ``priority``, ``method_used`` and
        ``elaptime`` are needed, the others not. ``lightcurve`` is relative to
        the folder of the list. A column ``status`` goes into the list of stars.
    """
    if "status" in diagnostics.columns:
        known = diagnostics[diagnostics["status"].notna()]
        values = python_values(known["status"]), python_values(known["priority"])
        connection.executemany(
            "UPDATE todolist SET status = ? WHERE priority = ?", zip(*values, strict=True)
        )
        diagnostics = diagnostics.drop(columns="status")
    insert(connection, "diagnostics", DIAGNOSTICS, diagnostics)


def insert_skipped(connection: Connection, skipped: pd.DataFrame) -> None:
    """Note which stars are left to which brighter one, and set their status.

    Parameters
    ----------
    connection : Connection
    skipped : DataFrame
        ``priority`` and ``skipped_by``, the priority of the brighter star.
    """
    insert(connection, "photometry_skipped", SKIPPED, skipped)
    connection.executemany(
        f"UPDATE todolist SET status = {int(Status.SKIPPED)} WHERE priority = ?",
        [(priority,) for priority in python_values(skipped["priority"])],
    )
