"""Rows written as ECSV and read back: types, empty texts, no rows, missing columns."""

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, read_rows, write_rows
from tessphot_lib.io.products.moving_ecsv import read_moving
from tessphot_lib.io.products.moving_objects_ecsv import read_moving_objects
from tessphot_lib.io.products.moving_objects_ecsv import write_moving_objects as write_objects
from tessphot_lib.io.products.not_measured_ecsv import read_not_measured

COLUMNS = {
    "number": (np.int64, None),
    "name": (str, None),
    "row": (np.float64, "pix"),
    "is_seen": (bool, None),
}
ROWS = pd.DataFrame(
    {
        "number": [99_999_999_999, -1, 3],
        "name": ["", '99 "X", Y', "433"],
        "row": [1.25, np.nan, -0.5],
        "is_seen": [True, False, True],
    }
)


@pytest.mark.parametrize("n_rows", [3, 1, 0])
def test_rows_are_read_back(tmp_path, n_rows):
    path, rows = tmp_path / "rows.ecsv", ROWS[:n_rows]
    write_rows(path, rows.assign(more=1), COLUMNS, {"ccd": "x"})
    pd.testing.assert_frame_equal(read_rows(path, COLUMNS), rows)
    table = read_ecsv(path)
    assert (table.meta["ccd"], str(table["row"].unit)) == ("x", "pix")


def test_without_a_file_there_are_no_rows_of_the_same_types():
    pd.testing.assert_frame_equal(read_rows(None, COLUMNS), ROWS[:0], check_index_type=False)


def test_no_rows_need_no_columns(tmp_path):
    write_objects(tmp_path / "none.ecsv", pd.DataFrame([]), CcdId(14, 1, 2), {})
    found = read_moving_objects(tmp_path / "none.ecsv")
    assert found.empty
    assert found["object"].dtype == object


@pytest.mark.parametrize("read", [read_moving, read_moving_objects, read_not_measured])
def test_missing_columns_are_named(tmp_path, read):
    write_rows(tmp_path / "old.ecsv", ROWS, COLUMNS, {})
    with pytest.raises(InputDataError, match=r"old\.ecsv: no column .*"):
        read(tmp_path / "old.ecsv")
