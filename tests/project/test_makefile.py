"""The make targets, as far as they can be tried without installing anything."""

import os
import shutil
import subprocess

import pytest
from paths import PROJECT


def make(folder, *arguments):
    # `make test` leaves its own options in the environment.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_the_targets():
    done = make(PROJECT, "help")
    assert done.returncode == 0
    names = [line.split("\t")[0] for line in done.stdout.splitlines()]
    targets = (
        "help",
        "demo",
        "docs",
        "test",
        "test-faults",
        "test-same",
        "test-slurm",
        "fuzz",
        "lint",
        "config",
        "benchmark",
        "benchmark-real",
        "clean",
    )
    assert names == [f"make {target}" for target in targets]


@pytest.mark.parametrize("target", ["demo", "test"])
def test_too_old_python_is_reported(tmp_path, target):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    old = tmp_path / "python-of-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(tmp_path, target, f"PYTHON={old}")
    assert done.returncode != 0
    assert "error: Python 3.11 or newer is needed" in done.stderr
    assert f"{old} is older or does not run" in done.stderr
    assert not (tmp_path / ".venv").exists()
