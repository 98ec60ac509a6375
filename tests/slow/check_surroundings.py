"""Disks that are full or cannot be written, two runs at once, other clocks and languages.

After each: one line that tells, nothing half made under a final name, and the same command
again gives what an undisturbed run gives. Some of it needs to be root, to mount a disk.
"""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from astropy.io import fits
from pipeline_run import CONFIG, PROJECT, Run, assert_same_light_curves, changed

MB = 1 << 20
# Makes each Python process speak the language of its environment, which some programs do.
SPEAKER = "import locale\n\nlocale.setlocale(locale.LC_ALL, '')\n"


def on_images(small_run, home):
    """A run on the images of another one, which stay where they are."""
    config = changed(
        CONFIG,
        input={"source": "ffi", "ffi_dir": str(small_run.folder / "simulated")},
        catalog={"source": "file", "file": str(small_run.ccd / "tic.csv")},
        output={"pictures": False},
    )
    run = Run(home, config)
    run.folder.mkdir(parents=True)
    return run


@contextmanager
def mounted(*arguments, at):
    """Mount something for a while; a test that may not is skipped, with what mount said."""
    done = subprocess.run(
        ["mount", *map(str, arguments), str(at)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


def no_partials(run):
    return [path for path in run.results.rglob("*") if ".partial-" in path.name] == []


@pytest.mark.parametrize("room", [0.3, 1.0, 1.8])
def test_full_disk(small_run, tmp_path, room):
    """So many MB are free on it at first; then room is made."""
    run = on_images(small_run, tmp_path)
    with mounted("-t", "tmpfs", "-o", "size=64m", "none", at=run.folder):
        filler = run.folder / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, int((64 - room) * MB))
        status, output = run.snakemake("--cores", 2)
        assert status != 0
        assert "No space left on device" in output
        filler.unlink()
        run.finish()
        assert no_partials(run)
        assert_same_light_curves(run, small_run)
        assert run.plan() == {}


def test_results_on_a_disk_that_is_read_only(small_run, tmp_path):
    """As root, whom no permissions hinder."""
    run = on_images(small_run, tmp_path)
    run.results.mkdir()
    with mounted("--bind", run.results, at=run.results):
        read_only = ["mount", "-o", "remount,bind,ro", str(run.results)]
        done = subprocess.run(read_only, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a disk cannot be made read-only here: {done.stderr.strip()}")
        status, output = run.snakemake("--cores", 2)
        assert status != 0
        assert "Read-only file system" in output
        assert "results" in output
    assert not list(run.results.iterdir())
    run.finish()
    assert_same_light_curves(run, small_run)


def test_two_runs_at_once_in_a_folder(small_run, tmp_path):
    """The second one is refused, and says so; the first one goes on."""
    run = on_images(small_run, tmp_path)
    first = run.start("--cores", 1)
    try:
        deadline = time.monotonic() + 60
        while not list((run.folder / ".snakemake" / "locks").glob("*")):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        status, output = run.snakemake("--cores", 1)
    finally:
        assert first.wait(300) == 0
    assert status != 0
    assert "Directory cannot be locked" in output
    assert "Traceback" not in output
    assert no_partials(run)
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}


def test_clock_of_another_time_zone(small_run, tmp_path):
    """Fourteen hours east of Greenwich: there it is tomorrow in most hours of the day."""
    run = on_images(small_run, tmp_path)
    before = datetime.now(UTC)
    run.finish(TZ="<+14>-14")
    after = datetime.now(UTC)
    assert_same_light_curves(run, small_run)
    dates = {fits.getheader(path)["DATE"] for path in run.light_curves.values()}
    assert dates <= {moment.date().isoformat() for moment in (before, after)}
    margin = timedelta(seconds=1)  # it has whole seconds
    record = json.loads((run.results / "run.json").read_text())
    began, ended = (datetime.fromisoformat(record[key]) for key in ("began", "ended"))
    assert before - margin <= began <= ended <= after + margin
    assert run.plan() == {}


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """Folders of locales with a decimal comma, by name."""
    folder = tmp_path_factory.mktemp("locales")
    for charset in ("UTF-8", "ISO-8859-1"):
        command = ["localedef", "-i", "de_DE", "-f", charset, str(folder / f"de_DE.{charset}")]
        if shutil.which("localedef") is None:
            pytest.skip("there is no localedef (Debian: package locales)")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"localedef: {done.stderr.strip().splitlines()[-1]}")
    return folder


def speaking(home):
    """PYTHONPATH with which each process sets its locale."""
    (home / "hook").mkdir()
    (home / "hook" / "sitecustomize.py").write_text(SPEAKER)
    return f"{home / 'hook'}{os.pathsep}{PROJECT}"


def test_decimal_comma(small_run, tmp_path, german):
    run = on_images(small_run, tmp_path)
    run.finish(LOCPATH=str(german), LC_ALL="de_DE.UTF-8", PYTHONPATH=speaking(tmp_path))
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}


def test_decimal_comma_and_other_bytes_for_letters(small_run, tmp_path, german):
    """Messages stay English: Python's ctypes ends at German ones in any other code than UTF-8."""
    run = on_images(small_run, tmp_path)
    categories = ("LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE")
    run.finish(
        **dict.fromkeys(categories, "de_DE.ISO-8859-1"),
        LC_ALL="",
        LANG="C",
        LOCPATH=str(german),
        PYTHONUTF8="0",
        PYTHONPATH=speaking(tmp_path),
    )
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}


def test_language_without_any_but_ascii(small_run, tmp_path):
    run = on_images(small_run, tmp_path)
    run.finish(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONPATH=speaking(tmp_path))
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}
