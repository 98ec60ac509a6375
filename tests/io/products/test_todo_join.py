"""Todo lists of runs made again and of TASOC's programs, joined into one."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_join import join_todos
from tessphot_lib.io.products.todo_sqlite import (
    create_todo,
    read_diagnostics,
    read_info,
    read_skipped,
    read_todo,
)
from tests.io.products.test_todo_sqlite import diagnostics, query, stars

CORRECTIONS = """
    ALTER TABLE todolist ADD COLUMN corr_status INTEGER;
    UPDATE todolist SET corr_status = 1 WHERE starid IN ({ids});
    CREATE TABLE diagnostics_corr (
        priority INTEGER PRIMARY KEY NOT NULL REFERENCES todolist (priority) ON DELETE CASCADE,
        lightcurve TEXT, rms_hour REAL);
    CREATE INDEX diagnostics_corr_idx ON diagnostics_corr (rms_hour);
    INSERT INTO diagnostics_corr
        SELECT priority, 'corr/' || starid || '.fits', {rms} FROM todolist WHERE starid IN ({ids});
    CREATE TABLE corr_settings (method TEXT);
    INSERT INTO corr_settings VALUES ('{method}');
"""


def aperture(size):
    mask = np.zeros((3, 5), dtype=bool)
    mask[1, :size] = True
    return Aperture(Window(10, 13, 20, 25), mask, light=ApertureLight(0.5, 0.25, np.arange(5.0)))


def measured(path, table, status, *, flux, name):
    """A list whose stars have these statuses; those with 1 or 3 have a light curve."""
    create_todo(path, table)
    listed = read_todo(path)
    known = listed[listed["tic_id"].isin([tic_id for tic_id in status if status[tic_id]])]
    with closing(sqlite3.connect(path)) as connection, connection:
        for tic_id, value in status.items():
            connection.execute("UPDATE todolist SET status = ? WHERE starid = ?", (value, tic_id))
    found = diagnostics(
        priority=known["priority"].to_numpy(),
        mean_flux=flux,
        lightcurve=[f"{name}/{tic_id}.fits" for tic_id in known["tic_id"]],
    )
    create_todo(
        path,
        listed.assign(status=[status.get(tic_id) for tic_id in listed["tic_id"]]),
        diagnostics=found,
        apertures={priority: aperture(flux) for priority in known["priority"]},
        info={"software": name},
    )
    return path


def corrected(path, ids, *, rms, method):
    """What TASOC's corrections add to a list."""
    with closing(sqlite3.connect(path)) as connection:
        listed = ", ".join(map(str, ids))
        connection.executescript(CORRECTIONS.format(ids=listed, rms=rms, method=method))
    return path


def columns_by_star(path, *names):
    sql = f"SELECT starid, {', '.join(names)} FROM todolist LEFT JOIN diagnostics USING (priority)"
    return {row[0]: row[1:] for row in query(path, sql)}


def test_a_star_that_was_measured_again_counts_once(tmp_path):
    first = measured(
        tmp_path / "a" / "todo.sqlite", stars(), {100: 1, 101: 2, 102: 3}, flux=1, name="old"
    )
    # Made again with one more star, a brighter one; 102 was not reached, 101 is well now.
    again = stars(first_id=100, tmags=(9.5, np.nan, 7.25, 12.0, 3.5))
    second = measured(tmp_path / "b" / "todo.sqlite", again, {101: 1, 104: 1}, flux=2, name="new")
    before = [path.read_bytes() for path in (first, second)]
    output = tmp_path / "both" / "todo.sqlite"
    counts = join_todos([first, second], output)
    assert (counts.n_stars, counts.n_common) == (5, 4)
    assert [path.read_bytes() for path in (first, second)] == before
    todo = read_todo(output)
    assert todo["tic_id"].tolist() == [104, 102, 100, 103, 101]
    assert todo["priority"].tolist() == [1, 2, 3, 4, 5]
    assert columns_by_star(output, "status", "mean_flux", "lightcurve") == {
        104: (1, 2.0, "../b/new/104.fits"),
        102: (3, 1.0, "../a/old/102.fits"),
        100: (1, 1.0, "../a/old/100.fits"),
        103: (None, None, None),
        101: (1, 2.0, "../b/new/101.fits"),
    }
    assert {
        int(todo["tic_id"][priority - 1]): int(one.mask.sum())
        for priority, one in read_apertures(output).items()
    } == {104: 2, 102: 1, 100: 1, 101: 2}
    assert read_info(output) == {"software": "new"}
    # In the other order the older results count where both have some.
    join_todos([second, first], output)
    assert columns_by_star(output, "status", "mean_flux")[101] == (2, 1.0)


