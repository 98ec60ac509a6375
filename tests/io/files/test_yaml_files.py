"""Configurations: mistakes with file and line, no key twice in silence."""

import re

import pytest

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.io.files.yaml_files import read_yaml


@pytest.fixture
def written(tmp_path):
    """Function that writes a configuration; returns its path."""

    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("sectors: [14]\r\nccds: [2, 3]\r\n", {"sectors": [14], "ccds": [2, 3]}),
        ("\ufeffsectors: [14]\n", {"sectors": [14]}),
        ('{\n\t"sectors": [14],\n\t"todo": {"faint_limit": 14}\n}\n', None),
        ("a: &some {x: 1}\nb:\n  <<: *some\n  x: 2\n", {"a": {"x": 1}, "b": {"x": 2}}),
    ],
)
def test_what_is_written_is_read(written, text, values):
    expected = {"sectors": [14], "todo": {"faint_limit": 14}} if values is None else values
    assert read_yaml(written(text)) == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("sectors: [14]\ncameras: [1\nccds: [2]\n", 3, "that begins in line 2"),
        ("input:\n  source: ffi\n\twindow: null\n", 3, "YAML is indented with spaces"),
        ("input:\n  ffi_dir: C: data\n", 2, "mapping values are not allowed here"),
        ("input:\n  ffi_dir: 'data\n", 3, "a quoted scalar that begins in line 2"),
        ("a: 1\nb: !!python/name:os.system\n", 2, "could not determine a constructor"),
        ("a: 1\nb: caf\xe9\n".encode("latin1"), 2, "not UTF-8"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_line(written, text, line, reason):
    with pytest.raises(
        ConfigError, match=rf"^\S*mine\.yaml, line {line}(, column \d+)?: not "
    ) as e:
        read_yaml(written(text))
    assert reason in str(e.value)
    assert "\n" not in str(e.value)


def test_a_section_that_is_there_twice_is_not_lost(written):
    path = written("input:\n  source: tesscut\ntodo: {}\ninput:\n  cutout_dir: x\n")
    said = f"{path}, line 4, column 1: 'input' is there twice, also in line 1"
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_yaml(path)


def test_a_key_of_a_section_that_is_there_twice_is_refused(written):
    path = written('{"todo": {"faint_limit": 14,\n "faint_limit": 15}}')
    with pytest.raises(ConfigError, match="line 2, column 2: 'faint_limit' is there twice"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["14", "- sectors\n- 14\n", "sectors [14]\n"])
def test_a_text_or_a_list_is_no_configuration(written, text):
    with pytest.raises(ConfigError, match=r"mine\.yaml: sections with keys are expected, it is "):
        read_yaml(written(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
