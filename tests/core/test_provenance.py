"""Digests of code: they change with what a module imports, and with nothing else."""

import re

import pytest

import tessphot_lib
from tessphot_lib.core.provenance import _modules_behind, _source, code_digest, software_version
from tessphot_lib.core.provenance import modules_behind as behind

SOURCES = {
    "steps/one.py": "from tessphot_lib.curve import fit\nfrom tessphot_lib.io import table\n",
    "steps/two.py": "def run():\n    import tessphot_lib.model\n",
    "curve.py": "from tessphot_lib.model import Curve\n",
    "model.py": "import numpy\n",
    "io/table.py": "from tessphot_lib import model\n",
    "unused.py": "from tessphot_lib import curve\n",
    "steps/three.py": 'MODULES = "tessphot_lib.io.*"\n',
    "__init__.py": "",
}


@pytest.fixture
def library(tmp_path):
    for name, source in SOURCES.items():
        path = tmp_path / "tessphot_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def digests(library):
    _modules_behind.cache_clear()
    _source.cache_clear()
    return {name: code_digest(f"tessphot_lib.steps.{name}", library) for name in ("one", "two")}


def test_modules_behind_a_stage(library):
    assert behind("tessphot_lib.steps.one", library) == [
        "tessphot_lib.curve",
        "tessphot_lib.io.table",
        "tessphot_lib.model",
        "tessphot_lib.steps.one",
    ]
    assert behind("tessphot_lib.steps.two", library)[0] == "tessphot_lib.model"


def test_modules_that_are_imported_by_name_count(library):
    (library / "tessphot_lib" / "io" / "__init__.py").write_text("")
    assert behind("tessphot_lib.steps.three", library) == [
        "tessphot_lib.io.table",
        "tessphot_lib.model",
        "tessphot_lib.steps.three",
    ]


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        ("curve.py", {"one"}),
        ("io/table.py", {"one"}),
        ("model.py", {"one", "two"}),
        ("steps/two.py", {"two"}),
        ("unused.py", set()),
    ],
)
def test_digest_changes_with_the_code_behind_it(library, changed, steps):
    before = digests(library)
    path = library / "tessphot_lib" / changed
    path.write_text(path.read_text() + "x = 1\n")
    after = digests(library)
    assert {name for name in before if before[name] != after[name]} == steps


def test_digest_does_not_depend_on_where_the_code_lies(library, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (library / "tessphot_lib").rename(elsewhere / "tessphot_lib")
    moved = digests(elsewhere)
    (elsewhere / "tessphot_lib").rename(library / "tessphot_lib")
    assert moved == digests(library)
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in moved.values())


def test_version_begins_with_the_release():
    assert re.fullmatch(
        re.escape(tessphot_lib.__version__) + r"(\+g[0-9a-f]{7,}(-dirty)?)?", software_version()
    )
