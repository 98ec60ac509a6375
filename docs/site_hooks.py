"""Hooks of mkdocs: pages from files that lie elsewhere, formulas, and the demo's results."""

import os
import re
import shutil
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

from tessphot_lib.core.flags import DESCRIPTIONS

PROJECT = Path(__file__).resolve().parent.parent
DEMO = PROJECT / "demo-run" / "results"
# Page of the site -> file of the project that it is made from.
ELSEWHERE = {
    "readme.md": "README.md",
    "configuration.md": "config/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
FLAG_TITLES = {
    "LightCurveFlag": "`QUALITY`: a point of a light curve",
    "CadenceFlag": "`PIXEL_QUALITY`: an image",
    "PixelFlag": "`pixel_flags`: a pixel of an image",
    "ApertureFlag": "`APERTURE`: a pixel of a star's stamp",
}


def on_files(files, config):
    """Add pages that are not in docs/."""
    for page, source in ELSEWHERE.items():
        text = _with_site_links((PROJECT / source).read_text(encoding="utf-8"), source)
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "flags.md", content=flags_page()))
    for name in ("average_image.png", "light_curve.png"):
        picture = DEMO / "pictures" / name
        files.append(File.generated(config, f"demo/{name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown, page, **_):
    """Write formulas, between dollar signs, as MathML, which browsers show by themselves."""
    if page.file.src_uri != "methods.md":
        return markdown

    def formula(found):
        display = "block" if found[1] else "inline"
        return convert(found[1] or found[2], display=display)

    return FORMULA.sub(formula, markdown)


def on_post_build(config):
    """Put the demo's report beside the pages."""
    target = Path(config["site_dir"]) / "demo" / "report"
    shutil.copytree(DEMO / "report", target, dirs_exist_ok=True)


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


def _with_site_links(text, source):
    """Let links between files of the project lead to the pages made from them."""
    pages = {path: page for page, path in ELSEWHERE.items()}

    def link(found):
        where = os.path.normpath(Path(source).parent / found[2])
        if where.startswith("docs/") and where.endswith(".md"):
            page = where.removeprefix("docs/")
        else:
            page = pages.get(where)
        return f"[{found[1]}]({page}{found[3] or ''})" if page else found[1]

    return LINK.sub(link, text)
