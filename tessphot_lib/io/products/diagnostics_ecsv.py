"""``diagnostics/<tile>.ecsv``: how the stars of a tile ended."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv
from tessphot_lib.io.products.todo_tables import DIAGNOSTICS

# Columns and their types: those of TASOC's table, without missing numbers, and two more.
DTYPES = {
    "priority": "int64",
    "tic_id": "int64",
    "status": "int64",
    **{column.key: column.dtype.lower() for column in DIAGNOSTICS},
}


def diagnostics_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make the table of the diagnostics of some stars.

    Parameters
    ----------
    rows : sequence of mapping
        One per star, with all texts and whole numbers; other numbers that it lacks become NaN.

    Raises
    ------
    ValueError
        If a row has a value that the table has no column for.
    """
    unknown = {name for row in rows for name in row} - set(DTYPES)
    if unknown:
        raise ValueError(f"the diagnostics have no columns {', '.join(sorted(unknown))}")
    return pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)


def write_diagnostics_table(
    path: Path,
    table: pd.DataFrame,
    ccd_id: CcdId,
    *,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Write one row per star; columns as TASOC's table ``diagnostics``, and ``tic_id``, ``status``.

    None in a text column is written as an empty text; ``attributes``, of
    `tessphot_lib.core.provenance.provenance`, into the head of the table.
    """
    from astropy.table import Table

    written = Table(meta={"ccd": str(ccd_id)} | dict(attributes or {}))
    for name in table.columns:
        values = table[name]
        if values.dtype == object:
            values = np.array(["" if value is None else str(value) for value in values], dtype=str)
        written[name] = np.asarray(values)
    write_ecsv(path, written)


def read_diagnostics_table(path: Path) -> pd.DataFrame:
    """Read back what `write_diagnostics_table` wrote; empty texts as None."""
    table = read_ecsv(path)
    columns = {}
    for name in table.colnames:
        column = table[name]
        if column.dtype.kind in "US":
            texts = np.ma.filled(column, "") if hasattr(column, "mask") else column
            columns[name] = [str(text) or None for text in texts]
        else:
            filled = np.ma.filled(column, np.nan) if column.dtype.kind == "f" else column
            columns[name] = np.asarray(filled)
    return pd.DataFrame(columns)


DIAGNOSTICS_NAME = "diagnostics.ecsv"
