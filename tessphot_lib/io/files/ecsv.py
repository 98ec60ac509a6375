"""Tables as ECSV files: read with a clear error, written complete or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.atomic import complete_file

if TYPE_CHECKING:
    from astropy.table import Table

Columns = Mapping[str, tuple[type, str | None]]  # name: type (texts: str), unit


def read_ecsv(path: Path) -> "Table":
    """Read a table.

    Raises
    ------
    InputDataError
        If the file cannot be read or is no ECSV.
    """
    from astropy.table import Table

    try:
        return Table.read(path, format="ascii.ecsv", guess=False)
    except (OSError, ValueError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err


def write_ecsv(path: Path, table: "Table") -> None:
    """Write a table; ``path`` appears complete or not at all."""
    with complete_file(path) as partial:
        table.write(partial, format="ascii.ecsv")


def write_rows(path: Path, rows: pd.DataFrame, columns: Columns, meta: Mapping[str, Any]) -> None:
    """Write the named columns of rows, with their units; ``rows`` without any may lack them."""
    from astropy.table import Table

    table = Table(meta=dict(meta))
    for name, (dtype, unit) in columns.items():
        values = rows[name].tolist() if len(rows) else []
        # Without a width, astropy writes no type of a column without rows.
        empty = np.zeros(0, dtype="U1" if dtype is str else dtype)
        table[name] = np.array(values, dtype=dtype) if values else empty
        table[name].unit = unit
    write_ecsv(path, table)


def read_rows(path: Path | None, columns: Columns) -> pd.DataFrame:
    """Read the columns that `write_rows` wrote; texts are of dtype object.

    Parameters
    ----------
    path : Path or None
        None: there is no file, which counts as one without rows.
    columns : mapping of str to (type, str or None)

    Raises
    ------
    InputDataError
        If the file cannot be read, or lacks a column.
    """
    if path is None:
        return pd.DataFrame({name: _values([], dtype) for name, (dtype, _) in columns.items()})
    table = read_ecsv(path)
    missing = set(columns) - set(table.colnames)
    if missing:
        raise InputDataError(f"{path}: no column {', '.join(sorted(missing))}")
    return pd.DataFrame({name: _values(table[name], dtype) for name, (dtype, _) in columns.items()})


def _values(column: Any, dtype: type) -> Any:
    """Values of a column; empty texts, which ECSV takes for missing ones, are empty again."""
    if dtype is not str:
        return np.asarray(column, dtype=dtype)
    texts = [str(text) for text in np.ma.filled(np.ma.asarray(column, dtype=str), "")]
    return pd.Series(texts, dtype=object)
