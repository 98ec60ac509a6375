"""Joins the todo lists of CCDs into that of a run."""

import os
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.sqlite_tables import insert, python_values
from tessphot_lib.io.products.todo_sqlite import (
    insert_diagnostics,
    insert_skipped,
    new_todo,
    read_diagnostics,
    read_excluded_stars,
    read_info,
    read_skipped,
    read_todo,
    with_priority,
)
from tessphot_lib.io.products.todo_tables import EXCLUDED


def merge_todos(
    paths: Iterable[Path],
    output: Path,
    *,
    diagnostics: Mapping[Path, Iterable[pd.DataFrame]] | None = None,
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
    diagnostics : mapping, optional
        More of them for some of the lists, with the priorities of that list, and
        light curves relative to its folder, see
        `tessphot_lib.io.products.todo_sqlite.insert_diagnostics`. Each table is asked
        for once and written before the next one, so that a generator keeps the memory low.
    info : mapping, optional
        How the joined list was made; what the lists say of themselves is added, with the
        names of their folders.

    Raises
    ------
    InputDataError
        If a list cannot be read, or a star is in two of them.
    """
    paths = [Path(path) for path in paths]
    if not paths:
        raise InputDataError(f"{output}: there are no todo lists to join")
    stars = pd.concat(
        [read_todo(path).assign(source=number) for number, path in enumerate(paths)],
        ignore_index=True,
    )
    merged = with_priority(stars.rename(columns={"priority": "old"}))
    numbers = _new_numbers(merged, len(paths))
    own = {
        f"{path.parent.name}/{key}": value
        for path in paths
        for key, value in read_info(path).items()
    }
    with new_todo(
        output, merged.drop(columns=["source", "old"]), {**(info or {}), **own}
    ) as connection:
        for number, path in enumerate(paths):
            folder = os.path.relpath(path.parent.absolute(), Path(output).parent.absolute())
            skipped = read_skipped(path)
            for column in ("priority", "skipped_by"):
                skipped[column] = _renumbered(skipped[column], numbers[number], path)
            insert_skipped(connection, skipped)
            for table in (read_diagnostics(path), *(diagnostics or {}).get(path, ())):
                moved = _from_folder(table, folder)
                moved["priority"] = _renumbered(moved["priority"], numbers[number], path)
                insert_diagnostics(connection, moved)
            insert(connection, "excluded", EXCLUDED, read_excluded_stars(path))


def _new_numbers(merged: pd.DataFrame, n_sources: int) -> list[pd.Series]:
    """Priorities in the joined list by those in each of its sources."""
    by_source = dict(iter(merged.groupby("source")))
    nothing = merged[:0]
    return [
        by_source.get(number, nothing).set_index("old")["priority"] for number in range(n_sources)
    ]


def _renumbered(old: pd.Series, numbers: pd.Series, path: Path) -> NDArray:
    """New priorities of stars of a list."""
    new = numbers.reindex(old)
    if new.isna().any():
        unknown = old[new.isna().to_numpy()].iloc[0]
        raise InputDataError(f"{path}: no star has the {old.name} {unknown}")
    return new.to_numpy().astype(np.int64)


def _from_folder(diagnostics: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Copy with paths of light curves relative to another folder."""
    start = folder.replace(os.sep, "/")
    moved = [
        None if value is None else posixpath.normpath(f"{start}/{value}")
        for value in python_values(diagnostics["lightcurve"])
    ]
    return diagnostics.assign(lightcurve=pd.Series(moved, index=diagnostics.index, dtype=object))
