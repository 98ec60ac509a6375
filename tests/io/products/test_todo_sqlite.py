"""The todo list: as TASOC's programs read it, and through renumbering and merging."""

import sqlite3
from contextlib import closing
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.files import sqlite_tables
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_merge import merge_todos
from tessphot_lib.io.products.todo_sqlite import (
    create_todo,
    read_diagnostics,
    read_excluded_stars,
    read_info,
    read_skipped,
    read_todo,
    with_priority,
)
from tessphot_lib.io.products.todo_tables import Status

pytestmark = pytest.mark.filterwarnings("error")


def stars(ccd=3, first_id=100, tmags=(9.5, np.nan, 7.25, 12.0)):
    n_stars = len(tmags)
    return pd.DataFrame(
        {
            "tic_id": np.arange(first_id, first_id + n_stars),
            "sector": np.full(n_stars, 14, dtype=np.int16),
            "datasource": "ffi",
            "camera": 2,
            "ccd": ccd,
            "cadence_seconds": 1800,
            "tmag": tmags,
            "cbv_area": 200 + 10 * ccd + 1,
            "row": 10.0 * np.arange(n_stars),
            "column": 100.0 - np.arange(n_stars),
            "tile": [f"r{index}c5" for index in range(n_stars)],
        }
    )


def diagnostics(**columns):
    return pd.DataFrame({"method_used": "aperture", "elaptime": 0.5} | columns)


