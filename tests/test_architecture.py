"""The layers of tessphot_lib import downwards only."""

import ast
from pathlib import Path

import pytest

import tessphot_lib

ROOT = Path(tessphot_lib.__file__).parent
PROJECT = ROOT.parent
FOUNDATION = {
    "affine",
    "config",
    "config_check",
    "constants",
    "errors",
    "flags",
    "logs",
    "mesh",
    "model",
    "patches",
    "provenance",
    "tiles",
}
FILE_LIBRARIES = {
    "astropy.io",
    "fitsio",
    "gzip",
    "h5py",
    "isal",
    "os",
    "pathlib",
    "snakemake",
    "sqlite3",
    "yaml",
}
ALLOWED = {
    "foundation": {"foundation"},
    "algorithm": {"foundation", "algorithm"},
    "io": {"foundation", "io"},
    "simulation": {"foundation", "io", "simulation"},
    "stages": {"foundation", "algorithm", "io", "stages"},
    "cli": {"foundation", "io", "stages", "cli"},
}
# The only modules that may know that there is a simulation.
KNOW_THE_SIMULATION = {"stages/simulate.py"}

MODULES = sorted(ROOT.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module):
    """Layer of a dotted name below tessphot_lib."""
    head = module.removeprefix("tessphot_lib").removeprefix(".").split(".")[0]
    if head in ("io", "stages", "simulation"):
        return head
    if head in ("cli", "__main__"):
        return "cli"
    return "foundation" if head in FOUNDATION or head in ("", "__init__") else "algorithm"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    inside = path.relative_to(ROOT)
    here = layer(".".join(inside.with_suffix("").parts))
    allowed = ALLOWED[here] | ({"simulation"} if str(inside) in KNOW_THE_SIMULATION else set())
    for name in imports(path):
        if name == "tessphot_lib" or name.startswith("tessphot_lib."):
            assert layer(name) in allowed, f"{here} module imports {name}"
        elif here == "algorithm":
            assert not any(
                name == library or name.startswith(f"{library}.") for library in FILE_LIBRARIES
            ), f"file access in an algorithm: {name}"


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_packages_hold_no_code(path):
    """Else the digest of the code behind a stage would miss it."""
    docstring, *others = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    names = [target.id for node in others for target in node.targets]
    assert names in ([], ["__version__"])


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "workflow" / "scripts").glob("*.py")), ids=lambda path: path.stem
)
def test_scripts_know_stages_only(path):
    for name in imports(path):
        module = name.removeprefix("tessphot_lib.")
        assert name.startswith(("pathlib.", "tessphot_lib."))
        assert layer(name) == "stages" or module.split(".")[0] in ("logs", "model", "pathlib")
