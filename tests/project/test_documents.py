"""What the documents name exists: files, make targets, rules, settings, commands, imports."""

import ast
import importlib
import re
import tomllib
from functools import cache

import pytest
import yaml
from paths import PROJECT

from docs import rooms
from tessphot_lib import __version__
from tessphot_lib.cli import main

DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "config", "benchmarks")
    for path in (PROJECT / folder).glob("*.md")
    if path.name != "CHANGELOG.md"  # tells of what was, too
)
README = (PROJECT / "README.md").read_text(encoding="utf-8")
RULES = (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8")
documents = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix()
)
FILE_SUFFIXES = {"fits", "sqlite", "hdf5", "ecsv", "tsv", "smk", "py"}


def code_in(text):
    """All that stands in backticks or in indented or fenced blocks."""
    return re.findall(r"`([^`\n]+)`|^    (.+)$", text, flags=re.MULTILINE)


@cache
def rules():
    files = [PROJECT / "workflow" / "Snakefile", *(PROJECT / "workflow" / "rules").glob("*.smk")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    found = re.findall(r"^ *rule (\w+):|^use rule \w+ as (\w+)", text, flags=re.MULTILINE)
    return {one or other for one, other in found}


@cache
def settings():
    """Sections of config.yaml with their keys: {"input": {"source", ...}, ...}."""
    config = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text(encoding="utf-8"))
    return {name: value for name, value in config.items() if isinstance(value, dict)}


def test_readme_fits_two_screens():
    assert [line for line in README.splitlines() if len(line) >= 100] == []
    assert len(README.splitlines()) <= 120


@documents
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", text)
    for link in filter(None, (one or other for one, other in links)):
        if not link.startswith(("https://", "http://")) and not is_made_by_the_site(path, link):
            assert (path.parent / link).exists(), link


def is_made_by_the_site(path, link):
    """Whether `make docs`, which checks it, makes what a page in docs/ links to."""
    if path.parent != PROJECT / "docs":
        return False
    hooks = ast.parse((PROJECT / "docs" / "site_hooks.py").read_text(encoding="utf-8"))
    (made,) = (
        ast.literal_eval(node.value)
        for node in hooks.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "MADE"
    )
    return link in made or link.startswith("demo/")


def test_site_has_all_pages():
    """mkdocs itself only notes a page that no menu leads to."""
    menu = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").split("nav:")[1]
    pages = [path.name for path in (PROJECT / "docs").glob("*.md")]
    assert [name for name in pages if f" {name}\n" not in menu] == []


@documents
def test_links_within_a_document_lead_to_its_headings(path):
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@documents
def test_files_of_the_project_exist(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(
        r"(?<![\w/.>…])((?:tessphot_lib|workflow|tests|config|docs)/[\w/.-]*\w)", text
    )
    for name in named:
        assert (PROJECT / name).exists(), name


@documents
def test_make_targets_exist(path):
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)
    for inline, block in code_in(path.read_text(encoding="utf-8")):
        for target in re.findall(r"^make ([a-z][a-z-]*)", inline or block):
            assert target in targets


def test_citation_names_this_version():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


def test_rules_of_the_table_exist():
    table = RULES[RULES.index("| rule | one job per") :].split("\n\n")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(first_cells)))
    assert named >= {"ccd_catalog", "tile_photometry", "check"}
    assert named <= rules()
    before = {rule for rule in rules() if re.match("fetch|simulate|list_images", rule)}
    stages = {"all", "catalog", "prepare", "todo", "photometry"}
    assert rules() - before - stages <= named


def test_each_library_is_explained():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    used = {re.match(r"[\w-]+", one)[0] for one in project["dependencies"]}
    assert [name for name in sorted(used) if not re.search(rf"\b{name}\b", RULES)] == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_names_in_the_code_exist(name):
    """Classes, their attributes and tables that a recipe sends a reader to."""
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in (PROJECT / "tessphot_lib").rglob("*.py")
    )
    for inline, _ in code_in((PROJECT / name).read_text(encoding="utf-8")):
        for part in re.findall(r"^[A-Z]\w+(?:\.\w+)?$", inline)[:1]:
            owner, _, attribute = part.partition(".")
            assert re.search(rf"^(class {owner}\b|{owner}\b.* = )", code, re.MULTILINE) or (
                owner in ("QUALITY", "PIXEL_QUALITY")  # columns of a light curve
            ), part
            assert re.search(rf"^    (def )?{attribute}\b", code, re.MULTILINE), part


def test_architecture_lists_and_draws_what_there_is():
    text = (PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w.]+)` \|", text, flags=re.MULTILINE)
    package = [path for path in (PROJECT / "tessphot_lib").iterdir() if path.name[0] != "_"]
    assert sorted(listed) == sorted(path.name for path in package)
    assert rooms.drawing() in text, "python docs/rooms.py --write draws it again"


@documents
def test_targets_of_snakemake_exist(path):
    for inline, block in code_in(path.read_text(encoding="utf-8")):
        for target in re.findall(r"\bsnakemake\b.* -- (\w+)(?: +#.*)?$", inline or block):
            assert target in rules()


@documents
def test_settings_exist(path):
    """Such as `photometry.aperture.kind`, in backticks, with or without a value."""
    for inline, _ in code_in(path.read_text(encoding="utf-8")):
        name = inline.split(":")[0].split("=")[0]
        section, *keys = name.split(".")
        if section not in settings() or not re.fullmatch(r"[a-z_.]+", name):
            continue
        if keys and keys[-1] in FILE_SUFFIXES:  # todo.sqlite is a file
            continue
        below = settings()[section]
        for key in keys:
            assert key in below, name
            below = below[key]


@documents
def test_imports_work(path):
    blocks = re.findall(
        r"^ *(from tessphot_lib[\w.]* import [\w, ]+)$", path.read_text(), re.MULTILINE
    )
    for line in blocks:
        (statement,) = ast.parse(line.strip()).body
        module = importlib.import_module(statement.module)
        for name in statement.names:
            assert hasattr(module, name.name), line


def commands_of_tessphot():
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    return sorted(set(re.findall(r"^    tessphot (\w+)", "\n".join(texts), re.MULTILINE)))


@pytest.mark.parametrize("command", commands_of_tessphot())
def test_commands_of_tessphot_exist(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"tessphot {command}" in capsys.readouterr().out
