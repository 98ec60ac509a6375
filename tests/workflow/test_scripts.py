"""Each script of the workflow calls one step, in the way that the step wants."""

import ast
import importlib
import inspect

import pytest
from paths import PROJECT

SCRIPTS = sorted((PROJECT / "workflow" / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_call_fits_the_stage(script):
    tree = ast.parse(script.read_text())
    imported = [
        (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tessphot_lib.steps.")
        for alias in node.names
    ]
    assert len(imported) == 1
    module, name = imported[0]
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    )
    stage = getattr(importlib.import_module(module), name)
    inspect.signature(stage).bind(*call.args, **{word.arg: word.value for word in call.keywords})
    # Paths are named alike on both sides.
    for parameter, argument in zip(inspect.signature(stage).parameters, call.args, strict=False):
        said = ast.unparse(argument)
        if ".input." in said or ".output." in said:
            assert parameter.removeprefix("output_") in said


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_short(script):
    assert len(script.read_text().splitlines()) <= 25
