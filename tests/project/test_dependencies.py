"""pyproject.toml is the truth for what is needed; environment.yaml says the same for conda."""

import ast
import re
import sys
import tomllib
from importlib.metadata import version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from paths import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(line) for line in PYPROJECT["dependencies"]]
CONDA_NAMES = {"isal": "python-isal", "matplotlib": "matplotlib-base"}
IMPORT_NAMES = {"yaml": "pyyaml", "PIL": "pillow", "imageio_ffmpeg": "imageio-ffmpeg"}
IMPORT_NAMES |= {"erfa": "pyerfa"}
OF_EXTRAS = {"lightkurve"}  # imported only where they are asked for


def test_conda_environment_is_the_same():
    environment = yaml.safe_load((PROJECT / "environment.yaml").read_text())
    said = {}
    for line in environment["dependencies"]:
        name, _, versions = line.partition(" ")
        said[name] = SpecifierSet(versions)
    expected = {CONDA_NAMES.get(one.name, one.name): one.specifier for one in NEEDED}
    assert said == expected | {"python": SpecifierSet(PYPROJECT["requires-python"])}


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda requirement: requirement.name)
def test_range_has_two_ends_and_holds_what_is_tested(requirement):
    assert sorted(part.operator for part in requirement.specifier) == ["<", ">="]
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)


def test_all_that_is_imported_is_needed():
    """And nothing of it comes only as somebody else's dependency."""
    names = set()
    for path in (PROJECT / "tessphot_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    names -= sys.stdlib_module_names | {"tessphot_lib"}
    assert {IMPORT_NAMES.get(name, name) for name in names} <= OF_EXTRAS | {
        one.name for one in NEEDED
    }


def test_python_is_the_same_everywhere():
    (lowest,) = re.findall(r">=3\.(\d+)$", PYPROJECT["requires-python"])
    makefile = (PROJECT / "Makefile").read_text()
    assert f"sys.version_info < (3, {lowest})" in makefile