def query(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def path(tmp_path):
    create_todo(tmp_path / "ccd" / "todo.sqlite", stars(), info={"software": "tessphot", "n": 3})
    return tmp_path / "ccd" / "todo.sqlite"


def test_brightest_star_first_and_unknown_last(path):
    todo = read_todo(path)
    assert todo["priority"].tolist() == [1, 2, 3, 4]
    assert todo["tic_id"].tolist() == [102, 100, 103, 101]
    np.testing.assert_array_equal(todo["tmag"], [7.25, 9.5, 12.0, np.nan])
    assert todo["row"].tolist() == [20.0, 0.0, 30.0, 10.0]
    assert todo["column"].tolist() == [98.0, 100.0, 97.0, 99.0]
    assert todo["tile"].tolist() == ["r2c5", "r0c5", "r3c5", "r1c5"]
    assert todo["status"].isna().all()
    assert todo["method"].tolist() == [None] * 4
    assert read_info(path) == {"software": "tessphot", "n": "3"}


def test_order_of_the_input_does_not_matter():
    table = stars(tmags=(8.0, 8.0, 7.0, 8.0))
    expected = with_priority(table)
    assert expected["tic_id"].tolist() == [102, 100, 101, 103]
    pd.testing.assert_frame_equal(with_priority(table[::-1]), expected)


def test_tables_that_tasoc_reads(path):
    tables = {name for (name,) in query(path, "SELECT name FROM sqlite_master")}
    assert {"todolist", "diagnostics", "photometry_skipped", "datavalidation_raw"} <= tables
    names = "priority, starid, sector, datasource, camera, ccd, cadence, method, tmag, status"
    rows = query(path, f"SELECT {names}, cbv_area FROM todolist ORDER BY priority")
    assert rows[0] == (1, 102, 14, "ffi", 2, 3, 1800, None, 7.25, None, 231)
    assert rows[3][8] is None
    for table, check in (
        ("todolist", "method IN ('aperture', 'linpsf', 'psf', 'halo'"),
        ("diagnostics", "method_used IN ('aperture', 'linpsf', 'psf', 'halo'"),
    ):
        ((declaration,),) = query(path, f"SELECT sql FROM sqlite_master WHERE name = '{table}'")
        assert f"CHECK ({check}" in declaration
    types = "SELECT DISTINCT typeof(priority), typeof(starid), typeof(sector) FROM todolist"
    assert query(path, types) == [("integer",) * 3]
    columns = [row[1] for row in query(path, "PRAGMA table_info(diagnostics)")]
    assert " ".join(columns) == (
        "priority lightcurve method_used elaptime worker_wait_time mean_flux variance variability"
        " rms_hour ptp pos_row pos_column contamination mask_size edge_flux stamp_width"
        " stamp_height stamp_resizes errors cdpp_0_5h cdpp_1h cdpp_2h cdpp_6h crowdsap flfrcsap"
        " cdpp_sg_6h"
    )
    assert query(path, "SELECT priority, dataval, approved FROM datavalidation_raw") == []
    assert query(path, "SELECT priority, skipped_by FROM photometry_skipped") == []


def test_stars_of_a_tile_a_window_or_a_list(path):
    def found(**where):
        return read_todo(path, **where)["tic_id"].tolist()

    assert found(tile="r0c5") == [100]
    assert found(window=Window(10, 31, 97, 99)) == [102, 103]
    assert found(window=Window(10, 30, 97, 99)) == [102]
    assert found(priorities=np.array([4, 1, 77])) == [102, 101]
    assert found(tic_ids=[103, 5]) == [103]
    assert found(tic_ids=[]) == []
    assert found(priorities=[1, 2], window=Window(0, 1, 100, 101)) == [100]


def test_diagnostics_come_back_and_set_the_status(tmp_path):
    path = tmp_path / "todo.sqlite"
    table = diagnostics(
        priority=np.array([3, 1], dtype=np.int32),
        lightcurve=["lightcurves/r3c5/b.fits.gz", None],
        mean_flux=[1000.0, np.nan],
        mask_size=[12, np.nan],
        stamp_width=np.array([15, 17], dtype=np.int64),
        errors=[None, "Using minimum aperture."],
        status=[Status.OK, Status.WARNING],
    )
    create_todo(path, stars(), diagnostics=table)
    read = read_diagnostics(path)
    assert read["priority"].tolist() == [1, 3]
    assert read["lightcurve"].tolist() == [None, "lightcurves/r3c5/b.fits.gz"]
    np.testing.assert_array_equal(read["mean_flux"], [np.nan, 1000.0])
    assert read["mask_size"].tolist() == [pd.NA, 12]
    assert read["stamp_width"].tolist() == [17, 15]
    assert read["errors"].tolist() == ["Using minimum aperture.", None]
    assert read["elaptime"].tolist() == [0.5, 0.5]
    assert query(path, "SELECT typeof(mask_size) FROM diagnostics WHERE priority = 3") == [
        ("integer",)
    ]
    assert read_todo(path)["status"].tolist() == [3, pd.NA, 1, pd.NA]


def test_diagnostics_of_some_stars(tmp_path):
    path = tmp_path / "todo.sqlite"
    create_todo(path, stars(), diagnostics=diagnostics(priority=[1, 2, 4], mean_flux=[1.0, 2, 4]))
    assert read_diagnostics(path, [4, 3, 1])["mean_flux"].tolist() == [1.0, 4.0]
    assert len(read_diagnostics(path, [])) == 0


def test_a_wrong_row_leaves_no_list(tmp_path):
    path = tmp_path / "todo.sqlite"
    same = ["lightcurves/a.fits.gz"] * 2
    for columns, message in (
        ({"priority": [1, 99]}, r"todo\.sqlite: FOREIGN KEY"),
        ({"priority": [2], "method_used": ["magic"]}, r"todo\.sqlite: CHECK.*method_used"),
        ({"priority": [1, 2], "lightcurve": same}, r"UNIQUE.*lightcurve"),
    ):
        with pytest.raises(InputDataError, match=message):
            create_todo(path, stars(), diagnostics=diagnostics(**columns))
    with pytest.raises(ValueError, match="table diagnostics has no columns tic_id"):
        create_todo(path, stars(), diagnostics=diagnostics(priority=[2], tic_id=[100]))
    assert list(tmp_path.iterdir()) == []


def test_many_rows_are_written_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_tables, "ROWS_AT_ONCE", 3)
    create_todo(tmp_path / "todo.sqlite", stars(tmags=np.arange(7.0)[::-1]))
    assert read_todo(tmp_path / "todo.sqlite")["tmag"].tolist() == list(range(7))


