"""Where a run is, and what its relative paths are meant from."""

import copy
from pathlib import Path

import pytest
from paths import PROJECT

from tessphot_lib.plan.folders import PATHS, output_folder, with_paths_from

FOLDER = Path("/data/me")


def test_results_go_where_the_variable_says(config, monkeypatch, tmp_path):
    assert output_folder(None) is None
    monkeypatch.setenv("TESSPHOT_OUTPUT", "")
    assert output_folder(None) is None
    monkeypatch.setenv("TESSPHOT_OUTPUT", "../there")
    assert output_folder(None) == tmp_path / "run" / ".." / "there"
    assert output_folder("elsewhere") is None


def test_relative_paths_become_absolute(config):
    config["catalog"] |= {"file": "../tic.csv", "cache": "/cache"}
    config["todo"] |= {"exclude": "not_these.csv", "methods": {7: "psf"}}
    config["input"]["ffi_dir"] = "ffi"
    before = copy.deepcopy(config)
    moved = with_paths_from(config, FOLDER)
    assert config == before
    assert moved["catalog"] == config["catalog"] | {"file": "/data/me/../tic.csv"}
    assert moved["todo"] == config["todo"] | {"exclude": "/data/me/not_these.csv"}
    assert moved["input"] == config["input"] | {"ffi_dir": "/data/me/ffi"}
    others = set(config) - {"catalog", "todo", "input"}
    assert {name: moved[name] for name in others} == {name: config[name] for name in others}


def test_folder_of_images_that_nobody_names(config, monkeypatch):
    assert with_paths_from(config, FOLDER)["input"]["ffi_dir"] == "/data/me/data/ffi"
    monkeypatch.setenv("TESSPHOT_INPUT", "sector14")
    assert with_paths_from(config, FOLDER)["input"]["ffi_dir"] == "/data/me/sector14"
    monkeypatch.setenv("TESSPHOT_INPUT", "/archive/sector14")
    assert with_paths_from(config, FOLDER)["input"]["ffi_dir"] == "/archive/sector14"


def test_home_is_known(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config["prf"]["folder"] = "~/prf"
    assert with_paths_from(config, FOLDER)["prf"]["folder"] == "/home/me/prf"


@pytest.mark.parametrize(("section", "key"), PATHS)
def test_every_path_of_the_configuration_is_moved(config, section, key):
    config[section][key] = "here"
    assert with_paths_from(config, FOLDER)[section][key] == "/data/me/here"


def test_no_path_of_the_schema_is_forgotten():
    import yaml

    schema = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())
    known = {
        (section, key)
        for section, part in schema["properties"].items()
        for key, value in part.get("properties", {}).items()
        if key.endswith(
            ("_dir", "folder", "file", "cache", "ephemeris", "ephemerides", "exclude", "methods")
        )
        and "string" in value.get("type", ())
    }
    assert known == set(PATHS)
