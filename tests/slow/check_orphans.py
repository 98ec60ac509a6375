"""Jobs that go on when their Snakemake has been killed, and blocks and images that were damaged.

After each the same command again gives what an undisturbed run gives.
"""

import os
import shutil
import signal
import time

import pytest
from pipeline_run import CCD, PROJECT, assert_same_light_curves, link_image

from tests.pipeline.test_faults import flip_a_byte, remove, truncate

# Put into each job by Python itself: the first job that is to write a file named by ORPHAN
# waits, before it writes ("early") or before the file takes its name ("late"), until GO exists.
WAITER = """
import os, time
from contextlib import contextmanager
from pathlib import Path

try:
    from tessphot_lib.io.files import atomic
except ImportError:
    atomic = None
HOME, NAME = Path(os.environ["HOME_OF_TEST"]), os.environ["ORPHAN"]


def wait():
    try:
        (HOME / "waits").touch(exist_ok=False)
    except FileExistsError:
        return False
    (HOME / "pid").write_text(str(os.getpid()))
    while not (HOME / "go").exists():
        time.sleep(0.05)
    return True


def patient(complete):
    @contextmanager
    def write(path, **options):
        is_named = Path(path).name == NAME
        try:
            is_orphan = is_named and os.environ["WHEN"] == "early" and wait()
            with complete(path, **options) as partial:
                yield partial
                is_orphan |= is_named and os.environ["WHEN"] == "late" and wait()
        finally:
            if is_named and (HOME / "pid").read_text() == str(os.getpid()):
                (HOME / "ended").touch()
    return write


if atomic is not None:
    atomic.complete_file = patient(atomic.complete_file)
    atomic.complete_folder = patient(atomic.complete_folder)
"""


def wait_for(path, process=None, patience=120):
    deadline = time.monotonic() + patience
    while not path.exists():
        assert process is None or process.poll() is None, "Snakemake ended early"
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def without(small_run, home, *names):
    """Copy of a run that lacks some products of the CCD, and those of the run."""
    run = small_run.copy(home, output={"pictures": False})
    for name in (*names, "../todo.sqlite", "../summary.txt"):
        path = run.ccd / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return run


AFTER_BLOCKS = ("average_image.fits", "pixels.hdf5", "lightcurves", "diagnostics")


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("b0008072.hdf5", ("blocks", *AFTER_BLOCKS)),
        ("r13c0", ("lightcurves", "diagnostics")),
        ("todo.sqlite", ("todo.sqlite", "lightcurves", "diagnostics")),
    ],
)
def test_orphan_ends_after_the_next_run(small_run, tmp_path, name, missing, when):
    """Only Snakemake is killed; its job ends when another one has made the same file."""
    run = without(small_run, tmp_path, *missing)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WAITER)
    hook = {
        "PYTHONPATH": f"{tmp_path / 'hook'}{os.pathsep}{PROJECT}",
        "HOME_OF_TEST": str(tmp_path),
        "ORPHAN": name,
        "WHEN": when,
    }
    process = run.start("--cores", 1, **hook)
    try:
        wait_for(tmp_path / "waits", process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        status, output = run.snakemake("--cores", 2)
        assert status != 0
        assert "--unlock" in output
        assert run.snakemake("--unlock")[0] == 0
        run.finish()
        assert_same_light_curves(run, small_run)
        (tmp_path / "go").touch()
        wait_for(tmp_path / "ended")
    finally:
        (tmp_path / "go").touch()
        if process.poll() is None:
            process.kill()
    time.sleep(1.0)  # the orphan's last steps
    assert [path for path in run.results.rglob("*") if ".partial-" in path.name] == []
    assert_same_light_curves(run, small_run)
    run.finish()  # Snakemake may see a newer file, of the same content
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}


@pytest.mark.parametrize("damage", ["byte", "truncated", "missing", "swapped"])
def test_block_is_made_again(small_run, tmp_path, damage):
    """As the message says: delete it, and the same command makes it again."""
    run = without(small_run, tmp_path, "lightcurves", "diagnostics")
    first, block, _ = sorted((run.ccd / "blocks").iterdir())
    damaged = [block]
    if damage == "swapped":
        first.rename(tmp_path / "aside")
        block.rename(first)
        (tmp_path / "aside").rename(block)
        damaged = [first, block]
    else:
        times = block.stat()
        {"byte": lambda path: flip_a_byte(path, "flux"), "truncated": truncate, "missing": remove}[
            damage
        ](block)
        if damage != "missing":  # as by a disk, unseen
            os.utime(block, ns=(times.st_atime_ns, times.st_mtime_ns))
    if damage != "missing":
        status, output = run.snakemake("--cores", 2)
        assert status != 0
        assert "Traceback" not in output
        assert f"results/{CCD}/blocks/b000807" in output
        for path in damaged:
            path.unlink()
    run.finish()
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}


def test_image_that_is_damaged_and_put_back(small_run, tmp_path):
    run = small_run.copy(tmp_path, output={"pictures": False})
    image = run.images()[12]
    image.unlink()  # a link: the image itself stays
    image.write_bytes(small_run.images()[12].read_bytes()[:1_000_000])
    block = next(path for path in (run.ccd / "blocks").iterdir() if path.name == "b0008072.hdf5")
    block.unlink()
    status, output = run.snakemake("--cores", 2)
    assert status != 0
    assert "Traceback" not in output
    assert image.name in output
    assert not block.exists()
    image.unlink()
    link_image(str(small_run.images()[12]), str(image))
    run.finish()
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}
