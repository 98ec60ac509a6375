"""Step: todo lists and diagnostics of all CCDs -> the todo list of the run."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.products.cbv_fits import cbv_name, write_cbvs
from tessphot_lib.io.products.diagnostics_ecsv import DIAGNOSTICS_NAME, read_diagnostics_table
from tessphot_lib.io.products.todo_merge import merge_todos
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
    """Join what is known of all stars of a run; no light curve is read.

    Parameters
    ----------
    todos : list of Path
        ``<ccd>/todo.sqlite``
    diagnostics : list of Path
        ``<ccd>/diagnostics/<tile>.ecsv``, or ``<ccd>/targets``.
    output : Path
        ``todo.sqlite`` of the run; paths in it are relative to its folder.
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
    lists = json.dumps([f"{todo.parent.name}/{todo.name}" for todo in todos])
    merge_todos(
        todos,
        output,
        diagnostics={todo: _read_each(by_folder[todo.parent]) for todo in todos},
        info=provenance({}) | {"inputs": lists},
    )
    log.info("%d CCDs, %d tables of diagnostics", len(todos), len(diagnostics))
    if cbvs is not None:
        with complete_folder(cbvs) as folder:
            for path in trends:
                arrays, attributes = read_trends_file(path)
                ccd_id = CcdId.from_string(str(attributes["ccd"]))
                name = cbv_name(ccd_id, float(attributes["cadence_seconds"]))
                write_cbvs(folder / name, arrays, attributes, ccd_id)


def _read_each(tables: list[Path]) -> Iterator[pd.DataFrame]:
    """Diagnostics of one tile after the other."""
    for path in tables:
        yield read_diagnostics_table(path).drop(columns="tic_id")
