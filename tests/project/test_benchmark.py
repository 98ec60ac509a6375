"""The benchmark takes the same steps, with the same functions, as the workflow."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from paths import PROJECT

from benchmarks.cube import steps_of_all_blocks
from benchmarks.run import Step, steps
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId, Window


@pytest.fixture
def planned(tmp_path) -> list[Step]:
    config = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())
    config["simulation"]["n_images"] = 3
    return list(steps(tmp_path, CcdId(14, 1, 1), Window(0, 96, 0, 128), config))


def test_every_step_is_a_rule_and_calls_what_its_script_calls(planned):
    for step in planned:
        name = step.function.removeprefix("run_")
        script = (PROJECT / "workflow" / "scripts" / f"{name}.py").read_text()
        assert f"import {step.function}\n" in script


def test_arguments_fit_the_steps(planned):
    """Those of both programs: a new argument of a step belongs there, too."""
    results = Path("results") / "s0014-cam1-ccd1"
    for step in planned + steps_of_all_blocks(results, Path("scratch"), [Path("b0.hdf5")]):
        stage = getattr(importlib.import_module(f"tessphot_lib.steps.{step.rule}"), step.function)
        bound = inspect.signature(stage).bind(*step.args, **step.kwargs).arguments
        for name, value in bound.items():
            # Paths that changed places would fit, too.
            if isinstance(value, Path) and value.stem in bound:
                assert name == value.stem, step


def test_no_input_of_a_tile_is_missing(planned):
    rules = (PROJECT / "workflow" / "rules" / "photometry.smk").read_text()
    rule = re.search(
        r"rule tile_photometry:\n    input:\n(.*?)    output:", rules, re.DOTALL
    ).group(1)
    inputs = set(re.findall(r"(\w+)=", rule)) - {"blocks"}  # found through pixels.hdf5
    tile = next(step for step in planned if step.rule == "photometry")
    files = next(value for value in tile.args if isinstance(value, CcdFiles))
    given = {str(value) for value in [*files.paths(), *tile.args, *tile.kwargs.values()]}
    for name in inputs:
        assert any(re.search(rf"/{name}\.\w+$", value) for value in given), name


def test_figures_of_real_pixels_are_left_out_where_there_are_none(tmp_path):
    program = PROJECT / "benchmarks" / "real_pixels.py"
    missing = tmp_path / "realdata"
    done = subprocess.run(
        [sys.executable, str(program), "--data", str(missing)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{missing}: not there, nothing is measured\n"
