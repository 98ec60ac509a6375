"""Tables of stars in the formats that people have them in, as pieces of some columns.

CSV (also with semicolons, tabs or bars, and as VizieR writes it), ECSV, FITS, VOTable or
Parquet; all but Parquet also gzipped.
"""

import gzip
import importlib
import re
import warnings
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from astropy.io import fits

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.star_table_formats import READABLE, table_format
from tessphot_lib.io.files.damage import open_fits, told_as_damage

DELIMITERS = ",;\t|"  # of columns
DASHES = re.compile(r"-{3,}")  # VizieR rules a line below the names of columns and their units
CHUNK_ROWS = 100_000  # rows that are in memory as they stand in the file


def read_columns(
    path: Path, wanted: Container[str], n_rows: int = CHUNK_ROWS
) -> Iterator[pd.DataFrame]:
    """Read some columns of a table, a piece at a time.

    Parameters
    ----------
    path : Path
        Ends as `tessphot_lib.core.star_table_formats` has it.
    wanted : container of str
        Names of columns in lower case; the others are left out.
    n_rows : int, optional
        Rows of a piece; a VOTable is one piece.

    Yields
    ------
    DataFrame
        With the names in the file; text files give texts, empty where a value is missing,
        the others NaN or None there.

    Raises
    ------
    InputDataError
        If the file cannot be read, or has one of the columns twice.
    """
    kind = table_format(path.name)
    if kind is None:
        raise InputDataError(f"{path}: the name ends in none of {READABLE}")
    return _READERS[kind](path, wanted, n_rows)


def native(values: np.ndarray) -> np.ndarray:
    """Copy to the byte order of the machine, strings to Python's."""
    if values.dtype.kind in "SU":
        return np.array(values).astype(str).astype(object)
    return values.astype(values.dtype.newbyteorder("="))


def _refuse_twice(path: Path, names: Iterable[str], wanted: Container[str]) -> None:
    """Refuse two columns of one name: nobody knows which one is meant."""
    counts = Counter(str(name).strip().strip('"').lower() for name in names)
    twice = next((name for name, count in counts.items() if count > 1 and name in wanted), None)
    if twice is not None:
        raise InputDataError(f"{path}: column {twice!r} is there {counts[twice]} times")


def _is_wanted(name: Any, wanted: Container[str]) -> bool:
    return str(name).strip().lower() in wanted


def _read_text(path: Path, wanted: Container[str], n_rows: int) -> Iterator[pd.DataFrame]:
    """Read CSV or ECSV as text, so that a wrong value can be named."""
    try:
        with _open_text(path) as file:
            comments, names, below = _first_lines(file)
        _refuse_twice(path, names.rstrip("\n").split(_delimiter(comments, names)), wanted)
        with pd.read_csv(
            path,
            sep=_delimiter(comments, names),
            skiprows=_rows_without_stars(len(comments), below),
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            usecols=lambda name: _is_wanted(name, wanted),
            chunksize=n_rows,
        ) as chunks:
            for chunk in chunks:
                yield chunk.rename(columns=str.strip)
    except pd.errors.EmptyDataError as error:
        raise InputDataError(f"{path}: the file is empty") from error
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputDataError(f"{path} cannot be read: {error}") from error


def _first_lines(file: TextIO) -> tuple[list[str], str, list[str]]:
    """Comments and empty lines at the beginning, the line of names, and the two below."""
    comments = []
    while (line := file.readline()).startswith("#") or (line and not line.strip()):
        comments.append(line)
    return comments, line, [file.readline(), file.readline()]


def _delimiter(comments: list[str], names: str) -> str:
    """What stands between columns: as ECSV tells, else what is most often in the line of names."""
    if comments and comments[0].startswith("# %ECSV"):
        return "," if any(re.match(r"#\s*delimiter: *','", line) for line in comments) else " "
    return max(DELIMITERS, key=names.count)


def _rows_without_stars(n_comments: int, below: list[str]) -> list[int]:
    """Lines to leave out: comments, and units and rule where these stand below the names."""
    n_heads = 2 if DASHES.match(below[1]) else 0
    return [*range(n_comments), *range(n_comments + 1, n_comments + 1 + n_heads)]


def _open_text(path: Path) -> TextIO:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8")


def _read_fits(path: Path, wanted: Container[str], n_rows: int) -> Iterator[pd.DataFrame]:
    with told_as_damage(path), open_fits(path) as hdus:
        tables = (hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU))
        if (hdu := next(tables, None)) is None:
            raise InputDataError(f"{path}: no table in the file")
        columns = [column for column in hdu.columns if _is_wanted(column.name, wanted)]
        _refuse_twice(path, [column.name for column in hdu.columns], wanted)
        for first in range(0, max(len(hdu.data), 1), n_rows):
            rows = hdu.data[first : first + n_rows]
            yield pd.DataFrame({column.name: _plain(rows, column) for column in columns})


def _plain(rows: fits.FITS_rec, column: fits.Column) -> np.ndarray:
    """Values of a column, NaN where an integer is the one that stands for missing."""
    values = native(rows[column.name])
    if values.dtype.kind in "iu" and isinstance(column.null, int):
        return np.where(values == column.null, np.nan, values)
    return values


def _read_votable(path: Path, wanted: Container[str], _: int) -> Iterator[pd.DataFrame]:
    from astropy.io import votable
    from astropy.table import Table

    with told_as_damage(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of details of the format
        tables = list(votable.parse(path, verify="ignore").iter_tables())
        table = tables[0].to_table(use_names_over_ids=True) if tables else Table()
        columns = [name for name in table.colnames if _is_wanted(name, wanted)]
        # Missing values become None.
        frame = pd.DataFrame({name: np.array(table[name].tolist(), object) for name in columns})
    yield frame


def _read_parquet(path: Path, wanted: Container[str], n_rows: int) -> Iterator[pd.DataFrame]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputDataError(f"{path}: Parquet files need the package pyarrow") from error
    with told_as_damage(path), parquet.ParquetFile(path) as file:
        _refuse_twice(path, file.schema_arrow.names, wanted)
        columns = [name for name in file.schema_arrow.names if _is_wanted(name, wanted)]
        yield file.schema_arrow.empty_table().select(columns).to_pandas()
        for batch in file.iter_batches(batch_size=n_rows, columns=columns):
            yield batch.to_pandas()


_READERS = {
    "text": _read_text,
    "fits": _read_fits,
    "votable": _read_votable,
    "parquet": _read_parquet,
}
