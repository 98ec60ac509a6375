"""The workflow as a module of another one, which has its own Snakefile and folder."""

import subprocess
import sys

import pytest
import yaml
from conftest import make_images, make_project, make_sector14
from pipeline_run import jobs

SNAKEFILE = """
configfile: "user.yaml"

module tessphot:
    snakefile: {snakefile!r}
    config: config["photometry of ours"]
    {prefix}

use rule * from tessphot as tess_*

rule mine:
    default_target: True
    input: rules.tess_all.input
    output: "mine.txt"
    shell: "touch {{output}}"
"""


@pytest.fixture
def user(tmp_path):
    """Run Snakemake on a workflow that uses this one."""
    project = make_project(tmp_path / "project")
    make_images(tmp_path / "ffi", 20)
    config = make_sector14(tmp_path)
    folder = tmp_path / "user"
    folder.mkdir()

    def call(*arguments, prefix="", **changes):
        given = {"photometry of ours": config | changes, "theirs": 1}
        (folder / "user.yaml").write_text(yaml.safe_dump(given))
        text = SNAKEFILE.format(snakefile=str(project / "workflow" / "Snakefile"), prefix=prefix)
        (folder / "Snakefile").write_text(text)
        command = [sys.executable, "-m", "snakemake", "--rerun-triggers", "mtime", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return call


EXPECTED = {"tess_ffi_table": 1, "tess_backgrounds": 3, "tess_tile_photometry": 4, "mine": 1}


def test_module_is_planned_with_its_own_defaults(user):
    status, output = user("-n")
    assert status == 0, output
    assert jobs(output).items() >= EXPECTED.items()
    assert "localrules directive" not in output


def test_module_with_a_prefix_runs(user, tmp_path):
    status, output = user("--cores", "2", prefix='prefix: "phot"')
    assert status == 0, output
    assert jobs(output).items() >= EXPECTED.items()
    assert (tmp_path / "user/phot/results/summary.txt").exists()
    assert (tmp_path / "user/mine.txt").exists()
    assert not (tmp_path / "user/results").exists()
    status, output = user("-n", prefix='prefix: "phot"')
    assert jobs(output) == {}


def test_simulated_images_lie_below_the_prefix(user, tmp_path):
    simulated = {"input": {"source": "simulated", "window": [0, 64, 0, 64]}}
    simulated |= {"catalog": {"source": "simulated"}, "simulation": {"n_images": 4}}
    arguments = ("--cores", "2", "--until", "tess_ffi_table")
    status, output = user(*arguments, prefix='prefix: "phot"', **simulated)
    assert status == 0, output
    assert (tmp_path / "user/phot/results/s0014-cam1-ccd1/ffis.ecsv").exists()
    assert (tmp_path / "user/phot/simulated").exists()


def test_mistakes_in_the_config_of_a_module_are_one_line(user):
    status, output = user("-n", todo={"faint_limt": 14})
    assert status == 1
    assert "todo.faint_limt: unknown key; did you mean todo.faint_limit?" in output
    status, output = user("-n", prefix='prefix: "phot"', input={"source": "mast"})
    assert status == 1
    assert "input.source: 'mast' does not go with the prefix 'phot/' of a module" in output
