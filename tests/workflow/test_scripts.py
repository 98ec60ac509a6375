"""Each script of the workflow calls one step, in the way that the step wants."""

import ast
import importlib
import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from paths import PROJECT

import tessphot_lib.get.engine
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.get.engine import PARAMS

SCRIPTS = sorted((PROJECT / "workflow" / "scripts").glob("*.py"))
RULES = {  # text of each rule, by the name of its script
    match[1]: text
    for path in sorted((PROJECT / "workflow" / "rules").glob("*.smk"))
    for text in re.split(r"^ *rule\b", path.read_text(), flags=re.MULTILINE)[1:]
    if (match := re.search(r"scripts/(\w+)\.py", text))
}
OF_A_CCD = [path for path in SCRIPTS if "CcdFiles.of_inputs(snakemake.input)" in path.read_text()]


def named_inputs(rule):
    """Inputs of a rule, text by name; None where some of them come from elsewhere (``**``)."""
    section = re.search(r"^ *input:\n(.*?)^ *output:", rule, flags=re.MULTILINE | re.DOTALL)
    if section is None:
        return {}
    if "**" in section[1]:
        return None
    return dict(re.findall(r"^ *(\w+)=(.*),$", section[1], flags=re.MULTILINE))


def read_inputs(script):
    """Names of the inputs that a script reads."""
    text = script.read_text()
    names = set(re.findall(r"snakemake\.input\.(?!get\b)(\w+)", text))
    return names | set(re.findall(r"snakemake\.input\.get\(\"(\w+)\"\)", text))


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
    bound = inspect.signature(stage).bind(
        *call.args, **{word.arg: word.value for word in call.keywords}
    )
    # Paths are named alike on both sides.
    for parameter, argument in bound.arguments.items():
        said = ast.unparse(argument)
        if ".input." in said or ".output." in said:
            assert parameter.removeprefix("output_") in said


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_inputs_that_are_read_are_declared(script):
    declared = named_inputs(RULES[script.stem])
    if declared is not None:
        assert read_inputs(script) <= set(declared)


@pytest.mark.parametrize("script", OF_A_CCD, ids=lambda path: path.stem)
def test_rules_declare_the_files_of_a_ccd_by_their_names(script):
    declared = named_inputs(RULES[script.stem])
    names = CcdFiles.names()
    needed = {one.name for one in fields(CcdFiles) if one.default is MISSING}
    assert needed <= set(declared)
    for name in needed:
        assert declared[name] == f'"results/{{ccd_id}}/{names[name]}"'


def test_stars_are_measured_from_the_files_of_a_ccd():
    assert {path.stem for path in OF_A_CCD} >= {"photometry", "lightcurve", "targets", "trends"}


def test_rules_say_themselves_that_they_are_local():
    """A directive ``localrules`` does not know the prefix of a module."""
    for path in (PROJECT / "workflow" / "rules").glob("*.smk"):
        assert "localrules" not in path.read_text(), path.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_short(script):
    assert len(script.read_text().splitlines()) <= 25


def calls_of_stages(path):
    """Functions called ``run_*`` that a file imports, each with a call of it."""
    tree = ast.parse(path.read_text())
    modules = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tessphot_lib.steps")
        for alias in node.names
    }
    for node in ast.walk(tree):
        name = getattr(getattr(node, "func", None), "id", "")
        if name.startswith("run_") and name in modules:
            yield getattr(importlib.import_module(modules[name]), name), node


@pytest.mark.parametrize(
    "path",
    [Path(tessphot_lib.get.engine.__file__), PROJECT / "benchmarks" / "realdata.py"],
    ids=lambda path: path.stem,
)
def test_calls_in_one_process_fit_the_stages(path):
    """A new argument of a step belongs there, too."""
    calls = list(calls_of_stages(path))
    assert len(calls) >= 10
    for stage, call in calls:
        signature = inspect.signature(stage)
        words = {word.arg: word.value for word in call.keywords if word.arg is not None}
        signature.bind_partial(*call.args, **words)
        if all(word.arg is not None for word in call.keywords):
            signature.bind(*call.args, **words)


def test_programs_that_call_stages_are_the_ones_looked_at():
    """Others take `benchmarks.run.Step`; `tests/project/test_benchmark.py` binds those."""
    programs = (PROJECT / "benchmarks").glob("*.py")
    assert [path.stem for path in programs if list(calls_of_stages(path))] == ["realdata"]


@pytest.mark.parametrize("rules", ["prepare", "cutouts", "photometry"])
def test_every_step_is_made_in_one_process(rules):
    """But a light curve by itself, and the steps that only images need."""
    elsewhere = {"lightcurve", "ffi_table", "backgrounds"}
    engine = inspect.getsource(tessphot_lib.get.engine)
    text = (PROJECT / "workflow" / "rules" / f"{rules}.smk").read_text()
    steps = set(re.findall(r"scripts/(\w+)\.py", text)) - elsewhere
    assert len(steps) > 1
    for step in steps:
        script = (PROJECT / "workflow" / "scripts" / f"{step}.py").read_text()
        (name,) = re.findall(r"^from tessphot_lib\.steps\.\w+ import (\w+)$", script, re.MULTILINE)
        assert f" {name}(" in engine, name


@pytest.mark.parametrize("step", sorted(PARAMS))
def test_settings_in_one_process_are_those_of_the_rules(step):
    rule = RULES[step]
    passed = [
        tuple(re.findall(r'"(\w+)"', words))
        for words in re.findall(r"plan\.settings\((.*?)\)", rule, flags=re.DOTALL)
    ]
    of_ccd = re.findall(r"photometry_of\((.+?)\)", rule)
    named = [names[1:] for names in passed] + [
        tuple(re.findall(r'"(\w+)"', words)) for words in of_ccd
    ]
    assert PARAMS[step] in named
