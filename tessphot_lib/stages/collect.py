"""Step: todo lists and diagnostics of all CCDs -> the todo list of the run."""

import json
import logging
from pathlib import Path

import pandas as pd

from tessphot_lib.io.diagnostics_ecsv import read_diagnostics_table
from tessphot_lib.io.todo_sqlite import merge_todos
from tessphot_lib.provenance import provenance
from tessphot_lib.stages.lightcurve import DIAGNOSTICS_NAME

log = logging.getLogger(__name__)


def run_collect(todos: list[Path], diagnostics: list[Path], output: Path) -> None:
    """Join what is known of all stars of a run; no light curve is read.

    Parameters
    ----------
    todos : list of Path
        ``<ccd>/todo.sqlite``
    diagnostics : list of Path
        ``<ccd>/diagnostics/<tile>.ecsv``, or ``<ccd>/targets``.
    output : Path
        ``todo.sqlite`` of the run; paths in it are relative to its folder.
    """
    by_folder: dict[Path, list[pd.DataFrame]] = {todo.parent: [] for todo in todos}
    for path in diagnostics:
        folder, table_path = path.parent.parent, path
        if path.suffix != ".ecsv":
            folder, table_path = path.parent, path / DIAGNOSTICS_NAME
        table = read_diagnostics_table(table_path)
        if len(table):
            by_folder[folder].append(table.drop(columns="tic_id"))
    joined = {
        todo: pd.concat(by_folder[todo.parent], ignore_index=True)
        for todo in todos
        if by_folder[todo.parent]
    }
    lists = json.dumps([f"{todo.parent.name}/{todo.name}" for todo in todos])
    merge_todos(todos, output, diagnostics=joined, info=provenance({}) | {"inputs": lists})
    n_stars = sum(len(table) for table in joined.values())
    log.info("%d CCDs, %d stars with diagnostics", len(todos), n_stars)
