"""Cutouts of a few stars of the small simulated run, and a list of its stars."""

from types import SimpleNamespace

import pytest
from cutout_files import read_images, write_cutout
from pipeline_run import CONFIG, SHOWCASE, WINDOW

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.todo_sqlite import read_todo

HALF_ROWS, HALF_COLUMNS = 7, 8  # not square


@pytest.fixture(scope="session")
def cut(small_run, tmp_path_factory):
    """``cutouts``: folder; ``stars``: list of stars; ``tic_ids`` of the stars in the middle."""
    folder = tmp_path_factory.mktemp("get")
    todo = read_todo(small_run.ccd / "todo.sqlite").set_index("tic_id")
    images = read_images(small_run.images(), WINDOW)
    tic_ids = [SHOWCASE["transit"], SHOWCASE["eclipse"]]
    paths = []
    for tic_id in tic_ids:
        row, column = (round(todo.loc[tic_id, name]) for name in ("row", "column"))
        window = [row - HALF_ROWS, row + HALF_ROWS + 1]
        window += [column - HALF_COLUMNS, column + HALF_COLUMNS + 1]
        paths.append(write_cutout(folder / "cutouts", images, window))
    return SimpleNamespace(
        folder=folder / "cutouts",
        paths=paths,
        stars=small_run.ccd / "tic.csv",
        tic_ids=tic_ids,
        ccd_id=CcdId(*(CONFIG[name][0] for name in ("sectors", "cameras", "ccds"))),
    )
