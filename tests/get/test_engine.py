"""The steps in one process give what the workflow gives."""

import lightkurve
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from pipeline_run import Run, assert_same_light_curve, by_tic_id

from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.constants import PIXEL_SCALE_DEG
from tessphot_lib.core.flags import LightCurveFlag
from tessphot_lib.core.renamed_keys import merged
from tessphot_lib.get.engine import Engine
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.io.stars.tic import read_tic


@pytest.fixture(scope="module")
def asteroid(cut, small_run, tmp_path_factory):
    """Table of an object that crosses the first star in the middle of the images."""
    star = read_tic(cut.stars).set_index("tic_id").loc[cut.tic_ids[0]]
    time = lightkurve.read(small_run.light_curves[cut.tic_ids[0]]).time.value
    reach = 20 * PIXEL_SCALE_DEG / np.cos(np.deg2rad(star["dec_j2000"]))
    table = pd.DataFrame(
        {
            "name": "1 Near",
            "time": [time[0] - 1, time[-1] + 1],
            "ra": [star["ra_j2000"] - reach, star["ra_j2000"] + reach],
            "dec": star["dec_j2000"],
            "tmag": 9.0,
        }
    )
    path = tmp_path_factory.mktemp("objects") / "objects.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def by_workflow(cut, asteroid, tmp_path_factory):
    """A run over the cutouts by Snakemake."""
    own = {
        "sectors": [cut.ccd_id.sector],
        "cameras": [cut.ccd_id.camera],
        "ccds": [cut.ccd_id.ccd],
        "input": {"source": "tesscut", "cutout_dir": str(cut.folder)},
        "catalog": {"source": "file", "file": str(cut.stars)},
        "moving": {"find": True, "ephemerides": str(asteroid)},
    }
    run = Run(tmp_path_factory.mktemp("workflow"), own)
    done = run.finish()
    assert done["tile_photometry"] == 1
    return run


@pytest.mark.parametrize("listed", [True, False])
def test_the_same_bits_as_through_snakemake(cut, by_workflow, tmp_path, listed):
    config = merged(default_config(), by_workflow.config)
    if listed:
        config["targets"]["tic_ids"] = cut.tic_ids
    Engine(tmp_path, {cut.ccd_id: cut.paths[::-1]}, config).run()
    name = str(cut.ccd_id)
    wanted = by_tic_id(by_workflow.results / name / "lightcurves")
    ours = tmp_path / "results" / name
    found = by_tic_id(ours / ("targets" if listed else "lightcurves"))
    assert set(found) == (set(cut.tic_ids) if listed else set(wanted))
    assert len(wanted) > 3
    flagged = fits.getdata(found[cut.tic_ids[0]], 1)["QUALITY"] & LightCurveFlag.MOVING_OBJECT
    assert 0 < np.count_nonzero(flagged) < len(flagged)
    for tic_id, path in found.items():
        assert_same_light_curve(path, wanted[tic_id])
    lists = [folder / "todo.sqlite" for folder in (tmp_path / "results", by_workflow.results)]
    stars, theirs = (read_todo(path).drop(columns="status") for path in lists)
    assert stars.equals(theirs)
    diagnostics = [read_diagnostics(path) for path in lists]
    if not listed:
        assert (
            diagnostics[0].drop(columns="elaptime").equals(diagnostics[1].drop(columns="elaptime"))
        )
