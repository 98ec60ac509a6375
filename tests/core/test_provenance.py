"""Digests of code: they change with what a step can reach, and with nothing else."""

import ast
import re
import shutil

import pytest
from paths import PROJECT

import tessphot_lib
from tessphot_lib.core import provenance
from tessphot_lib.core.code_reach import Library
from tessphot_lib.core.provenance import code_digest, script_digest, software_version

SOURCES = {
    "__init__.py": '__version__ = "1.0"\n',
    "steps/__init__.py": "",
    "steps/one.py": """
        import numpy as np

        from tessphot_lib.curve import fit
        from tessphot_lib.io import table


        def run_one(path):
            return fit(np.zeros(3)), table.read(path)


        def unused():
            return -1
    """,
    "steps/two.py": """
        def run_two(settings=None):
            import tessphot_lib.model

            return tessphot_lib.model.Settings()
    """,
    "steps/three.py": """
        from tessphot_lib import io, tools


        def run_three(name):
            return tools.METHODS[name], getattr(io.table, name)
    """,
    "curve.py": '''
        """Curves."""

        from collections.abc import Sequence

        from tessphot_lib.model import ORDER, Curve
        from tessphot_lib.tools import logged


        @logged
        def fit(values, order=ORDER):
            """Fit a curve."""
            # the first guess
            return Curve(values, order)


        def draw(curve: Sequence) -> None:
            print(curve, WIDTH)


        WIDTH = 3.0
    ''',
    "model.py": '''
        from dataclasses import dataclass

        import numpy

        from tessphot_lib.tools import setting

        LIMIT = 5
        ORDER, DEGREE = 2, 3


        class Base:
            def length(self):
                return numpy.pi


        class Curve(Base):
            """A curve."""

            def __init__(self, values, order):
                self.values = values

            def value(self):
                from tessphot_lib.tools import helper

                return helper(self.values)


        UNIT = "pixels"


        @dataclass
        class Settings:
            limit: int = LIMIT
            size: int = setting(3, "size of all", unit=UNIT)
    ''',
    "tools.py": """
        def logged(function):
            return function


        def helper(value):
            return value


        def by_hand(value):
            return value + 1


        def setting(default, doc, unit):
            return default


        METHODS = {"by_hand": by_hand}
    """,
    "io/__init__.py": "",
    "io/table.py": """
        FORMAT = 1


        def read(path):
            return FORMAT, path


        def write(path):
            return path
    """,
    "unused.py": "from tessphot_lib import curve\nX = curve.draw(1)\n",
}


def dedented(source):
    return re.sub(r"^ {8}|^ {4}$", "", source, flags=re.MULTILINE)


@pytest.fixture
def library(tmp_path):
    for name, source in SOURCES.items():
        path = tmp_path / "tessphot_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedented(source))
    return tmp_path


def digests(library, steps=("one", "two", "three")):
    return {name: code_digest(f"tessphot_lib.steps.{name}", library) for name in steps}


@pytest.fixture
def changed(library):
    """Steps whose digest changes with a text in a module; appended if it is not there."""

    def call(module, old, new):
        before = digests(library)
        path = library / "tessphot_lib" / module
        source = path.read_text()
        assert source.count(old) == 1 or not old, source
        path.write_text(source.replace(old, new) if old else source + new)
        after = digests(library)
        return {name for name in before if before[name] != after[name]}

    return call


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("curve.py", "# the first guess", "# any guess"),
        ("curve.py", '    """Fit a curve."""\n', ""),
        ("curve.py", '"""Curves."""', '"""Curves, fitted."""'),
        ("model.py", '"""A curve."""', '"""Values\n\n    of an order.\n    """'),
        ("model.py", "import dataclass\n", "import dataclass\n# more\n\n\n"),
        ("curve.py", "Curve(values, order)", "Curve(\n        values,\n        order,\n    )"),
        ("tools.py", '"by_hand"', "'by_hand'"),
        ("model.py", '"size of all"', '"size of each"'),
        ("model.py", '"pixels"', '"pixel"'),
        ("curve.py", "WIDTH = 3.0", "WIDTH = 4.0"),
        ("curve.py", "print(curve, WIDTH)", "print(curve)"),
        ("curve.py", "import Sequence", "import Sequence as Sequence"),
        ("model.py", "self, values, order)", "self, values: list, order) -> None"),
        ("steps/one.py", "return -1", "return -2"),
        ("model.py", "", "\n\nclass Another(Curve):\n    pass\n"),
        ("model.py", "import numpy\n", "import math\nimport numpy\n\nTAU = math.tau\n"),
        ("unused.py", "draw(1)", "draw(2)"),
        ("__init__.py", "1.0", "1.1"),
    ],
)
def test_what_no_step_reaches_leaves_the_digests(changed, module, old, new):
    assert changed(module, old, new) == set()


