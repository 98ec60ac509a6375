"""JSON files are complete or not there."""

import json
from pathlib import Path

import pytest

from tessphot_lib.io.files.json_files import write_json


def test_content_comes_back(tmp_path):
    path = tmp_path / "new" / "list.json"
    write_json(path, {"Å": [1, 2.5, None, ("a", True)]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"Å": [1, 2.5, None, ["a", True]]}
    assert path.read_text(encoding="utf-8").count("\n") == 1
    assert list(path.parent.iterdir()) == [path]


def test_paths_are_text_and_levels_are_indented(tmp_path):
    write_json(tmp_path / "run.json", {"from": Path("data/ffi")}, indent=2)
    assert (tmp_path / "run.json").read_text() == '{\n  "from": "data/ffi"\n}\n'


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "list.json"
    write_json(path, [1])
    with pytest.raises(TypeError, match="keys must be"):
        write_json(path, {(1, 2): 3})
    assert path.read_text() == "[1]\n"
    assert list(tmp_path.iterdir()) == [path]
