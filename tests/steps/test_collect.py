"""Step `collect`: the list of a folder holds what lies in it, whichever runs made that."""

import sqlite3

import pandas as pd
import pytest

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.diagnostics_ecsv import diagnostics_table, write_diagnostics_table
from tessphot_lib.io.products.todo_sqlite import create_todo, read_diagnostics, read_todo
from tessphot_lib.report.summary import summary
from tessphot_lib.steps.check import _of_run
from tessphot_lib.steps.collect import run_collect

HERE, OTHER = CcdId(15, 2, 3), CcdId(14, 2, 3)
TMAG = {10: 9.0, 20: 8.0, 30: 11.0, 40: 12.0}


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def listed(results, ccd_id, tic_ids):
    """Todo list of a CCD; returns its path and the priorities."""
    stars = pd.DataFrame({"tic_id": tic_ids, "tmag": [TMAG[tic_id] for tic_id in tic_ids]})
    stars = stars.assign(sector=ccd_id.sector, camera=ccd_id.camera, ccd=ccd_id.ccd)
    path = results / str(ccd_id) / "todo.sqlite"
    create_todo(path, stars.assign(cadence_seconds=1800, cbv_area=231, tile="r0c0"))
    return path, dict(read_todo(path)[["tic_id", "priority"]].itertuples(index=False))


def measured(path, ccd_id, priorities, tic_ids, folder, *, mean_flux=5.0):
    """Diagnostics of some stars, and their light curves."""
    rows = []
    for tic_id in tic_ids:
        name = f"{folder}/tess{tic_id}.fits.gz"
        curve = path.parent / name
        curve.parent.mkdir(parents=True, exist_ok=True)
        curve.touch()
        row = {"priority": priorities[tic_id], "tic_id": tic_id, "status": 1, "lightcurve": name}
        row |= {"method_used": "aperture", "elaptime": 1.0, "errors": "", "mask_size": 9}
        row |= {"mean_flux": mean_flux, "stamp_width": 3, "stamp_height": 3, "stamp_resizes": 0}
        rows.append(row)
    of_stars = folder == "targets"
    name = "targets/diagnostics.ecsv" if of_stars else f"diagnostics/{folder.split('/')[1]}.ecsv"
    write_diagnostics_table(path.parent / name, diagnostics_table(rows), ccd_id)
    return path.parent / ("targets" if of_stars else name)


def collected(results, todos, diagnostics):
    """Every star of the folder: CCD and TIC number to light curve and mean flux."""
    run_collect(todos, diagnostics, results / "todo.sqlite")
    every = read_todo(results / "todo.sqlite").merge(
        read_diagnostics(results / "todo.sqlite"), on="priority", how="left"
    )
    return every, {
        (star.sector, star.tic_id): (star.lightcurve, star.mean_flux, star.status)
        for star in every.astype(object).where(every.notna(), None).itertuples()
    }


def test_run_of_another_sector_adds_to_the_list(results):
    other, priorities = listed(results, OTHER, [10, 20])
    measured(other, OTHER, priorities, [10, 20], "lightcurves/r0c0")
    todo, priorities = listed(results, HERE, [20, 30])
    table = measured(todo, HERE, priorities, [20, 30], "lightcurves/r0c0")
    every, found = collected(results, [todo], [table])
    assert set(found) == {(14, 10), (14, 20), (15, 20), (15, 30)}
    assert found[14, 10][0] == f"{OTHER}/lightcurves/r0c0/tess10.fits.gz"
    assert every["tmag"].is_monotonic_increasing
    own = _of_run(every, [str(HERE)], [])
    assert sorted(own["tic_id"]) == [20, 30]
    text = summary(
        own.assign(rms_hour=1e-4, ptp=1e-4), results / "todo.sqlite", [], every=every, ccds=[]
    )
    assert text.startswith("2 stars, 2 light curves:")
    assert f"  {HERE}: 2 stars, 2 light curves\n" in text
    assert (
        "in this folder, with stars that were not asked for and those of other runs: 4 stars, "
        "4 light curves\n"
        f"  {OTHER}: 2 stars, 2 light curves\n"
    ) in text
    assert "replaced" not in text


def test_run_for_a_few_stars_keeps_all_others(results):
    """Also where the list was made again, with other priorities."""
    todo, priorities = listed(results, HERE, [10, 30])
    measured(todo, HERE, priorities, [10, 30], "lightcurves/r0c0")
    todo, priorities = listed(results, HERE, [10, 20, 30, 40])
    table = measured(todo, HERE, priorities, [10, 20], "targets", mean_flux=7.0)
    every, found = collected(results, [todo], [table])
    assert found == {
        (15, 10): (f"{HERE}/targets/tess10.fits.gz", 7.0, 1),
        (15, 20): (f"{HERE}/targets/tess20.fits.gz", 7.0, 1),
        (15, 30): (f"{HERE}/lightcurves/r0c0/tess30.fits.gz", 5.0, 1),
        (15, 40): (None, None, None),
    }
    own = _of_run(every, [str(HERE)], [10, 20])
    text = summary(own, results / "todo.sqlite", [10, 20], every=every, ccds=[str(HERE)])
    assert text.startswith("2 stars, 2 light curves:")
    assert f"of other runs: 4 stars, 3 light curves\n  {HERE}: 4 stars, 3 light curves\n" in text


def test_what_is_on_no_list_is_said(results):
    """Light curves that were replaced, deleted ones, and a list that cannot be read."""
    todo, priorities = listed(results, HERE, [10, 20])
    measured(todo, HERE, priorities, [10, 20], "lightcurves/r7c7")
    (results / str(HERE) / "lightcurves/r7c7/tess20.fits.gz").unlink()
    table = measured(todo, HERE, priorities, [10], "lightcurves/r0c0", mean_flux=7.0)
    (results / str(OTHER)).mkdir()
    with sqlite3.connect(results / str(OTHER) / "todo.sqlite") as connection:
        connection.execute("CREATE TABLE todolist (priority INTEGER)")
    every, found = collected(results, [todo], [table])
    assert found == {
        (15, 10): (f"{HERE}/lightcurves/r0c0/tess10.fits.gz", 7.0, 1),
        (15, 20): (None, None, None),
    }
    text = summary(every, results / "todo.sqlite", [], every=every, ccds=[str(HERE)])
    assert f"not in the list of this folder: {OTHER}: " in text
    assert "in table todolist; another version of tessphot" in text
    assert f"replaced by others: {results / str(HERE) / 'lightcurves/r7c7'}\n" in text
