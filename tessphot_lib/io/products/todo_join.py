"""Joins todo lists that may hold the same stars: of runs made again, and of TASOC's programs.

`tessphot_lib.io.products.todo_merge` is for the lists of the CCDs of one run, which have no star
in common. Here the later of two lists counts for a star, a part at a time:

- the photometry (status, method, ``diagnostics``, ``photometry_skipped``, ``apertures``, data
  validation of the raw light curves): the last list in which the star has a status;
- further columns of ``todolist``, as ``corr_status``: the last list that has a value there;
- further tables with a ``priority``, as ``diagnostics_corr``: the last list with rows of the star;
- tables without a ``priority``, as ``corr_settings``: the last list in which they are not empty.

A star is one target: of a sector, camera, CCD, cadence and data source.
"""

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.sqlite_tables import python_values, read_database
from tessphot_lib.io.products.todo_sqlite import new_todo, with_priority
from tessphot_lib.io.products.todo_tables import EXCLUDED, TODOLIST, Status

TARGET = ["starid", "datasource", "sector", "camera", "ccd", "cadence"]
OF_PHOTOMETRY = ("diagnostics", "photometry_skipped", "apertures", "datavalidation_raw")
REFERENCES = ("priority", "skipped_by")  # columns that name a star by its priority
OURS = {column.sql_name: column for column in TODOLIST}


@dataclass(frozen=True)
class _List:
    """One list: its tables as they are, by name, and how they were declared."""

    path: Path
    tables: dict[str, pd.DataFrame]
    declarations: dict[str, str]
    types: dict[str, dict[str, str]]
    indices: tuple[str, ...]


@dataclass(frozen=True)
class JoinedLists:
    """What came of it: numbers of stars, and of those that several lists have."""

    n_stars: int
    n_common: int


def join_todos(paths: Sequence[Path], output: Path, *, as_corrected: bool = False) -> JoinedLists:
    """Join todo lists; where several have the same star, the later ones count.

    Parameters
    ----------
    paths : sequence of Path
        In the order in which they were made. They are not changed, but ``output`` may be one.
    output : Path
        Gets new priorities, brightest star first; paths of light curves become relative to
        its folder.
    as_corrected : bool
        Present FLUX_CORR of the light curves as what TASOC's corrections have made, so that
        its classification can go on from there: adds ``corr_status`` and ``diagnostics_corr``.

    Raises
    ------
    InputDataError
        If a list cannot be read, or is no todo list; if some star is corrected already.
    """
    lists = [_read(Path(path)) for path in paths]
    if not lists:
        raise InputDataError(f"{output}: there are no todo lists to join")
    stars = pd.concat(
        [one.tables["todolist"].assign(source=number) for number, one in enumerate(lists)],
        ignore_index=True,
    )
    status = stars["status"] if "status" in stars else pd.Series(None, index=stars.index)
    stars["is_measured"] = status.notna() & (status != 0)
    stars = stars.sort_values(["is_measured", "source"], kind="stable")
    chosen = stars.drop_duplicates(TARGET, keep="last")
    renamed = {name: column.key for name, column in OURS.items()}
    ordered = with_priority(chosen.rename(columns={"priority": "old"} | renamed))
    ordered = ordered.rename(columns={key: name for name, key in renamed.items()})
    new = ordered.set_index(TARGET)["priority"]
    # New priority of each star of each list, and whether its photometry is from there.
    stars["new"] = new.loc[pd.MultiIndex.from_frame(stars[TARGET])].to_numpy()
    stars["is_chosen"] = stars.index.isin(chosen.index)
    known = [column.key for column in TODOLIST if column.sql_name in chosen.columns]
    rows = ordered.rename(columns=renamed)[known]
    rows = rows.astype({column.key: column.dtype for column in TODOLIST if column.key in known})
    with new_todo(output, rows, _info(lists)) as connection:
        _add_columns(connection, stars, lists)
        for name in _tables_of(lists):
            _join_table(connection, name, lists, stars, Path(output).parent)
        _join_excluded(connection, lists)
        if as_corrected:
            _present_as_corrected(connection, output)
    return JoinedLists(len(chosen), int((stars["new"].value_counts() > 1).sum()))


def _read(path: Path) -> _List:
    """Read a whole list; integers stay integers."""
    with read_database(path) as connection:
        query = "SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        found = connection.execute(query).fetchall()
        declarations = {name: sql for name, kind, sql in found if kind == "table"}
        tables, types = {}, {}
        for name in declarations:
            cursor = connection.execute(f'SELECT * FROM "{name}"')
            columns = [one[0] for one in cursor.description]
            tables[name] = pd.DataFrame(cursor.fetchall(), columns=columns, dtype=object)
            info = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
            types[name] = {row[1]: row[2] for row in info}
    missing = {"priority", *TARGET} - set(types.get("todolist", ()))
    if missing:
        raise InputDataError(
            f"{path}: not a todo list: todolist has no column {', '.join(sorted(missing))}"
        )
    indices = tuple(sql for _, kind, sql in found if kind == "index" and sql)
    return _List(path, tables, declarations, types, indices)


def _info(lists: Iterable[_List]) -> dict[str, Any]:
    """What the lists say of themselves, later ones over earlier ones."""
    info: dict[str, Any] = {}
    for one in lists:
        if "todo_info" in one.tables:
            info |= dict(one.tables["todo_info"].itertuples(index=False, name=None))
    return info


