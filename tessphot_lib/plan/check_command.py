"""``tessphot check``: mistakes in a configuration, with file and line, before any run."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessphot_lib.core.config_files import config_schema, default_config
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.io.files.yaml_files import key_lines, read_yaml
from tessphot_lib.plan.config import read_config
from tessphot_lib.plan.run import Plan


def add_check(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    check = commands.add_parser(
        "check",
        help="mistakes in a configuration, with file and line",
        description="Check a configuration for mistakes, as a run does at its start, and whether "
        "there are images for it. Each mistake is one line, with the file and its line.",
    )
    check.set_defaults(run=run_check)
    check.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="as given to --configfile: later ones override earlier ones",
    )
    check.add_argument(
        "--directory", type=Path, default=Path(), help="folder of the run (default: here)"
    )


def run_check(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code.

    Raises
    ------
    ConfigError
        One line for each mistake, with the file and the line of the key.
    """
    given = [("the defaults", default_config())]
    given += [(str(path), read_yaml(path)) for path in options.files]
    try:
        with contextlib.chdir(options.directory):  # where relative paths start
            config, warnings = read_config(given, config_schema(), is_main=True)
            warnings += Plan(config).warnings
    except ConfigError as error:
        raise ConfigError(_with_lines(str(error), options.files)) from None
    for warning in warnings:
        sys.stderr.write(f"tessphot: {warning}\n")
    sys.stdout.write(f"{', '.join(map(str, options.files))}: no mistakes\n")
    return 0


def _with_lines(message: str, files: Sequence[Path]) -> str:
    """Put file and line before each mistake that begins with a key of one of the files."""
    places = {}
    for path in files:  # the last one that has a key counts
        places.update({key: f"{path}, line {line}" for key, line in key_lines(path).items()})
    lines = [(places.get(line.partition(": ")[0]), line) for line in message.split("\n")]
    return "\n".join(f"{place}: {line}" if place else line for place, line in lines)
