"""The first minute: one command right after installation."""

import numpy as np
import pytest

from tessphot_lib.cli import main
from tessphot_lib.get import demo
from tessphot_lib.get.demo import STAR
from tessphot_lib.get.workflow import find_snakefile
from tessphot_lib.io.products.joined_fits import read_joined


def test_demo_shows_the_transits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    assert f"TIC {STAR}, Tmag 9.00" in said
    folder = tmp_path / "tessphot-demo" / f"TIC{STAR}"
    curve, (row,), _ = read_joined(folder / f"tic{STAR}_joined.fits")
    flux = curve["FLUX"][np.isfinite(curve["FLUX"])]
    assert row["N_GOOD"] == len(flux) > 0.7 * demo.IMAGES
    in_transit = flux < 0.995
    assert 0.05 < in_transit.mean() < 0.25
    assert np.median(flux[in_transit]) == pytest.approx(1 - 0.012, abs=0.003)


def test_workflow_is_found():
    assert find_snakefile().name == "Snakefile"