def test_skipped_stars(tmp_path):
    path = tmp_path / "todo.sqlite"
    skipped = pd.DataFrame({"priority": [3, 2], "skipped_by": [1, 1]})
    create_todo(path, stars(), skipped=skipped)
    assert read_skipped(path).to_numpy().tolist() == [[2, 1], [3, 1]]
    assert read_todo(path)["status"].tolist() == [pd.NA, 5, 5, pd.NA]


def random_aperture(seed):
    rng = np.random.default_rng(seed)
    height, width = (int(size) for size in rng.integers(1, 20, 2))
    window = Window(int(seed), int(seed) + height, 300, 300 + width)
    return Aperture(
        window,
        rng.random((height, width)) < 0.4,
        light=ApertureLight(rng.random(), rng.random(), rng.random(5), rng.random(2)),
        is_minimum=bool(seed % 2),
        is_automatic=seed > 2,
        findings="The list has it twice." if seed % 2 else None,
    )


def same_aperture(a, b):
    """Whether all fields are equal, arrays element by element."""
    others = [one.name for one in fields(a) if one.name not in ("mask", "light")]
    equal = [
        np.array_equal(a.mask, b.mask),
        np.array_equal(a.light.motion, b.light.motion),
        np.array_equal(a.light.unexplained, b.light.unexplained),
        (a.light.crowdsap, a.light.flfrcsap) == (b.light.crowdsap, b.light.flfrcsap),
        [getattr(a, name) for name in others] == [getattr(b, name) for name in others],
    ]
    return all(equal)


def test_apertures_come_back(tmp_path):
    path = tmp_path / "todo.sqlite"
    apertures = {np.int64(priority): random_aperture(priority) for priority in (4, 1, 2)}
    create_todo(path, stars(), apertures=apertures)
    read = read_apertures(path)
    assert list(read) == [1, 2, 4]
    assert all(same_aperture(read[priority], apertures[priority]) for priority in read)
    assert read[1].mask.dtype == bool
    assert list(read_apertures(path, [4, 3])) == [4]
    with pytest.raises(InputDataError, match="FOREIGN KEY"):
        create_todo(path, stars(), apertures={99: random_aperture(1)})


def test_everything_in_one_go(tmp_path):
    path = tmp_path / "todo.sqlite"
    create_todo(
        path,
        stars(),
        apertures={2: random_aperture(5)},
        diagnostics=diagnostics(priority=[1], status=[1]),
        skipped=pd.DataFrame({"priority": [2], "skipped_by": [1]}),
    )
    assert read_todo(path)["status"].tolist() == [1, 5, pd.NA, pd.NA]
    assert list(read_apertures(path)) == [2]


def test_an_aperture_whose_light_is_not_known(tmp_path):
    window = Window(4, 6, 7, 10)
    create_todo(tmp_path / "todo.sqlite", stars(), apertures={1: Aperture.whole(window)})
    light = read_apertures(tmp_path / "todo.sqlite")[1].light
    assert np.isnan([light.crowdsap, light.flfrcsap]).all()
    assert light.motion.tolist() == [0, 0, 0, 0, 0]


def test_a_star_that_comes_twice_is_refused(tmp_path):
    table = stars()
    table["tic_id"] = 100
    with pytest.raises(InputDataError, match=r"todo\.sqlite: UNIQUE.*starid"):
        create_todo(tmp_path / "todo.sqlite", table)
    with pytest.raises(InputDataError, match=r"CHECK.*camera"):
        create_todo(tmp_path / "todo.sqlite", stars().assign(camera=5))
    with pytest.raises(InputDataError, match=r"CHECK.*datasource"):
        create_todo(tmp_path / "todo.sqlite", stars().assign(datasource="film"))
    assert list(tmp_path.iterdir()) == []


