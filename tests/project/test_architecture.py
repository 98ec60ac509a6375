"""The rooms of tessphot_lib import downwards only; a module's room is its folder."""

import ast
from pathlib import Path

import pytest
from paths import PROJECT

import tessphot_lib

ROOT = Path(tessphot_lib.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

FILE_LIBRARIES = (
    *("astropy.io", "fitsio", "gzip", "h5py", "isal", "os", "pathlib", "pandas.io", "snakemake"),
    *("sqlite3", "time", "datetime", "yaml"),
)
# Which rooms the modules of a room may import, besides their own.
CORE = frozenset({"core"})
TOPICS = {
    "times": CORE,
    "catalog": CORE,
    "background": CORE,
    "motion": CORE,
    "quality": CORE,
    "lightcurves": CORE,
    "prf": CORE | {"catalog"},
    "halo": CORE | {"catalog"},
    "aperture": CORE | {"catalog", "prf"},
}
ENGINES = {
    "preparation": CORE | {*TOPICS, "io"},
    "photometry": CORE | {*TOPICS, "io"},
    "report": CORE | {"io", "prf"},
}
ALLOWED = {
    "core": set(),
    **TOPICS,
    "io": {"core"},
    "simulation": {"core"},
    **ENGINES,
    "steps": {"core", *TOPICS, "io", *ENGINES},
    "plan": {"core", "io"},
    "get": {"core", *TOPICS, "io", "report", "steps"},
    "commands": {"core", "io", "report", "steps", "get"},
    "cli": {"core", "get", "plan", "commands"},
    "interface": {"core", "prf", "io", "photometry", "steps"},
    "__main__": {"cli"},
    "__init__": set(),
}
# The only modules that may know that there is a simulation.
KNOW_THE_SIMULATION = {
    "steps/simulate_cutouts.py",
    *("plan/sources.py", "steps/simulate.py", "steps/simulate_scene.py"),
    "steps/simulate_tpfs.py",
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module):
    """Room of a dotted name below tessphot_lib: its first folder, or a module beside them."""
    return module.removeprefix("tessphot_lib").removeprefix(".").split(".")[0] or "__init__"


def test_each_folder_has_its_rule():
    folders = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in MODULES}
    assert folders == set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    inside = path.relative_to(ROOT)
    here = room(".".join(inside.with_suffix("").parts))
    allowed = ALLOWED[here] | {here}
    if inside.as_posix() in KNOW_THE_SIMULATION:
        allowed |= {"simulation"}
    for name in imports(path):
        if name == "tessphot_lib.__version__":
            continue
        if name == "tessphot_lib" or name.startswith("tessphot_lib."):
            assert room(name) in {*allowed, "__init__"}, f"{here} imports {name}"
            is_other = name.split(".")[2:3] != [inside.stem]
            assert not (here == room(name) == "steps" and is_other), f"a step imports {name}"
        elif here in TOPICS:
            assert not any(
                name == library or name.startswith(f"{library}.") for library in FILE_LIBRARIES
            ), f"files, clock or environment in an algorithm: {name}"


def test_rooms_make_no_circle():
    """Along the rules themselves: each room stands above all that it may import."""
    below = dict(ALLOWED)
    while below:
        ground = {name for name, rooms in below.items() if not rooms & set(below)}
        assert ground, f"rooms that may import each other: {sorted(below)}"
        below = {name: rooms for name, rooms in below.items() if name not in ground}


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_packages_hold_no_code(path):
    """Else the digest of the code behind a step would miss it."""
    docstring, *others = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    if path.parent == ROOT:  # what users import, and no step
        assert others.pop().name == "__getattr__"
        assert ast.unparse(others.pop(0)) == "import pkgutil"
    names = [target.id for node in others for target in node.targets]
    assert names in ([], ["__version__"])


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "workflow" / "scripts").glob("*.py")), ids=lambda path: path.stem
)
def test_scripts_know_steps_and_core_only(path):
    for name in imports(path):
        assert name.startswith(("pathlib.", "tessphot_lib."))
        assert room(name) in ("steps", "core", "pathlib")
