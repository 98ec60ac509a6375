"""Start and end of a run: nothing of an earlier one is left, and what went wrong is said again."""

import json
import os
from pathlib import Path

import pytest
from conftest import make_images

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.ffi_files import read_listing
from tessphot_lib.plan.run import Plan
from tessphot_lib.plan.session import BEGAN, Session
from tessphot_lib.plan.source import LISTING
from tessphot_lib.plan.unfinished import UNFINISHED, lost_files

HERE = CcdId(14, 3, 2)
LEFT = (  # by jobs that were killed, at each depth below results/ that jobs write in
    "results/todo.sqlite.partial-7-0a1b2c3d",
    f"results/{HERE}/ffis.ecsv.partial-7-0a1b2c3d",
    f"results/{HERE}/blocks/b0001122.hdf5.partial-7-0a1b2c3d",
    f"results/{HERE}/lightcurves/r0c0.old-7-0a1b2c3d",
)
KEPT = f"results/{HERE}/blocks/b0001122.hdf5"


@pytest.fixture
def session(config, tmp_path):
    make_images(tmp_path / "ffi", 3, camera=3, ccd=2)
    config["input"]["ffi_dir"] = "../ffi"
    return Session(Plan(config))


@pytest.fixture
def left():
    """Half-written files, and one that is complete."""
    for path in map(Path, (*LEFT, KEPT)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_half_written_files_are_removed_at_the_start(session, left):
    assert session.begin(None, None) == []
    assert not any(Path(path).exists() for path in LEFT)
    assert Path(KEPT).exists()


def test_half_written_files_are_removed_at_the_end(session, left):
    session.end()
    assert not any(Path(path).exists() for path in LEFT)
    assert Path(KEPT).exists()


def test_lists_for_the_processes_of_jobs_are_kept(session):
    session.begin(None, None)
    assert [file.path for file in read_listing(LISTING, HERE)] == session.plan.source.images_of(
        HERE
    )


def test_time_of_the_start_is_noted_each_time(session):
    session.begin(None, None)
    first, session.started = session.started, session.started + 7
    session.begin(None, None)
    starts = [float(line) for line in BEGAN.read_text().split()]
    assert starts == pytest.approx([first, first + 7], abs=1e-3)


def test_images_of_incomplete_blocks_are_set_aside(config):
    config["input"] |= {"source": "mast", "ffi_dir": "images"}
    names = [f"tess2019199{hour:02}1929-s0014-3-2-0150-s_ffic.fits" for hour in (1, 2, 3)]
    lines = [f"{name},https://archive/{name},9" for name in names]
    listing = Path(f"results/{HERE}/ffi_list.csv")
    listing.parent.mkdir(parents=True)
    listing.write_text("\n".join(["name,url,size", *lines, ""]))
    here = Path(f"images/{HERE}/{names[1]}")
    here.parent.mkdir(parents=True)
    here.touch()
    Session(Plan(config)).begin(None, None)
    assert not here.exists()
    assert (here.parent / ".incoming" / here.name).exists()


def test_jobs_of_a_killed_run_are_cancelled(session, tmp_path):
    record = Path(".snakemake/incomplete/one")
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"external_jobid": "12"}))
    alive = tmp_path / "12"
    alive.touch()
    status = f"sh -c 'if test -e {tmp_path}/$0; then echo running; else echo success; fi'"
    said = session.begin(status, f"sh -c 'rm {tmp_path}/$0'")
    assert said == ["cancelled, left on the cluster by an earlier run: 12"]
    assert not alive.exists()
    assert session.begin(status, "false") == []


def test_what_a_failed_run_has_lost_is_known_to_the_next(session):
    wanted = [f"results/{HERE}/prf.fits", f"results/{HERE}/todo.sqlite"]
    for path in map(Path, wanted):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    session.begin(None, None, [*wanted, "images/a_ffic.fits"])
    assert lost_files() == set()
    Path(wanted[0]).unlink()
    session.fail()
    assert lost_files() == {wanted[0]}
    # A run of something else does not make it, and does not forget it.
    session.begin(None, None, ["results/other"])
    Path("results/other").touch()
    session.end()
    assert lost_files() == {wanted[0]}
    Path(wanted[0]).touch()
    session.end()
    assert not UNFINISHED.exists()


def test_summary_is_shown_at_the_end(session):
    assert session.end() == []
    Path("results").mkdir()
    Path("results/summary.txt").write_text("104 stars\nall well\n")
    assert session.end() == ["104 stars\nall well"]


def test_after_the_lists_the_same_command_goes_on(config):
    config["input"]["source"] = "mast"
    (said,) = Session(Plan(config)).end()
    assert "the same command again" in said


def test_stopped_run_is_not_said_to_have_failed(session, tmp_path):
    log = tmp_path / "snakemake.log"
    log.write_text("Terminating processes on user request, this might take some time.\n")
    (said,) = session.fail([str(log)])
    assert said == "Interrupted. The same command goes on from there."
    log.write_text("Exiting because a job execution failed.\n")
    assert "Something failed" in session.fail([str(log)])[-1]


def test_what_went_wrong_is_said_again(session):
    """Once each, of the logs of this run only, and not more than ten."""
    logs = Path("logs") / str(HERE)
    logs.mkdir(parents=True)
    for number in range(12):
        log = logs / f"{number:02}.log"
        log.write_text(f"INFO x: fine\nERROR tessphot: error: b.fits: bad\nno error: {number:02}\n")
        os.utime(log, (session.started + 5, session.started + 5))
    old = logs / "old.log"
    old.write_text("ERROR tessphot: error: of an earlier run\n")
    os.utime(old, (session.started - 5, session.started - 5))
    *errors, last = session.fail()
    assert len(errors) == len(set(errors)) == 10
    assert "error: b.fits: bad" in errors
    assert "error: of an earlier run" not in errors
    assert f"the log of each job under {Path.cwd()}/logs." in last
