"""The first minute: one command right after installation."""

import json

import numpy as np
import pytest
from paths import PROJECT

from tessphot_lib.cli import main
from tessphot_lib.get import demo
from tessphot_lib.get.demo import STAR
from tessphot_lib.get.workflow import find_snakefile
from tessphot_lib.io.products.joined_fits import read_joined


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The current folder in which the demo has been run."""
    home = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--output", str(home / "tessphot-demo")]) == 0
    return home


def test_demo_shows_the_transits(home):
    folder = home / "tessphot-demo" / f"TIC{STAR}"
    curve, (row,), _ = read_joined(folder / f"tic{STAR}_joined.fits")
    flux = curve["FLUX"][np.isfinite(curve["FLUX"])]
    assert row["N_GOOD"] == len(flux) > 0.7 * demo.IMAGES
    in_transit = flux < 0.995
    assert 0.05 < in_transit.mean() < 0.25
    assert np.median(flux[in_transit]) == pytest.approx(1 - 0.012, abs=0.003)


@pytest.mark.filterwarnings("default")  # those of lightkurve's own imports and units
def test_notebook_runs_on_the_demo(home, monkeypatch):
    monkeypatch.chdir(home)
    cells = json.loads((PROJECT / "docs" / "example.ipynb").read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert names["star"].tic_id == STAR
    assert 0 < names["brightest"].flfrcsap < 1
    assert names["fitted"].flux.shape == names["curve"].flux.shape


def test_workflow_is_found():
    assert find_snakefile().name == "Snakefile"