@pytest.mark.parametrize(
    ("module", "old", "new", "steps"),
    [
        ("steps/two.py", "Settings()", "Settings(1)", {"two"}),
        ("steps/two.py", "settings=None", "settings=1", {"two"}),
        ("curve.py", "return Curve(values", "return Curve(-values", {"one"}),
        ("curve.py", "order=ORDER", "order=1", {"one"}),  # the default
        ("curve.py", "ORDER, Curve", "DEGREE as ORDER, Curve", {"one"}),  # another import
        ("curve.py", "@logged\n", "", {"one"}),
        ("tools.py", "return function", "return function()", {"one"}),  # the decorator
        ("model.py", "ORDER, DEGREE = 2, 3", "ORDER, DEGREE = 1, 3", {"one"}),
        ("model.py", "numpy.pi", "numpy.e", {"one"}),  # of the base class
        ("model.py", "import numpy\n", "import other as numpy\n", {"one"}),
        ("model.py", "helper(self.values)", "helper(-self.values)", {"one"}),  # a method
        ("tools.py", "helper(value):\n", "helper(value):\n    value *= 2\n", {"one"}),
        ("model.py", "LIMIT = 5", "LIMIT = 6", {"two"}),
        ("model.py", "limit: int", "limit: float", {"two"}),
        ("model.py", 'setting(3, "size', 'setting(4, "size', {"two"}),
        ("tools.py", "return default", "return [default]", {"two"}),
        ("model.py", "@dataclass\n", "@dataclass(frozen=True)\n", {"two"}),
        ("tools.py", "value + 1", "value + 2", {"three"}),  # through the table of methods
        ("io/table.py", "return FORMAT, path", "return path", {"one", "three"}),
        ("io/table.py", "FORMAT = 1", "FORMAT = 2", {"one", "three"}),
        ("io/table.py", "write(path):\n", "write(path):\n    path += 1\n", {"three"}),  # getattr
        # What runs when a module is imported, also for another definition or module:
        ("tools.py", "", "print(METHODS)\n", {"one", "two", "three"}),
        ("tools.py", "def by_hand", "@logged\ndef by_hand", {"one", "two", "three"}),
        ("tools.py", "def by_hand", "import plugin\n\n\ndef by_hand", {"one", "two", "three"}),
        ("model.py", "", "from tessphot_lib import unused\nfor x in unused.X:\n    x()\n",
         {"one", "two"}),
        ("tools.py", "", "METHODS['more'] = helper\n", {"three"}),
        ("tools.py", "", "METHODS |= {'more': helper}\n", {"three"}),
        ("__init__.py", "", "import plugin\n", {"one", "two", "three"}),
        # What cannot be followed takes all of the module, or of the package:
        ("curve.py", "Curve(values", "eval('draw')(values", {"one"}),
        ("model.py", "return numpy.pi", "return numpy.pi, __import__(self.name)", {"one"}),
    ],
)  # fmt: skip
def test_what_a_step_reaches_changes_its_digest(changed, module, old, new, steps):
    assert changed(module, old, new) == steps


