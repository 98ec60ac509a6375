"""The star catalog of a CCD, as TASOC's programs and we read it."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.stars.catalog_sqlite import (
    read_catalog,
    read_catalog_settings,
    read_catalog_window,
    write_catalog,
)

pytestmark = pytest.mark.filterwarnings("error")
FOOTPRINT = ((10.0, -85.5), (355.25, -80.0), (100.0, -89.0))
SETTINGS = {
    "sector": np.int64(14),
    "camera": 2,
    "ccd": 3,
    "ticver": "8.2",
    "reference_time": 2458683.354,
    "epoch": 2019.5367,
    "coord_buffer": 0.2,
    "camera_centre_ra": 280.0,
    "camera_centre_dec": 35.5,
    "footprint": FOOTPRINT,
    "wcs": "CRPIX1  =               1045.0",
    "reference_image": "tess2019199201929-s0014-2-3-0150-s_ffic.fits",
    "centre_ra": 285.5,
    "centre_dec": 30.25,
    "image_header": '{"DATA_REL": 19}',
}


def stars():
    return pd.DataFrame(
        {
            "tic_id": [99, 7, 12345678901],
            "ra": [10.0001, 359.5, 100.25],
            "dec": [-85.5001, -80.25, -89.5],
            "ra_j2000": [10.0, 359.25, 100.0],
            "dec_j2000": [-85.5, -80.0, -89.0],
            "pm_ra": [1.5, np.nan, -3.25],
            "pm_dec": [-2.5, np.nan, 4.0],
            "tmag": [10.5, 12.25, np.nan],
            "teff": [np.nan, 5000.0, np.nan],
            "row": [100.25, -5.5, 2047.75],
            "column": [1999.5, 30.0, np.nan],
        }
    )


def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "new" / "catalog.sqlite"
    before = stars()
    write_catalog(path, before, SETTINGS)
    after, settings = read_catalog(path)
    expected = stars().sort_values("tic_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(after, expected)
    pd.testing.assert_frame_equal(before, stars())
    assert settings == SETTINGS
    assert read_catalog_settings(path) == SETTINGS
    some, _ = read_catalog(path, ("tmag", "tic_id"))
    pd.testing.assert_frame_equal(some, expected[["tic_id", "tmag"]])


def test_names_and_types_that_tasoc_reads(tmp_path):
    path = tmp_path / "catalog.sqlite"
    write_catalog(path, stars(), SETTINGS)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM catalog ORDER BY starid")]
        types = connection.execute("SELECT DISTINCT typeof(starid), typeof(ra) FROM catalog")
        assert [tuple(row) for row in types] == [("integer", "real")]
        setting = dict(connection.execute("SELECT * FROM settings").fetchone())
        indices = {row["name"] for row in connection.execute("PRAGMA index_list(catalog)")}
    assert rows[0] == {
        "starid": 7,
        "ra": 359.5,
        "decl": -80.25,
        "ra_J2000": 359.25,
        "decl_J2000": -80.0,
        "pm_ra": None,
        "pm_decl": None,
        "tmag": 12.25,
        "teff": 5000.0,
        "row": -5.5,
        "column": 30.0,
    }
    assert setting["sector"] == 14
    assert setting["footprint"] == "((10.0,-85.5),(355.25,-80.0),(100.0,-89.0))"
    assert "ra_dec_idx" in indices


def test_window_of_the_catalog(tmp_path):
    path = tmp_path / "catalog.sqlite"
    grid = pd.DataFrame(
        [(row, column) for row in range(5) for column in range(7)], columns=["row", "column"]
    ).astype(float)
    grid["tic_id"] = np.arange(1, 36, dtype=np.int32)
    grid["tmag"] = 10.0 + 0.1 * grid["column"]
    for name in ("ra", "dec", "ra_j2000", "dec_j2000", "pm_ra", "pm_dec", "teff"):
        grid[name] = 1.0
    write_catalog(path, grid, SETTINGS)
    found = read_catalog_window(path, 1, 3, 4, 6)
    assert found[["row", "column"]].to_numpy().tolist() == [[1, 4], [1, 5], [2, 4], [2, 5]]
    found = read_catalog_window(path, 1, np.int64(3), 4, 6, faint_limit=10.45)
    assert found[["row", "column"]].to_numpy().tolist() == [[1, 4], [2, 4]]
    empty = read_catalog_window(path, 50, 60, 0, 7)
    assert len(empty) == 0
    assert empty.dtypes.equals(found.dtypes)


def test_a_catalog_without_stars(tmp_path):
    path = tmp_path / "catalog.sqlite"
    write_catalog(path, stars()[:0], SETTINGS | {"wcs": None})
    after, settings = read_catalog(path)
    assert len(after) == 0
    assert settings["wcs"] is None


def test_footprint_as_an_array_or_as_text(tmp_path):
    for number, footprint in enumerate((np.array(FOOTPRINT), str(FOOTPRINT))):
        path = tmp_path / f"{number}.sqlite"
        write_catalog(path, stars(), SETTINGS | {"footprint": footprint})
        assert read_catalog_settings(path)["footprint"] == FOOTPRINT


def test_what_is_missing_or_unknown_is_named(tmp_path):
    path = tmp_path / "catalog.sqlite"
    with pytest.raises(ValueError, match="stars lack pm_dec"):
        write_catalog(path, stars().drop(columns="pm_dec"), SETTINGS)
    with pytest.raises(ValueError, match="settings lack epoch"):
        write_catalog(path, stars(), {key: SETTINGS[key] for key in SETTINGS if key != "epoch"})
    with pytest.raises(ValueError, match="no columns epok"):
        write_catalog(path, stars(), SETTINGS | {"epok": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_star_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "catalog.sqlite"
    with pytest.raises(InputDataError, match=r"catalog\.sqlite: UNIQUE .*starid"):
        write_catalog(path, pd.concat([stars(), stars()]), SETTINGS)
    nowhere = stars()
    nowhere.loc[1, "ra"] = np.nan
    with pytest.raises(InputDataError, match="NOT NULL"):
        write_catalog(path, nowhere, SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_files_are_named(tmp_path):
    path = tmp_path / "catalog.sqlite"
    with pytest.raises(InputDataError, match=r"catalog\.sqlite: there is no such file"):
        read_catalog(path)
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(InputDataError, match=r"catalog\.sqlite: file is not a database"):
        read_catalog(path)
