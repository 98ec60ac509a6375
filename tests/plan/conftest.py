"""What the tests of the plan share: a complete configuration, in a folder of its own."""

import copy

import pytest
import yaml
from configurations import ONE_STAR
from paths import PROJECT

DEFAULTS = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Defaults for one CCD, stars from a file; the current folder is an empty one."""
    for variable in ("TESSPHOT_INPUT", "TESSPHOT_OUTPUT"):
        monkeypatch.delenv(variable, raising=False)
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.chdir(run)
    config = copy.deepcopy(DEFAULTS)
    config |= {"sectors": [14], "cameras": [3], "ccds": [2]}
    (tmp_path / "tic.csv").write_text(ONE_STAR)
    config["catalog"] |= {"source": "file", "file": "../tic.csv"}
    return config
