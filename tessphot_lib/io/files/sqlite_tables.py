"""Between pandas tables and SQLite files, many rows at a time.

What numpy brings (its integers would become BLOBs, its NaN has to be NULL) is
turned into plain Python values here, and nowhere else.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError, OutputError, TessphotError
from tessphot_lib.io.files.atomic import complete_file

ROWS_AT_ONCE = 50_000  # as Python values, which take several times the memory of a table


@dataclass(frozen=True)
class SqlColumn:
    """A column: its name in the file, its declaration, and name and type in the table.

    ``dtype`` is a pandas type; ``Int64`` where NULL is possible. Without a
    ``name`` the column has the same one in the file and in the table.
    """

    sql_name: str
    declaration: str
    dtype: str
    name: str = ""

    @property
    def key(self) -> str:
        """Name of the column in the pandas table."""
        return self.name or self.sql_name


def create_table(
    connection: sqlite3.Connection, table: str, columns: Sequence[SqlColumn], *constraints: str
) -> None:
    """Create an empty table."""
    parts = [f'"{column.sql_name}" {column.declaration}' for column in columns]
    connection.execute(f"CREATE TABLE {table} ({', '.join([*parts, *constraints])})")


def insert(
    connection: sqlite3.Connection, table: str, columns: Sequence[SqlColumn], rows: pd.DataFrame
) -> None:
    """Append rows; columns that ``rows`` lacks become NULL, NaN and NA too.

    Raises
    ------
    ValueError
        If ``rows`` has a column that the table lacks.
    """
    unknown = set(rows.columns) - {column.key for column in columns}
    if unknown:
        raise ValueError(f"table {table} has no columns {', '.join(sorted(unknown))}")
    present = [column for column in columns if column.key in rows.columns]
    names = ", ".join(f'"{column.sql_name}"' for column in present)
    marks = ", ".join("?" * len(present))
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = rows.iloc[first : first + ROWS_AT_ONCE]
        values = [python_values(some[column.key]) for column in present]
        connection.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", zip(*values, strict=True)
        )


def select(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[SqlColumn],
    conditions: Sequence[tuple[str, Any]] = (),
    *,
    order: str,
) -> pd.DataFrame:
    """Read rows in the order of a column.

    Parameters
    ----------
    connection : Connection
    table : str
    columns : sequence of SqlColumn
    conditions : sequence of (str, value)
        SQL with one question mark each, and what stands for it; all have to hold.
    order : str
        SQL to order by.

    Raises
    ------
    InputDataError
        If the file has no such table, or the table lacks a column.
    """
    _check_columns(connection, table, columns)
    names = ", ".join(f'"{column.sql_name}"' for column in columns)
    where = f" WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
    found = connection.execute(
        f"SELECT {names} FROM {table}{where} ORDER BY {order}", [value for _, value in conditions]
    ).fetchall()
    frame = pd.DataFrame(found, columns=[column.key for column in columns])
    return frame.astype({column.key: column.dtype for column in columns})


def among(column: str, values: Iterable[int]) -> tuple[str, str]:
    """Condition that an integer column has one of any number of values."""
    listed = ",".join(str(int(value)) for value in values)
    return f"{column} IN (SELECT value FROM json_each(?))", f"[{listed}]"


def _check_columns(
    connection: sqlite3.Connection, table: str, columns: Sequence[SqlColumn]
) -> None:
    """Refuse a file of another version; SQLite would read an unknown "name" as a text."""
    present = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
    missing = [column.sql_name for column in columns if column.sql_name not in present]
    if missing:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        what = f"column {', '.join(missing)} in table {table}" if present else f"table {table}"
        raise InputDataError(f"{path}: there is no {what}; another version of tessphot made it?")


def python_values(values: pd.Series) -> list[Any]:
    """Plain Python values of a column, None for what is missing."""
    if values.dtype.kind in "iufb" and isinstance(values.dtype, np.dtype):
        return values.to_numpy().tolist()  # SQLite takes a NaN for NULL
    values = values.astype(object)
    missing = values.isna().to_numpy()
    return [
        None if is_missing else value.item() if isinstance(value, np.generic) else value
        for value, is_missing in zip(values.tolist(), missing.tolist(), strict=True)
    ]


@contextmanager
def new_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a new file, which replaces ``path`` once all went well."""
    with (
        complete_file(path) as partial,
        _told_of(path, OutputError),
        closing(sqlite3.connect(_uri(partial, "rwc", "nolock"), uri=True)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = OFF")  # a file that fails is thrown away
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
        connection.commit()


@contextmanager
def read_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that can only read.

    Raises
    ------
    InputDataError
        If there is no such file, or it is no database.
    """
    if not path.is_file():
        raise InputDataError(f"{path}: there is no such file")
    with (
        _told_of(path),
        closing(sqlite3.connect(_uri(path, "ro", "immutable"), uri=True)) as connection,
    ):
        yield connection


def _uri(path: Path, mode: str, without_locks: str) -> str:
    """URI of a file without locks, which some network file systems do not have.

    Only complete files are read, which are replaced but never changed, and a new one has a name
    of its own.
    """
    return f"{Path(path).absolute().as_uri()}?mode={mode}&{without_locks}=1"


@contextmanager
def _told_of(path: Path, operation: type[TessphotError] = InputDataError) -> Iterator[None]:
    """Name the file in whatever SQLite complains of, and be it of a disk, in an operation."""
    try:
        yield
    except sqlite3.Error as error:
        kind = operation if isinstance(error, sqlite3.OperationalError) else InputDataError
        raise kind(f"{path}: {error}") from error