def _add_columns(connection: Connection, stars: pd.DataFrame, lists: Sequence[_List]) -> None:
    """Add the columns of ``todolist`` that are not ours, with the last value of each star."""
    types: dict[str, str] = {}
    for one in lists:
        types |= one.types["todolist"]
    for name in [name for name in types if name not in OURS]:
        connection.execute(f'ALTER TABLE todolist ADD COLUMN "{name}" {types[name]}')
        said = stars[stars[name].notna()].sort_values("source", kind="stable")
        said = said.drop_duplicates("new", keep="last")
        values = python_values(said[name]), python_values(said["new"])
        connection.executemany(
            f'UPDATE todolist SET "{name}" = ? WHERE priority = ?', zip(*values, strict=True)
        )


def _tables_of(lists: Sequence[_List]) -> list[str]:
    """Names of the tables that are joined row by row or taken whole, in their first order."""
    apart = {"todolist", "todo_info", "excluded"}
    return [
        name for name in dict.fromkeys(n for one in lists for n in one.tables) if name not in apart
    ]


def _join_table(
    connection: Connection, name: str, lists: Sequence[_List], stars: pd.DataFrame, folder: Path
) -> None:
    """Copy the rows of one table, of each star from the list that counts."""
    _declare(connection, name, lists)
    done: set[int] = set()
    for number in reversed(range(len(lists))):
        rows = lists[number].tables.get(name)
        if rows is None or rows.empty:
            continue
        rows = _relative(rows, lists[number].path.parent, folder)
        if "priority" not in rows.columns:
            _insert(connection, name, rows)
            return
        of_list = stars[stars["source"] == number]
        new = dict(zip(of_list["priority"], of_list["new"], strict=True))
        if name in OF_PHOTOMETRY:
            of_list = of_list[of_list["is_chosen"]]
        wanted = rows["priority"].isin(of_list["priority"])
        rows = rows[wanted].assign(
            **{key: rows[key].map(new) for key in REFERENCES if key in rows.columns}
        )
        rows = rows[~rows["priority"].isin(done)]
        done |= set(rows["priority"])
        _insert(connection, name, rows.sort_values("priority", kind="stable"))


def _declare(connection: Connection, name: str, lists: Sequence[_List]) -> None:
    """Make sure that a table is there, with the columns that it has in any list."""
    is_new = not connection.execute(f'PRAGMA table_info("{name}")').fetchall()
    owners = [one for one in lists if name in one.tables]
    if is_new:
        connection.execute(owners[0].declarations[name])
    for one in owners:
        present = {row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')}
        for column, kind in one.types[name].items():
            if column not in present:
                connection.execute(f'ALTER TABLE "{name}" ADD COLUMN "{column}" {kind}')
    if is_new:
        for statement in owners[0].indices:
            words = statement.replace('"', " ").replace("(", " ").split()
            if name in words[words.index("ON") + 1 : words.index("ON") + 2]:
                connection.execute(statement)


def _insert(connection: Connection, name: str, rows: pd.DataFrame) -> None:
    columns = ", ".join(f'"{column}"' for column in rows.columns)
    marks = ", ".join("?" * len(rows.columns))
    connection.executemany(
        f'INSERT INTO "{name}" ({columns}) VALUES ({marks})',
        zip(*(python_values(rows[column]) for column in rows.columns), strict=True),
    )


def _relative(rows: pd.DataFrame, source: Path, folder: Path) -> pd.DataFrame:
    """Copy with paths of light curves relative to another folder."""
    if "lightcurve" not in rows.columns:
        return rows
    start = os.path.relpath(source.absolute(), folder.absolute()).replace(os.sep, "/")
    moved = [
        path if path is None or path.startswith("/") else posixpath.normpath(f"{start}/{path}")
        for path in rows["lightcurve"]
    ]
    return rows.assign(lightcurve=moved)


def _join_excluded(connection: Connection, lists: Sequence[_List]) -> None:
    """Stars that were excluded in some list and are in none."""
    names = [column.sql_name for column in EXCLUDED]
    found = [one.tables["excluded"][names] for one in lists if "excluded" in one.tables]
    if not found:
        return
    keys = ["starid", "sector", "camera", "ccd"]
    rows = pd.concat(found, ignore_index=True).drop_duplicates(keys, keep="last")
    listed = set(connection.execute(f"SELECT {', '.join(keys)} FROM todolist"))
    is_new = [key not in listed for key in rows[keys].itertuples(index=False, name=None)]
    _insert(connection, "excluded", rows[np.array(is_new, dtype=bool)])


def _present_as_corrected(connection: Connection, output: Path) -> None:
    """Add what TASOC's corrections would have, with our numbers of the raw light curves."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if "diagnostics_corr" in tables:
        raise InputDataError(f"{output}: the lists have corrections of TASOC's programs already")
    measured = f"status IN ({int(Status.OK)}, {int(Status.WARNING)})"
    connection.execute("ALTER TABLE todolist ADD COLUMN corr_status INTEGER DEFAULT NULL")
    connection.execute(f"UPDATE todolist SET corr_status = status WHERE {measured}")
    connection.execute(
        "CREATE TABLE diagnostics_corr (priority INTEGER PRIMARY KEY NOT NULL"
        " REFERENCES todolist (priority) ON DELETE CASCADE, lightcurve TEXT, elaptime REAL,"
        " worker_wait_time REAL, variance REAL, rms_hour REAL, ptp REAL, errors TEXT)"
    )
    copied = "priority, lightcurve, elaptime, worker_wait_time, variance, rms_hour, ptp, errors"
    connection.execute(
        f"INSERT INTO diagnostics_corr SELECT {copied} FROM diagnostics"
        f" JOIN (SELECT priority FROM todolist WHERE {measured}) USING (priority)"
    )
