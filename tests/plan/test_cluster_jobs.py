"""Jobs left on a cluster: found by their logs or their numbers, cancelled, waited for."""

import json

import pytest

from tessphot_lib.core.errors import ServiceError
from tessphot_lib.plan.cluster_jobs import cancel_recorded_jobs, cancel_slurm_jobs, recorded_jobs

# A scheduler in a folder: a file for each job that is alive. Job 9 does not let go.
STATUS = "sh -c 'if test -e {queue}/$0; then echo running; else echo success; fi'"
CANCEL = "sh -c 'for job; do test $job = 9 || rm {queue}/$job; done' cancel"
SQUEUE = """#!/bin/sh
echo "$@" > {queue}/asked
test -e {queue}/broken && {{ echo "slurm_load_jobs error: down" >&2; exit 1; }}
for job in {queue}/[0-9]*; do
    test -e "$job" && echo "$(basename $job)      $(cat $job)     "
done
exit 0
"""
SCANCEL = "#!/bin/sh\nfor job; do test $job = 9 || rm {queue}/$job; done\n"


@pytest.fixture
def queue(tmp_path):
    folder = tmp_path / "queue"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path):
    """Folder of a run that knows of jobs 1, 2 and 3."""
    folder = tmp_path / "run"
    records = folder / ".snakemake" / "incomplete"
    (records / "deeper").mkdir(parents=True)
    (records / "one").write_text(json.dumps({"external_jobid": "2"}))
    (records / "deeper" / "two").write_text(json.dumps({"external_jobid": "1"}))
    (records / "three").write_text(json.dumps({"external_jobid": "3"}))
    (records / "local").write_text(json.dumps({"external_jobid": None}))
    (records / "older").write_text("")
    return folder


@pytest.fixture
def slurm(tmp_path, queue, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (programs / name).write_text(text.format(queue=queue))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")


def test_recorded_jobs(run, tmp_path):
    assert recorded_jobs(run) == ["1", "2", "3"]
    assert recorded_jobs(tmp_path / "nowhere") == []


def test_jobs_that_are_alive_are_cancelled(run, queue):
    for job in ("2", "3", "4"):
        (queue / job).touch()
    commands = STATUS.format(queue=queue), CANCEL.format(queue=queue)
    assert cancel_recorded_jobs(run, *commands) == ["2", "3"]
    assert [path.name for path in queue.iterdir()] == ["4"]  # not of this run
    assert cancel_recorded_jobs(run, *commands) == []
    assert cancel_recorded_jobs(run, commands[0], None) == []


def test_a_job_that_stays_is_an_error(run, queue):
    (run / ".snakemake" / "incomplete" / "one").write_text(json.dumps({"external_jobid": "9"}))
    (queue / "9").touch()
    commands = STATUS.format(queue=queue), CANCEL.format(queue=queue)
    with pytest.raises(ServiceError, match=r"still there 0 s after they were cancelled: 9;"):
        cancel_recorded_jobs(run, *commands, patience=0)


def test_slurm_jobs_are_known_by_their_logs(run, queue, slurm):
    (run / ".snakemake" / "slurm_logs").mkdir()
    (queue / "5").write_text(f"{run}/.snakemake/slurm_logs/rule_ccd_todo/%j.log")
    (queue / "6").write_text(f"{run}2/.snakemake/slurm_logs/rule_ccd_todo/%j.log")
    assert cancel_slurm_jobs(run) == ["5"]
    assert (queue / "6").exists()
    assert "--me" in (queue / "asked").read_text()
    assert cancel_slurm_jobs(run) == []


def test_slurm_is_asked_only_where_it_was_used(run, queue, slurm):
    assert cancel_slurm_jobs(run) == []
    assert not (queue / "asked").exists()


def test_slurm_that_does_not_answer_is_an_error(run, queue, slurm):
    (run / "logs" / "cluster").mkdir(parents=True)
    (queue / "broken").touch()
    with pytest.raises(ServiceError, match=r"cannot be asked .*slurm_load_jobs error: down"):
        cancel_slurm_jobs(run)
