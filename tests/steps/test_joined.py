"""The light curves of listed stars, joined at the end of a run."""

import numpy as np
import pytest
from pipeline_run import SHOWCASE

from tessphot_lib.io.products.joined_fits import read_joined
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.steps.joined import run_joined

STAR, UNKNOWN = SHOWCASE["transit"], 5


def test_stars_of_a_run_are_joined(small_run, tmp_path, caplog):
    todo, output = small_run.results / "todo.sqlite", tmp_path / "joined"
    run_joined(todo, output, tic_ids=[STAR, UNKNOWN, STAR], origin="here")
    names = {path.name for path in output.iterdir()}
    assert names == {f"tic{STAR}_joined.{ending}" for ending in ("fits", "ecsv", "png")}
    joined, (row,), header = read_joined(output / f"tic{STAR}_joined.fits")
    curve, _, about = read_light_curve(small_run.light_curves[STAR])
    assert [header[name] for name in ("TICID", "TESSMAG", "RA_OBJ", "DEC_OBJ", "ORIGIN")] == [
        *(about[name] for name in ("TICID", "TESSMAG", "RA_OBJ", "DEC_OBJ")),
        "here",
    ]
    assert (row["SECTOR"], row["CAMERA"], row["CCD"]) == (14, 3, 4)
    np.testing.assert_array_equal(joined["TIME"], curve.time[np.isfinite(curve.time)])
    assert np.nanmedian(joined["FLUX"]) == pytest.approx(1.0)
    assert f"TIC {UNKNOWN}: no light curve" in caplog.text


def test_a_star_that_cannot_be_joined_leaves_the_others(small_run, tmp_path, caplog):
    other = SHOWCASE["eclipse"]
    results = small_run.copy(tmp_path).results
    path = next(results.rglob(small_run.light_curves[other].name))
    path.unlink()
    path.write_bytes(b"no FITS")
    run_joined(results / "todo.sqlite", tmp_path / "out", tic_ids=[other, STAR], origin="x")
    assert len(list((tmp_path / "out").glob("*.fits"))) == 1
    assert f"TIC {other}: not joined: {path}" in caplog.text
