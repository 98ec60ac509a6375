"""What the tests of the workflow share: a project whose steps only make empty files."""

import fcntl
import os
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
import yaml
from configurations import ONE_STAR
from paths import PROJECT
from pipeline_run import CONFIG, Run

STAND_IN = '''"""Stand-in for a stage: makes its outputs, and tells what it was called with."""
import logging
from pathlib import Path


def unused():
    return "nothing"


def run(*args, **kwargs):
    logging.getLogger(__name__).info("called with %s %s", args, kwargs)
    for arg in (*args, *kwargs.values()):
        for path in arg if isinstance(arg, list) else [arg]:
            if not isinstance(path, Path) or path.exists():
                continue
            if not path.suffix:  # a folder
                path.mkdir(parents=True)
            else:
                path.write_text(f"from {__name__}\\n")


'''


@pytest.fixture
def project(tmp_path):
    """Folder with the workflow and the library, the steps replaced by stand-ins."""
    return make_project(tmp_path / "project")


def make_project(folder):
    """Link all but the steps."""
    library = folder / "tessphot_lib"
    (library / "steps").mkdir(parents=True)
    for name in ("workflow", "config", "environment.yaml"):
        (folder / name).symlink_to(PROJECT / name)
    for path in (PROJECT / "tessphot_lib").iterdir():
        if path.name not in ("steps", "__pycache__"):
            (library / path.name).symlink_to(path)
    (library / "steps" / "__init__.py").touch()
    for script in (PROJECT / "workflow" / "scripts").glob("*.py"):
        for line in script.read_text().splitlines():
            if line.startswith("from tessphot_lib.steps."):
                _, module, _, function = line.split()
                path = library / "steps" / f"{module.rsplit('.', 1)[1]}.py"
                source = path.read_text() if path.exists() else STAND_IN
                path.write_text(f"{source}{function} = run\n")
    return folder


@pytest.fixture
def snakemake(tmp_path):
    """Run Snakemake in the folder ``run``: returns exit status and all it said."""

    def call(*arguments, config, project=PROJECT, **variables):
        return run_snakemake(tmp_path, *arguments, config=config, project=project, **variables)

    return call


def run_snakemake(folder, *arguments, config, project, with_directory=True, **variables):
    config_file = folder / "user.yaml"
    config_file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile"]
    command += [str(project / "workflow" / "Snakefile"), "--configfile", str(config_file)]
    command += ["--directory", str(folder / "run")] if with_directory else []
    command += arguments
    ours = ("TESSPHOT_INPUT", "TESSPHOT_OUTPUT")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    environment |= {"XDG_CACHE_HOME": str(folder / "cache")} | variables
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def images(tmp_path):
    """Make empty stand-ins for the images of a CCD, every other one compressed."""

    def make(n_images, *, folder="ffi", **which):
        return make_images(tmp_path / folder, n_images, **which)

    return make


def make_images(folder, n_images, *, sector=14, camera=1, ccd=1, first=0):
    below = folder / f"cam{camera}" / f"ccd{ccd}"
    below.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(first, first + n_images):
        stamp = datetime(2019, 7, 18, 20, 19, 29) + timedelta(seconds=1800 * index)
        name = f"tess{stamp:%Y%j%H%M%S}-s{sector:04d}-{camera}-{ccd}-0150-s_ffic.fits"
        paths.append(below / f"{name}{'.gz' if index % 2 else ''}")
        paths[-1].touch()
    return paths


@pytest.fixture
def sector14(tmp_path):
    """Configuration of images in a folder, and stars in a file."""
    return make_sector14(tmp_path)


def make_sector14(folder):
    (folder / "tic.csv").write_text(ONE_STAR)
    return {
        "sectors": [14],
        "cameras": [1],
        "ccds": [1],
        "input": {"ffi_dir": "../ffi", "window": [100, 300, 200, 500]},
        "catalog": {"source": "file", "file": "../tic.csv"},
        "prepare": {"block_size": 8},
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folder of a finished run over 20 images in 3 blocks, and what it said; to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    project = make_project(folder / "project")
    make_images(folder / "ffi", 20)
    status, output = run_snakemake(
        folder, "--cores", "2", config=make_sector14(folder), project=project
    )
    assert status == 0, output
    return folder, output


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Finished run over a small simulated CCD, real steps; made once, not to be changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    home = shared / "small_run"
    with open(shared / "small_run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker makes it, the others wait
        run = Run(home, CONFIG)
        said = home / "said.txt"
        if not said.exists():
            home.mkdir(exist_ok=True)
            status, output = run.snakemake("--cores", 2)
            assert status == 0, output
            said.write_text(output)
    return run
