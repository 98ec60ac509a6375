"""Hooks of mkdocs: pages from files that lie elsewhere or from the code, formulas, the demo."""

import argparse
import os
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

from tessphot_lib.cli import main, parser
from tessphot_lib.core.flags import DESCRIPTIONS

PROJECT = Path(__file__).resolve().parent.parent
DEMO_RUN = PROJECT / "demo-run"
DEMO = DEMO_RUN / "results"
STAR = "14129000002"  # of the demo, with a planet
# Page of the site -> file of the project that it is made from.
ELSEWHERE = {
    "readme.md": "README.md",
    "configuration.md": "config/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# Pages of the site that are made from the code.
MADE = ("flags.md", "commands.md")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+?)\$", re.DOTALL)
FLAG_TITLES = {
    "LightCurveFlag": "`QUALITY`: a point of a light curve",
    "CadenceFlag": "`PIXEL_QUALITY`: an image",
    "PixelFlag": "`pixel_flags`: a pixel of an image",
    "ApertureFlag": "`APERTURE`: a pixel of a star's stamp",
}


def on_files(files, config):
    """Add pages and pictures that are not in docs/."""
    for page, source in ELSEWHERE.items():
        text = _with_site_links((PROJECT / source).read_text(encoding="utf-8"), source)
        text = text.replace("] [", r"] \[")  # units after lists are not references
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "flags.md", content=flags_page()))
    files.append(File.generated(config, "commands.md", content=commands_page()))
    picture = DEMO_RUN / "star.png"
    if main(["show", STAR, "--directory", str(DEMO_RUN), "--output", str(picture)]):
        raise SystemExit("the picture of a star of the demo cannot be drawn")
    average = next((DEMO / "pictures").glob("average_image_*.png"), None)
    if average is None:
        raise SystemExit("demo-run/ is of an older version: make clean, then make docs")
    report = [path for path in (DEMO / "report").rglob("*") if path.is_file()]
    names = {picture: picture.name, average: "average_image.png"}
    names |= {path: str(path.relative_to(DEMO)) for path in report}
    for path, name in names.items():
        files.append(File.generated(config, f"demo/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, **_):
    """Let links lead to the pages of the site; write formulas as MathML, which browsers show."""
    name = page.file.src_uri
    if name not in (*ELSEWHERE, *MADE):
        markdown = _with_site_links(markdown, f"docs/{name}")
    if name != "methods.md":
        return markdown

    def formula(found):
        if found[1]:
            return convert(found[1], display="block")
        # Markdown would take <math> at the beginning of a line for a block.
        return f"<span>{convert(found[2], display='inline')}</span>"

    return FORMULA.sub(formula, markdown)


def flags_page():
    """All quality bits, from where they are defined."""
    lines = ["# Flags", "", "A bit that is not set means good. Several bits add up.", ""]
    for kind, members in DESCRIPTIONS.items():
        lines += [
            f"## {FLAG_TITLES[kind.__name__]}",
            "",
            "| bit | value | meaning |",
            "|--:|--:|---|",
        ]
        lines += [
            f"| {int(flag).bit_length()} | {int(flag)} | {text} |"
            for flag, text in sorted(members.items())
        ]
        lines.append("")
    return "\n".join(lines)


def commands_page():
    """What ``tessphot --help`` prints, and that of each command."""
    os.environ["COLUMNS"] = "80"
    top = parser()
    lines = ["# The command `tessphot`", "", "```text", top.format_help().rstrip(), "```", ""]
    (commands,) = (one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        lines += [f"## `tessphot {name}`", "", "```text", command.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def _with_site_links(text, source):
    """Let links between files of the project lead to the pages made from them."""
    pages = {path: page for page, path in ELSEWHERE.items()}

    def link(found):
        if found[2] in MADE or found[2].startswith("demo/"):
            return found[0]
        where = os.path.normpath(Path(source).parent / found[2])
        page = pages.get(where)
        if page is None and where.startswith("docs/"):
            page = where.removeprefix("docs/")
        return f"[{found[1]}]({page}{found[3] or ''})" if page else found[1]

    return LINK.sub(link, text)
