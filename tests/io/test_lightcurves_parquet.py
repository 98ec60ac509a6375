"""Light curves in one Parquet file: what pandas reads is what the FITS files hold."""

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from pipeline_run import CCD

from tessphot_lib.io.products import lightcurves_parquet
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.steps.lightcurve_table import run_lightcurve_table


@pytest.fixture(scope="module")
def folders(small_run):
    return sorted((small_run.results / CCD / "lightcurves").iterdir())


def test_table_holds_the_light_curves(folders, tmp_path):
    output = tmp_path / "lightcurves.parquet"
    run_lightcurve_table([*folders, tmp_path / "a tile without stars"], output)
    table = pd.read_parquet(output).set_index("tic_id")
    files = [file for folder in folders for file in folder.glob("*.fits.gz")]
    assert len(table) == len(files) > 10
    for file in files[::7]:
        curve, _, header = read_light_curve(file)
        row = table.loc[curve.tic_id]
        assert row["tmag"] == pytest.approx(header["TESSMAG"], rel=1e-6)
        assert (row["method"], row["sector"]) == (header["PHOTMET"], 14)
        for name in ("time", "flux", "quality", "cadenceno"):
            np.testing.assert_array_equal(row[name], getattr(curve, name))
        np.testing.assert_allclose(row["flux_corr"], curve.flux_corr, rtol=1e-6)


def test_one_row_group_for_each_tile_and_units(folders, tmp_path):
    output = tmp_path / "lightcurves.parquet"
    run_lightcurve_table(folders, output)
    with parquet.ParquetFile(output) as file:
        with_stars = [folder for folder in folders if any(folder.glob("*.fits.gz"))]
        assert file.num_row_groups == len(with_stars)
        assert file.schema_arrow.field("flux").metadata == {b"unit": b"e-/s"}


def test_many_points_are_divided_into_row_groups(folders, tmp_path, monkeypatch):
    """Memory follows `MAX_POINTS`, not all points of a tile; rows are the same."""
    run_lightcurve_table(folders, tmp_path / "whole.parquet")
    n_points = len(pd.read_parquet(tmp_path / "whole.parquet")["time"][0])
    monkeypatch.setattr(lightcurves_parquet, "MAX_POINTS", 2 * n_points)
    run_lightcurve_table(folders, tmp_path / "divided.parquet")
    n_of_tiles = [len(list(folder.glob("*.fits.gz"))) for folder in folders]
    with parquet.ParquetFile(tmp_path / "divided.parquet") as file:
        assert file.num_row_groups == sum(-(-n_stars // 2) for n_stars in n_of_tiles)
    tables = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "divided"))
    pd.testing.assert_frame_equal(*tables)


def test_no_stars_at_all(tmp_path):
    output = tmp_path / "lightcurves.parquet"
    run_lightcurve_table([], output)
    table = pd.read_parquet(output)
    assert table.empty
    assert {"tic_id", "time", "flux_corr"} < set(table.columns)