def test_parts_of_the_corrections_come_together(tmp_path):
    """Copies of one list, each with some stars corrected, and with tables that are TASOC's."""
    status = {100: 1, 101: 1, 102: 1}
    paths = []
    for name, ids, rms in (("a", (100, 102), 0.5), ("b", (101, 102), 0.25)):
        path = measured(tmp_path / name / "todo.sqlite", stars(), status, flux=1, name="run")
        paths.append(corrected(path, ids, rms=rms, method=name))
    output = tmp_path / "todo.sqlite"
    assert join_todos(paths, output).n_stars == 4
    assert columns_by_star(output, "corr_status") == {100: (1,), 101: (1,), 102: (1,), 103: (None,)}
    sql = "SELECT starid, lightcurve, rms_hour FROM diagnostics_corr JOIN todolist USING (priority)"
    assert set(query(output, sql)) == {
        (100, "a/corr/100.fits", 0.5),
        (101, "b/corr/101.fits", 0.25),
        (102, "b/corr/102.fits", 0.25),
    }
    assert query(output, "SELECT * FROM corr_settings") == [("b",)]
    assert ("diagnostics_corr_idx",) in query(output, "SELECT name FROM sqlite_master")
    # Once more with the result: nothing changes.
    before = [query(output, f"SELECT * FROM {name}") for name in ("todolist", "diagnostics")]
    join_todos([*paths, output], output)
    after = [query(output, f"SELECT * FROM {name}") for name in ("todolist", "diagnostics")]
    assert after == before


def test_lists_of_different_sectors_and_stars_left_to_brighter_ones(tmp_path):
    paths = []
    for sector in (14, 15):
        path = tmp_path / str(sector) / "todo.sqlite"
        table = stars(ccd=sector - 12).assign(sector=sector)
        skipped = {"priority": [4], "skipped_by": [2]}
        create_todo(path, table, skipped=diagnostics(**skipped)[["priority", "skipped_by"]])
        paths.append(path)
    output = tmp_path / "todo.sqlite"
    assert join_todos(paths, output).n_common == 0
    todo = read_todo(output).set_index("priority")
    pairs = read_skipped(output)
    assert len(pairs) == 2
    for _, (priority, skipped_by) in pairs.iterrows():
        left, brighter = todo.loc[priority], todo.loc[skipped_by]
        assert (left["tic_id"], brighter["tic_id"], left["status"]) == (101, 100, 5)
        assert left["sector"] == brighter["sector"]
    assert len(read_diagnostics(output)) == 0


def test_what_is_no_todo_list_is_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE todolist (priority INTEGER, starid INTEGER)")
    with pytest.raises(
        InputDataError, match=r"other\.sqlite: not a todo list: todolist has no .*ccd"
    ):
        join_todos([path], tmp_path / "todo.sqlite")
    with pytest.raises(InputDataError, match=r"missing\.sqlite: "):
        join_todos([tmp_path / "missing.sqlite"], tmp_path / "todo.sqlite")
    with pytest.raises(InputDataError, match="no todo lists"):
        join_todos([], tmp_path / "todo.sqlite")
    assert not (tmp_path / "todo.sqlite").exists()


def test_the_run_s_own_corrections_can_stand_for_those_of_tasoc(tmp_path):
    path = measured(
        tmp_path / "a" / "todo.sqlite", stars(), {100: 1, 101: 2, 102: 3}, flux=1, name="run"
    )
    output = tmp_path / "todo.sqlite"
    join_todos([path], output, as_corrected=True)
    assert columns_by_star(output, "corr_status") == {
        100: (1,),
        101: (None,),
        102: (3,),
        103: (None,),
    }
    sql = "SELECT starid, lightcurve FROM diagnostics_corr JOIN todolist USING (priority)"
    rows = query(output, sql)
    assert set(rows) == {(100, "a/run/100.fits"), (102, "a/run/102.fits")}
    with pytest.raises(InputDataError, match="corrections of TASOC's programs already"):
        join_todos([output], tmp_path / "again.sqlite", as_corrected=True)
