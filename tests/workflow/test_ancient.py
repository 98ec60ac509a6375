"""What Snakemake makes of ancient files (its issue 4166), and what is done about it.

A table is made of two images, and a block of one of them; the table is an ancient input of
the block, so that another image does not make the block again. When both images are new,
both jobs have to run; when the table is lost, only its own.
"""

import os
import subprocess
import sys
import time

import pytest
from paths import PROJECT

SNAKEFILE = """
rule all:
    input: "block", "table"
rule block:
    input: "one.fits", table=ancient("table")
    output: "block"
    shell: "touch {output}"
rule table:
    input: "one.fits", "two.fits"
    output: "table"
    shell: "touch {output}"
"""
WITH_OURS = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from tessphot_lib.plan.ancient import look_behind_ancient
look_behind_ancient()
"""


@pytest.fixture
def planned(tmp_path):
    """Make block and table, renew images, and return the rules of the next dry run."""

    def plan(renewed, before="", lost=()):
        (tmp_path / "Snakefile").write_text(before + SNAKEFILE)
        long_ago = time.time() - 1000
        for age, name in enumerate(("block", "table", "two.fits", "one.fits")):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (long_ago - age, long_ago - age))
        for name in renewed:
            os.utime(tmp_path / name)
        for name in lost:
            (tmp_path / name).unlink()
        command = [sys.executable, "-m", "snakemake", "-n", "--rerun-triggers", "mtime"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        said = done.stdout + done.stderr
        return {name for name in ("block", "table") if f"rule {name}:" in said}

    return plan


def test_both_jobs_are_seen_with_ours(planned):
    assert planned(["one.fits"], WITH_OURS) == {"block", "table"}
    assert planned(["two.fits"], WITH_OURS) == {"table"}
    assert planned([], WITH_OURS) == set()


def test_lost_table_does_not_make_the_block_again(planned):
    assert planned([], WITH_OURS, lost=["table"]) == {"table"}
    assert planned(["two.fits"], WITH_OURS, lost=["table"]) == {"table"}
    assert planned(["one.fits"], WITH_OURS, lost=["table"]) == {"block", "table"}


def test_ours_is_needed_as_long_as_snakemake_decides_otherwise(planned):
    """Fails once Snakemake needs no help any more: then see plan/ancient.py."""
    assert planned(["one.fits"]) == {"table"}
    assert planned([], lost=["table"]) == {"block", "table"}