def test_a_list_without_stars(tmp_path):
    create_todo(tmp_path / "todo.sqlite", stars()[:0])
    assert len(read_todo(tmp_path / "todo.sqlite")) == 0
    assert read_apertures(tmp_path / "todo.sqlite") == {}


def test_merging_renumbers_and_everything_follows(tmp_path):
    first = tmp_path / "results" / "s0014-cam2-ccd1" / "todo.sqlite"
    second = tmp_path / "results" / "s0014-cam2-ccd2" / "todo.sqlite"
    output = tmp_path / "results" / "todo.sqlite"
    # priorities 1..4: 102, 100, 103, 101 and 1..3: 201, 200, 202
    create_todo(first, stars(ccd=1), info={"from": "x"}, apertures={1: random_aperture(1)})
    create_todo(
        second,
        stars(ccd=2, first_id=200, tmags=(8.0, 6.5, 9.5)),
        skipped=pd.DataFrame({"priority": [3], "skipped_by": [1]}),
    )
    before = first.read_bytes(), second.read_bytes()
    found = {
        first: diagnostics(
            priority=[1, 4],
            lightcurve=["lightcurves/r0c0/a.fits.gz", None],
            mean_flux=[102.0, 101.0],
            status=[1, 2],
        ),
        second: diagnostics(
            priority=[2], lightcurve=["lightcurves/r0c0/a.fits.gz"], mean_flux=[200.0], status=[3]
        ),
    }
    pieces = {path: iter([table[1:], table[:1]]) for path, table in found.items()}
    merge_todos([first, second], output, diagnostics=pieces)

    todo = read_todo(output)
    assert todo["priority"].tolist() == list(range(1, 8))
    assert todo["tic_id"].tolist() == [201, 102, 200, 100, 202, 103, 101]
    assert todo["ccd"].tolist() == [2, 1, 2, 1, 2, 1, 1]
    assert todo["status"].tolist() == [pd.NA, 1, 3, pd.NA, 5, pd.NA, 2]
    merged = read_diagnostics(output)
    assert merged["priority"].tolist() == [2, 3, 7]
    assert merged["mean_flux"].tolist() == [102.0, 200.0, 101.0]
    assert merged["lightcurve"].tolist() == [
        "s0014-cam2-ccd1/lightcurves/r0c0/a.fits.gz",
        "s0014-cam2-ccd2/lightcurves/r0c0/a.fits.gz",
        None,
    ]
    assert read_skipped(output).to_numpy().tolist() == [[5, 1]]
    assert read_info(output) == {"s0014-cam2-ccd1/from": "x"}
    assert (first.read_bytes(), second.read_bytes()) == before


def test_merging_lists_that_hold_their_diagnostics(tmp_path):
    first, second = tmp_path / "a" / "todo.sqlite", tmp_path / "b" / "todo.sqlite"
    create_todo(first, stars(ccd=1), diagnostics=diagnostics(priority=[2], status=[1]))
    create_todo(second, stars(ccd=2, first_id=100, tmags=(1.0,)))
    for output in (tmp_path / "todo.sqlite", tmp_path / "c" / "todo.sqlite"):
        merge_todos([second, first], output)
        assert read_diagnostics(output)["priority"].tolist() == [3]
        assert read_todo(output, priorities=[3])["tic_id"].tolist() == [100]
        assert read_todo(output)["status"].tolist() == [pd.NA, pd.NA, 1, pd.NA, pd.NA]


