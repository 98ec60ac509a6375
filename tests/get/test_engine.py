"""The steps in one process give what the workflow gives."""

import pytest
from pipeline_run import Run, assert_same_light_curve, by_tic_id

from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.renamed_keys import merged
from tessphot_lib.get.engine import Engine
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo


@pytest.fixture(scope="module")
def by_workflow(cut, tmp_path_factory):
    """A run over the cutouts by Snakemake."""
    own = {
        "sectors": [cut.ccd_id.sector],
        "cameras": [cut.ccd_id.camera],
        "ccds": [cut.ccd_id.ccd],
        "input": {"source": "tesscut", "cutout_dir": str(cut.folder)},
        "catalog": {"source": "file", "file": str(cut.stars)},
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
