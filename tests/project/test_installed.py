"""What pip installs: the package, and the workflow with its settings."""

import subprocess
import tomllib

import pytest
from paths import PROJECT

DATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
FOLDERS = ("workflow", "config")


def files(folder):
    """All that git knows below a folder."""
    done = subprocess.run(
        ["git", "ls-files", folder], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode or not done.stdout:
        pytest.skip("not a copy of the repository")
    return {PROJECT / name for name in done.stdout.split()}


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_files_of_the_workflow_are_installed(folder):
    installed = {
        path: target
        for target, patterns in DATA.items()
        for one in patterns
        for path in PROJECT.glob(one)
    }
    for path in files(folder):
        assert path in installed, f"{path} is in no pattern of data-files in pyproject.toml"
        target = path.parent.relative_to(PROJECT).as_posix()
        assert installed[path] == f"share/tessphot/{target}"
