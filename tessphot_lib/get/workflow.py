"""Where the Snakemake workflow is: beside the package, or where pip has put it."""

import argparse
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import tessphot_lib
from tessphot_lib.core.errors import InputDataError

SNAKEFILE = ("workflow", "Snakefile")


def add_snakefile(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    command = commands.add_parser(
        "snakefile",
        help="print the path of the workflow: snakemake --snakefile $(tessphot snakefile) ...",
        description="Print the path of the workflow, for snakemake --snakefile "
        "$(tessphot snakefile). The folder config beside it has files to copy and edit.",
    )
    command.set_defaults(run=run_snakefile)


def run_snakefile(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    sys.stdout.write(f"{find_snakefile()}\n")
    return 0


def find_snakefile() -> Path:
    """Find the workflow.

    Raises
    ------
    InputDataError
        If it is neither in a copy of the repository nor installed.
    """
    beside = Path(tessphot_lib.__file__).parent.parent.joinpath(*SNAKEFILE)
    if beside.is_file():
        return beside
    try:
        installed = importlib.metadata.files("tessphot") or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        if file.parts[-2:] == SNAKEFILE:
            return Path(str(file.locate())).resolve()
    raise InputDataError(f"{'/'.join(SNAKEFILE)} is neither beside tessphot_lib nor installed")