def test_merging_the_same_list_twice_is_refused(tmp_path, path):
    with pytest.raises(InputDataError, match="UNIQUE"):
        merge_todos([path, path], tmp_path / "todo.sqlite")
    with pytest.raises(InputDataError, match="no todo lists"):
        merge_todos([], tmp_path / "todo.sqlite")
    wrong = {path: [diagnostics(priority=[99], lightcurve=None)]}
    with pytest.raises(InputDataError, match="no star has the priority 99"):
        merge_todos([path], tmp_path / "todo.sqlite", diagnostics=wrong)
    assert not (tmp_path / "todo.sqlite").exists()


def test_merging_joins_the_excluded_stars_and_the_apertures_stay(tmp_path):
    names = ("tic_id", "sector", "camera", "ccd", "tmag", "reason")
    rows = {
        1: [(7, 14, 2, 1, 11.5, "excluded: a planet"), (9, 14, 2, 1, np.nan, "excluded")],
        2: [],
        3: [(7, 14, 2, 3, 8.25, "excluded: a planet")],
    }
    paths = [tmp_path / f"ccd{ccd}" / "todo.sqlite" for ccd in rows]
    for path, (ccd, excluded) in zip(paths, rows.items(), strict=True):
        table = stars(ccd, 100 * ccd)[: 0 if ccd == 2 else None]  # a CCD without any star, too
        create_todo(
            path,
            table,
            excluded=pd.DataFrame(excluded, columns=names),
            apertures={1: random_aperture(3)} if len(table) else {},
        )
    merge_todos(paths, tmp_path / "todo.sqlite")
    joined = read_excluded_stars(tmp_path / "todo.sqlite")
    expected = pd.DataFrame([rows[1][1], rows[3][0], rows[1][0]], columns=names)
    pd.testing.assert_frame_equal(joined, expected, check_dtype=False)
    assert len(read_todo(tmp_path / "todo.sqlite")) == 8
    assert read_apertures(tmp_path / "todo.sqlite") == {}


@pytest.mark.parametrize("seed", range(3))
def test_merging_keeps_every_star(tmp_path, seed):
    rng = np.random.default_rng(seed)
    paths, found = [], {}
    for ccd in (1, 2, 3):
        path = tmp_path / f"ccd{ccd}" / "todo.sqlite"
        table = stars(ccd, 1000 * ccd, rng.uniform(5, 15, 50).round(1))
        create_todo(path, table)
        todo = read_todo(path).sample(30, random_state=rng)
        names = "lc/" + todo["tic_id"].astype(str)
        table = diagnostics(
            priority=todo["priority"], mean_flux=todo["tic_id"], lightcurve=names, status=1
        )
        found[path] = [table]
        paths.append(path)
    merge_todos(paths, tmp_path / "todo.sqlite", diagnostics=found)
    todo = read_todo(tmp_path / "todo.sqlite")
    assert (np.diff(todo["tmag"]) >= 0).all()
    assert len(todo) == 150
    joined = read_diagnostics(tmp_path / "todo.sqlite").merge(todo, on="priority")
    assert len(joined) == 90
    assert (joined["mean_flux"] == joined["tic_id"]).all()
    expected = "ccd" + joined["ccd"].astype(str) + "/lc/" + joined["tic_id"].astype(str)
    assert (joined["lightcurve"] == expected).all()


def test_file_of_another_version_is_named_with_what_it_lacks(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE diagnostics DROP COLUMN crowdsap")
        connection.execute("ALTER TABLE diagnostics DROP COLUMN ptp")
        connection.execute("DROP TABLE excluded")
        connection.commit()
    message = rf"{path}: there is no column ptp, crowdsap in table diagnostics; another version"
    with pytest.raises(InputDataError, match=message):
        read_diagnostics(path)
    with pytest.raises(InputDataError, match=rf"{path}: there is no table excluded; another"):
        read_excluded_stars(path)
    assert len(read_todo(path)) > 0


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputDataError, match=r"nowhere\.sqlite: there is no such file"):
        read_todo(tmp_path / "nowhere.sqlite")
    assert list(tmp_path.iterdir()) == []
