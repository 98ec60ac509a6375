"""Jobs that are killed while they write, images that change, blocks that are not what they were.

After each: one line that tells, nothing half made under a final name, and the
same command again gives what an undisturbed run gives.
"""

import os
import shutil

from pipeline_run import CCD, PROJECT, assert_same_light_curves

# Put into each job by Python itself: the first time that a file of a kind is written, the
# process is killed when the first bytes are on the disk.
KILLER = """
import os, signal, threading
from contextlib import contextmanager
from pathlib import Path

try:
    from tessphot_lib.io.files import atomic
except ImportError:
    atomic = None
KILLED = Path(os.environ["KILLED"])


def mark(path):
    return KILLED / f"{path.parent.name} {path.name}"


def size(path):
    if path.is_dir():
        return sum(1 for _ in path.iterdir())
    return path.stat().st_size if path.exists() else 0


def watch(path, partial):
    while not size(partial):
        pass
    die(path, partial)


def die(path, partial):
    there = "old" if path.exists() else "nothing"
    mark(path).write_text(f"{there} {partial.name}")
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(complete):
    @contextmanager
    def write(path, **options):
        path = Path(path)
        with complete(path, **options) as partial:
            wanted = ".partial-" not in str(path.parent)
            if wanted and not mark(path).exists():
                threading.Thread(target=watch, args=(path, partial), daemon=True).start()
                yield partial
                die(path, partial)  # written before it was noticed: not yet renamed
            yield partial
    return write


if atomic is not None:
    atomic.complete_file = deadly(atomic.complete_file)
    atomic.complete_folder = deadly(atomic.complete_folder)
"""
KINDS = {
    "blocks b0008072.hdf5",
    f"{CCD} average_image.fits",
    f"{CCD} jitter.ecsv",
    f"{CCD} pixels.hdf5",
    f"{CCD} todo.sqlite",
    "lightcurves r13c0",
    "diagnostics r13c0.ecsv",
    "results todo.sqlite",
    "results summary.txt",
    f"pictures average_image_{CCD}.png",
}


def remake(run, *names):
    """Remove products, so that they and all that depends on them have to be made."""
    for name in names:
        path = run.ccd / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_jobs_killed_while_they_write(small_run, tmp_path):
    """SIGKILL in the middle of each kind of file; each job is tried again, as on a cluster."""
    run = small_run.copy(tmp_path)
    remake(run, "blocks", "average_image.fits", "jitter.ecsv", "pixels.hdf5", "todo.sqlite")
    remake(run, "lightcurves", "diagnostics", "../todo.sqlite", "../summary.txt", "../pictures")
    killed = tmp_path / "killed"
    (tmp_path / "hook").mkdir()
    killed.mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(KILLER)
    status, output = run.snakemake(
        "--cores",
        2,
        "--retries",
        2,
        PYTHONPATH=f"{tmp_path / 'hook'}{os.pathsep}{PROJECT}",
        KILLED=str(killed),
    )
    assert status == 0, output
    assert {path.name for path in killed.iterdir()} >= KINDS
    for path in killed.iterdir():
        assert path.read_text().startswith("nothing "), path.name
    assert_same_light_curves(run, small_run)
    assert [path for path in run.results.rglob("*") if ".partial-" in path.name] == []
    assert run.plan() == {}
