"""The commands of tessphot, of which only the one that is called is imported."""

import argparse
import subprocess
import sys

import numpy  # noqa: F401  its linear algebra is what has threads
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tessphot_lib.cli import COMMANDS, main, parser
from tessphot_lib.get import workflow


def choices(top):
    (commands,) = (one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    return commands.choices


def test_the_list_of_commands_is_that_of_the_parser():
    assert tuple(choices(parser())) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_alone_is_as_among_all(command):
    assert choices(parser((command,)))[command].format_help() == (
        choices(parser())[command].format_help()
    )


def test_checking_a_configuration_imports_no_photometry():
    code = (
        "import sys\nfrom tessphot_lib.cli import parser\nparser(('check',))\n"
        "sys.exit('pandas' in sys.modules or 'astropy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_commands_compute_in_one_thread(monkeypatch):
    seen = []

    def find_snakefile():
        seen.extend(one["num_threads"] for one in threadpool_info())

    monkeypatch.setattr(workflow, "find_snakefile", find_snakefile)
    with threadpool_limits(2):
        before = [one["num_threads"] for one in threadpool_info()]
        assert main(["snakefile"]) == 0
        assert [one["num_threads"] for one in threadpool_info()] == before
    assert seen == [1] * len(before)