@pytest.mark.parametrize(
    ("use", "reaches"),
    [
        ("from tessphot_lib import unused\n\n\ndef run_two():\n    return unused.X", True),
        ("from tessphot_lib import unused\n\n\ndef run_two():\n    return unused.__file__", True),
        ("from tessphot_lib import unused\n\n\ndef run_two():\n    return unused.Y", True),
        ("from tessphot_lib.unused import *\n\n\ndef run_two():\n    return X", True),
        ("from ..unused import X as y\n\n\ndef run_two():\n    return y", True),
        ("from .. import unused as u\n\n\ndef run_two():\n    return u.X", True),
        ("import tessphot_lib.unused as u\n\n\ndef run_two():\n    return u.X", True),
        ("def run_two():\n    return eval('X')\n\n\nfrom tessphot_lib.unused import X", True),
        ("def run_two():\n    return import_module('tessphot_lib.unused')", True),
        ("def run_two(name):\n    return import_module(f'tessphot_lib.{name}')", True),
        ("def run_two(name):\n    return import_module('.unused', name)", True),
        ("def run_two(name):\n    return import_module(name).X[2]", True),
        ("def run_two(name):\n    return import_module(name).X.y", True),
        ("def run_two(name):\n    return import_module(name).Y", False),
        ("def run_two():\n    return import_module('unused.of.others')", False),
        ("def run_two(unused):\n    return unused.X", False),
        ("try:\n    from tessphot_lib.unused import X\nexcept ImportError:\n    X = 0\n\n\n"
         "def run_two():\n    return X", True),
        ("X = 3", False),  # no function run_...: the whole module
    ],
)  # fmt: skip
def test_ways_to_a_definition(library, changed, use, reaches):
    (library / "tessphot_lib" / "steps" / "two.py").write_text(use + "\n")
    assert ("two" in changed("unused.py", "draw(1)", "draw(2)")) is reaches


def test_step_without_a_function_to_run_is_reached_as_a_whole(library, changed):
    path = library / "tessphot_lib" / "steps" / "two.py"
    path.write_text("def __getattr__(name):\n    return ANSWER\n\n\nANSWER = OTHER = 3\n")
    assert changed("steps/two.py", "return ANSWER", "return -ANSWER") == {"two"}


def test_digest_does_not_depend_on_where_the_code_lies(library, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (library / "tessphot_lib").rename(elsewhere / "tessphot_lib")
    moved = digests(elsewhere)
    (elsewhere / "tessphot_lib").rename(library / "tessphot_lib")
    assert moved == digests(library)
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in moved.values())


def test_digest_is_the_same_for_each_version_of_python(tmp_path):
    """Known answer, of syntax that versions of Python write differently as a tree."""
    path = tmp_path / "tessphot_lib" / "steps" / "one.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "def run_one(a, /, *b, c: int = -1, **d) -> None:\n"
        "    async def none(): ...\n"
        "    global X\n"
        "    print(f'{a!r:>{c}.2f} {c=}' 'é' \"'\", b'\\0', 1e-300, 2j, {**d}, (), [], not a)\n"
        "    return [x for x in b if x] or (lambda *, y=None: y), a[1:, ...]\n"
    )
    assert digests(tmp_path, ["one"]) == {"one": "769784b2c4ca"}


@pytest.fixture
def own_library(monkeypatch, library):
    """The small library as the one that is asked without naming it."""
    monkeypatch.setattr(provenance, "_package_root", lambda: library)
    cache_path = library / "tessphot_lib" / "__pycache__" / "provenance.pyc"
    monkeypatch.setattr(provenance, "cache_from_source", lambda _: str(cache_path))
    provenance._step_digests.cache_clear()
    yield library
    provenance._step_digests.cache_clear()


def test_digests_are_kept_until_a_source_changes(own_library, monkeypatch):
    def ask():
        provenance._step_digests.cache_clear()
        return code_digest("tessphot_lib.steps.two")

    first = ask()
    assert first == digests(own_library)["two"]
    with monkeypatch.context() as patch:
        patch.setattr(provenance.Library, "digest", lambda *_: pytest.fail("computed again"))
        assert ask() == first
    model = own_library / "tessphot_lib" / "model.py"
    model.write_text(model.read_text().replace("LIMIT = 5", "LIMIT = 7"))
    assert ask() == digests(own_library)["two"] != first
    kept = own_library / "tessphot_lib" / "__pycache__" / "step_digests.json"
    for damaged in ("", "{}", '{"sources": "x", "dig'):
        kept.write_text(damaged)
        assert ask() == digests(own_library)["two"]
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("a file where no folder can be made")
    assert ask() == digests(own_library)["two"]


def test_digest_of_a_script(tmp_path):
    def digest(source):
        script_digest.cache_clear()
        (tmp_path / "script.py").write_text(source)
        return script_digest(tmp_path / "script.py")

    source = "import os\n\nfrom library import run\n\nrun(os.path, x=1)\n"
    same = '"""A script."""\nimport os\nfrom library import run  # it\nrun(\n    os.path, x=1,\n)\n'
    assert digest(source) == digest(same)
    for old, new in (("x=1", "x=2"), ("path", "sep"), ("library", "books"), ("import os\n", "")):
        assert digest(source.replace(old, new)) != digest(source)


