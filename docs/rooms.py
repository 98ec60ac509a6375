"""Draw the folders of tessphot_lib and who imports whom, as in ARCHITECTURE.md.

    python docs/rooms.py            print the drawing (Mermaid)
    python docs/rooms.py --write    put it into ARCHITECTURE.md

An arrow points from a folder to one that it imports; arrows that follow from others
are left out (A imports C where A imports B and B imports C).
"""

import argparse
import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "tessphot_lib"
DOCUMENT = PROJECT / "ARCHITECTURE.md"
IMPORT = re.compile(r"^ *from tessphot_lib\.(\w+)[.\w]* import", flags=re.MULTILINE)
FENCED = re.compile(r"(?<=```mermaid\n).*?(?=```)", flags=re.DOTALL)


def imports_of_folders() -> dict[str, set[str]]:
    """Folders of tessphot_lib, cli.py, and the workflow, each with those that it imports."""
    files = {path: path.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/**/*.py")}
    files[PACKAGE / "cli.py"] = "cli"
    files |= {path: "scripts" for path in (PROJECT / "workflow" / "scripts").glob("*.py")}
    files |= {path: "rules" for path in (PROJECT / "workflow" / "rules").glob("*.smk")}
    found: dict[str, set[str]] = {folder: set() for folder in sorted(set(files.values()))}
    for path, folder in files.items():
        found[folder] |= set(IMPORT.findall(path.read_text(encoding="utf-8"))) - {folder}
    return found


def reduced(below: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out the arrows that follow from others."""

    def reach(folder: str) -> set[str]:
        return below[folder].union(*(reach(name) for name in below[folder]))

    return {
        folder: names.difference(*(reach(name) for name in names))
        for folder, names in below.items()
    }


def drawing() -> str:
    """Mermaid source of the drawing."""
    lines = [
        f"    {folder} --> {' & '.join(sorted(names))}"
        for folder, names in reduced(imports_of_folders()).items()
        if names
    ]
    workflow = [f"    {name}([workflow/{name}])" for name in ("rules", "scripts")]
    return "\n".join(["flowchart TD", *workflow, *lines]) + "\n"


def main() -> None:
    """Print the drawing, or put it into the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="update ARCHITECTURE.md")
    if parser.parse_args().write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(FENCED.sub(lambda _: drawing(), text), encoding="utf-8")
    else:
        print(drawing(), end="")


if __name__ == "__main__":
    main()
