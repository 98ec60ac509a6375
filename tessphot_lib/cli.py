"""The command ``tessphot``: measures single stars, and looks at finished runs."""

import argparse
import sys
from typing import Any

import tessphot_lib
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.threads import one_thread

LOOK = ("find", "show", "pixels")
RUNS = ("movie", "release", "merge")
COMMANDS = ("get", "demo", "snakefile", "check", *LOOK, "star", *RUNS)

DESCRIPTION = """Measure single stars, look at the stars of a finished run, and measure them again.
(Runs of whole CCDs are made with snakemake: see docs/sector.md.)"""
EXAMPLES = """examples:
  tessphot demo                                 a simulated star, in seconds
  tessphot get 261136679                        its light curves in all sectors, from cutouts
  tessphot find 261136679                       where is its light curve, or why is there none?
  tessphot show 261136679 --output star.png     how does it look?
  tessphot star 261136679 --method linpsf       measure it again, by another method
  tessphot pixels 261136679                     its pixels, as a target pixel file
  tessphot check mine.yaml                      mistakes in a configuration, before a run

The exit code is 0, 1 if something went wrong (one line says what), 2 for a wrong command."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    is_known = bool(given) and given[0] in (*COMMANDS, "--version")
    options = parser((given[0],) if is_known else COMMANDS).parse_args(given)
    try:
        with one_thread():
            return options.run(options)
    except (TessphotError, OSError) as error:
        sys.stderr.write(f"tessphot: error: {error}\n")
        return 1


def parser(names: tuple[str, ...] = COMMANDS) -> argparse.ArgumentParser:
    """Build the parser of the command line: of some commands, by default of all."""
    top = argparse.ArgumentParser(
        prog="tessphot",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"tessphot {tessphot_lib.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_commands(commands, names)
    return top


def _add_commands(commands: Any, names: tuple[str, ...]) -> None:
    """Add the parsers of some commands; what others need is not imported, up to a second."""
    if "get" in names:
        from tessphot_lib.get.command import add_get

        add_get(commands)
    if "demo" in names:
        from tessphot_lib.get.demo import add_demo

        add_demo(commands)
    if "snakefile" in names:
        from tessphot_lib.get.workflow import add_snakefile

        add_snakefile(commands)
    if "check" in names:
        from tessphot_lib.plan.check_command import add_check

        add_check(commands)
    if not set(LOOK).isdisjoint(names):
        from tessphot_lib.commands.look import add_look

        add_look(commands)
    if "star" in names:
        from tessphot_lib.commands.trial import add_star

        add_star(commands)
    if not set(RUNS).isdisjoint(names):
        from tessphot_lib.commands.runs import add_runs

        add_runs(commands)