def test_version_begins_with_the_release():
    assert re.fullmatch(
        re.escape(tessphot_lib.__version__) + r"(\+g[0-9a-f]{7,}(-dirty)?)?", software_version()
    )


# --- the library itself

LIBRARY = PROJECT / "tessphot_lib"
STEPS = sorted(path.stem for path in (LIBRARY / "steps").glob("*.py") if path.stem[0] != "_")
OF_STARS = {"photometry", "lightcurve", "targets"}
READ_PIXELS = OF_STARS | {"prf", "moving", "todo", "trends"}


def all_digests(library):
    return {step: library.digest(f"tessphot_lib.steps.{step}", "run_") for step in STEPS}


@pytest.fixture(scope="module")
def unchanged():
    return Library(PROJECT, "tessphot_lib")


@pytest.fixture(scope="module")
def before(unchanged):
    return all_digests(unchanged)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(LIBRARY, tmp_path / "tessphot_lib", ignore=shutil.ignore_patterns("*cache*"))
    return tmp_path


@pytest.fixture
def after(unchanged, before, copy):
    """Digests of the copy; what is the same in it is not read again."""

    def call():
        library = Library(copy, "tessphot_lib")
        for name in library.modules():
            path = LIBRARY.joinpath(*name.split(".")[1:]).with_suffix(".py")
            if (
                path.is_file()
                and path.read_bytes() == (copy / path.relative_to(PROJECT)).read_bytes()
            ):
                library._modules[name] = unchanged._modules.get(name) or library.module(name)
        return all_digests(library)

    return call


def definition(root, dotted):
    """Find ``[module.]name``: file, and node of its syntax tree."""
    module, _, name = dotted.rpartition(".")
    found = [
        (path, node)
        for path in root.rglob(f"{module or '*'}.py")
        for node in ast.parse(path.read_text()).body
        if name in (getattr(node, "name", None), *(t.id for t in getattr(node, "targets", ())
                                                   if isinstance(t, ast.Name)))
    ]  # fmt: skip
    ((path, node),) = found
    return path, node


def change(root, dotted):
    """Change the value of a constant, or add a line of code to a function or a class."""
    path, node = definition(root, dotted)
    lines = path.read_text().splitlines()
    is_constant = isinstance(node, ast.Assign)
    name = dotted.rpartition(".")[2]
    lines.insert(node.end_lineno, f"{name} = [{name}]" if is_constant else "    _changed = 1")
    path.write_text("\n".join(lines) + "\n")


def comment(root, dotted):
    """Write a comment and another docstring into a function or a class."""
    path, node = definition(root, dotted)
    lines = path.read_text().splitlines()
    first, last = node.body[0].lineno - 1, node.body[0].end_lineno
    assert ast.get_docstring(node)
    lines[first:last] = ['    """Another text."""', "", "    # A comment."]
    path.write_text("\n".join(lines) + "\n")


def test_comments_and_docstrings_of_the_library_change_nothing(before, copy, after):
    for name in ("HaloSettings", "LightCurve", "PixelCube", "read_ffi", "run_todo"):
        comment(copy, name)
    assert after() == before


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        # A column more in the light curve.
        (
            ["LightCurve", "lightcurve_fits.COLUMNS", "Products"],
            OF_STARS
            | {"pictures", "ccd_report", "lightcurve_table", "joined", "moving_photometry"},
        ),
        (["measure_halos"], OF_STARS),  # through the table of methods
        (["AutoSettings"], OF_STARS),  # its limits stand in the headers
        # Its values are params of the rule; one star alone reads the settings of its list.
        (["SmoothingSettings"], {"lightcurve"}),
        (["find_apertures"], {"todo", "lightcurve"}),
        (["fit_motion"], {"jitter"}),
        (["borrow_quality"], {"ffi_table"}),
        (["spk_kernel.main"], {"spacecraft"}),  # run as a file, by a process of its own
        (
            ["PixelCube"],
            READ_PIXELS | {"ccd_report", "report", "pixels", "moving_photometry"},
        ),
        (["code_digest", "Library", "cli.main"], set()),
    ],
)
def test_definition_of_the_library_changes_the_steps_that_reach_it(
    before, copy, after, names, steps
):
    for name in names:
        change(copy, name)
    assert {step for step, digest in after().items() if digest != before[step]} == steps
