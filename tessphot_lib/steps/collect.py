"""Step: todo lists and diagnostics of all CCDs -> the todo list of the folder, and CBVs."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.products.cbv_fits import cbv_path, write_cbvs
from tessphot_lib.io.products.diagnostics_ecsv import (
    DIAGNOSTICS_NAME,
    DTYPES,
    read_diagnostics_table,
)
from tessphot_lib.io.products.todo_merge import merge_todos
from tessphot_lib.io.products.todo_sqlite import (
    read_diagnostics,
    read_excluded_stars,
    read_skipped,
    read_todo,
)
from tessphot_lib.io.products.todo_tables import LEFT_OUT
from tessphot_lib.io.products.trends_hdf5 import read_trends_file

log = logging.getLogger(__name__)


def run_collect(
    todos: list[Path],
    diagnostics: list[Path],
    output: Path,
    *,
    trends: Sequence[Path] = (),
    cbvs: Path | None = None,
) -> None:
    """Join what is known of all stars of a folder; no light curve is read.

    The stars of this run come first. What else lies in the folder, by runs of other sectors,
    CCDs, tiles or targets, is added: all stars of other CCDs, and of the own CCDs those that
    this run does not measure. A list of another CCD that cannot be read is left out and named
    in ``todo_info``.

    Parameters
    ----------
    todos : list of Path
        ``<ccd>/todo.sqlite`` of the CCDs of the run.
    diagnostics : list of Path
        ``<ccd>/diagnostics/<tile>.ecsv``, or ``<ccd>/targets``, of the run.
    output : Path
        ``todo.sqlite`` of the folder; paths in it are relative to its folder.
    trends : sequence of Path
        ``<ccd>/trends.hdf5``, where light curves were corrected for them.
    cbvs : Path, optional
        Folder for the same as FITS files, see `tessphot_lib.io.products.cbv_fits`.
    """
    by_folder: dict[Path, list[Path]] = {todo.parent: [] for todo in todos}
    for path in diagnostics:
        is_table = path.suffix == ".ecsv"
        folder = path.parent.parent if is_table else path.parent
        by_folder[folder].append(path if is_table else path / DIAGNOSTICS_NAME)
    others, left_out = _others(output.parent, todos)
    every = [*todos, *others]
    merge_todos(
        every,
        output,
        diagnostics={todo: _tables(todo, by_folder.get(todo.parent, [])) for todo in every},
        info=provenance({})
        | {"inputs": json.dumps([f"{todo.parent.name}/{todo.name}" for todo in every])}
        | {f"{LEFT_OUT}{name}": reason for name, reason in left_out.items()},
    )
    log.info(
        "%d CCDs of this run, %d others, %d tables of diagnostics",
        *(len(todos), len(others), len(diagnostics)),
    )
    if cbvs is not None:
        beside = [todo.with_name("trends.hdf5") for todo in others]
        _write_cbvs(cbvs, trends, [path for path in beside if path.exists()])


def _others(folder: Path, todos: list[Path]) -> tuple[list[Path], dict[str, str]]:
    """Lists of CCDs that other runs have left in the folder, and which cannot be read, and why."""
    others, left_out = [], {}
    for path in sorted(folder.glob("s*-cam*-ccd*/todo.sqlite")):
        if path in todos:
            continue
        try:
            read_todo(path, priorities=[1])
            read_diagnostics(path, priorities=[1])
            read_skipped(path)
            read_excluded_stars(path)
        except InputDataError as error:
            log.warning("left out: %s", error)
            left_out[path.parent.name] = str(error)
        else:
            others.append(path)
    return others, left_out


def _tables(todo: Path, own: list[Path]) -> Iterator[pd.DataFrame]:
    """Diagnostics of a CCD, one table after the other: those of this run, then what others left.

    Of these, only stars that are still on the list, and not measured by this run; they may have
    had other priorities.
    """
    measured: set[int] = set()
    for path in own:
        table = read_diagnostics_table(path)
        measured.update(table["tic_id"])
        yield table.drop(columns="tic_id")
    folder = todo.parent
    others = [*sorted((folder / "diagnostics").glob("*.ecsv")), folder / "targets/diagnostics.ecsv"]
    others = [path for path in others if path not in own and path.exists()]
    if not others:
        return
    priority = read_todo(todo).drop_duplicates("tic_id").set_index("tic_id")["priority"]
    for path in others:
        table = read_diagnostics_table(path)
        is_there = [name is None or (folder / name).exists() for name in table["lightcurve"]]
        is_new = table["tic_id"].isin(priority.index) & ~table["tic_id"].isin(measured)
        wanted = is_new & np.array(is_there, dtype=bool)
        table = table.loc[wanted, [name for name in table.columns if name in DTYPES]]
        measured.update(table["tic_id"])
        yield table.assign(priority=priority.loc[table["tic_id"]].to_numpy()).drop(columns="tic_id")


def _write_cbvs(folder: Path, trends: Sequence[Path], others: Sequence[Path]) -> None:
    """Write the cotrending basis vectors of all CCDs, of other runs those that can be read."""
    with complete_folder(folder) as partial:
        for path in (*trends, *others):
            try:
                arrays, attributes = read_trends_file(path)
            except InputDataError as error:
                if path in trends:
                    raise
                log.warning("left out: %s", error)
                continue
            ccd_id = CcdId.from_string(str(attributes["ccd"]))
            output = partial / cbv_path(ccd_id, float(attributes["cadence_seconds"]))
            output.parent.mkdir(exist_ok=True)
            write_cbvs(output, arrays, attributes, ccd_id)
