"""The command ``tessphot``: measures single stars, and looks at finished runs."""

import argparse
import sys

import tessphot_lib
from tessphot_lib.commands.look import add_look
from tessphot_lib.commands.runs import add_runs
from tessphot_lib.commands.trial import add_star
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.threads import one_thread
from tessphot_lib.get.command import add_get
from tessphot_lib.get.demo import add_demo
from tessphot_lib.get.workflow import add_snakefile
from tessphot_lib.plan.check_command import add_check

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
    options = parser().parse_args(arguments)
    try:
        with one_thread():
            return options.run(options)
    except (TessphotError, OSError) as error:
        sys.stderr.write(f"tessphot: error: {error}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="tessphot",
        description="Measure single stars, look at the stars of a finished run, and measure "
        "them again. (Runs of whole CCDs are made with snakemake: see docs/sector.md.)",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"tessphot {tessphot_lib.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_get(commands)
    add_demo(commands)
    add_snakefile(commands)
    add_check(commands)
    add_look(commands)
    add_star(commands)
    add_runs(commands)
    return top
