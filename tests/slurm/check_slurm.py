"""The workflow on a real Slurm, through the profiles: make test-slurm.

Of one small node; the limits of memory are Slurm's own. What a run on it
gives is compared with a run without a cluster.
"""

import os
import shutil
import signal

import pytest
from pipeline_run import CONFIG, PROJECT, Run, assert_same_light_curves, changed, jobs
from toy_cluster import ToyCluster, wait_until

PATIENCE = 240  # [s] for what takes some seconds on an idle machine
# What one small node needs of other values than the profiles have.
TOY = {"--seconds-between-status-checks": "2", "--latency-wait": "5"}
OPTIONS = {
    "cluster-generic": TOY | {"--cores": "2", "--resources": "mem_mb=6000"},
    "slurm": TOY
    | {
        "--slurm-init-seconds-before-status-checks": "1",
        "--slurm-status-command": "squeue",  # there is no accounting
    },
}
ALIVE = "PENDING,RUNNING,COMPLETING"


class ClusterRun(Run):
    """A run on our images whose jobs go to the toy cluster."""

    def __init__(self, home, small_run, cluster, profile):
        config = changed(
            CONFIG,
            input={"source": "ffi", "ffi_dir": "../ffi"},
            catalog={"source": "file", "file": "../tic.csv"},
            output={"pictures": False},
        )
        super().__init__(home, config)
        self.__dict__.update(cluster=cluster, profile=profile, said=home / "said.txt")
        (home / "ffi").mkdir(parents=True)
        for image in small_run.images():
            os.link(image, home / "ffi" / image.name)
        shutil.copy(small_run.ccd / "tic.csv", home / "tic.csv")

    def environment(self, **variables):
        return super().environment(**self.cluster.environment, **variables)

    def begin(self, *arguments):
        """Start Snakemake; what it says goes to the file `said`."""
        profile = PROJECT / "workflow" / "profiles" / self.profile
        options = [f"{name}={value}" for name, value in OPTIONS[self.profile].items()]
        with self.said.open("w") as file:
            return self.start("--profile", profile, *options, *arguments, said=file)

    def wait_until(self, process, condition, what):
        """Wait for something to become true while Snakemake runs, or end it and fail."""
        try:
            wait_until(lambda: process.poll() is not None or condition(), what, PATIENCE)
            assert process.poll() is None, self.said.read_text()
        except BaseException:
            process.kill()
            process.wait()
            raise

    def end(self, process):
        """Wait until Snakemake has ended well; all it said."""
        status, said = process.wait(PATIENCE), self.said.read_text()
        assert status == 0, said
        return said

    def jobs(self, states=ALIVE):
        """The jobs of this folder: number, and state, memory and log in one text."""
        columns = "JobID:20 ,State:20 ,MinMemory:20 ,STDOUT:1000"
        lines = self.cluster.run("squeue", "-h", "-t", states, "-O", columns).splitlines()
        words = [line.split() for line in lines if f" {self.folder.resolve()}/" in line]
        words.sort(key=lambda entries: int(entries[0]))
        return {number: f"{state} {memory} {log}" for number, state, memory, log in words}

    def times(self):
        """When each job was sent, and when it ended."""
        columns = "JobID:20 ,SubmitTime:30 ,EndTime:30 ,STDOUT:1000"
        lines = self.cluster.run("squeue", "-h", "-t", "all", "-O", columns).splitlines()
        words = [line.split() for line in lines if f" {self.folder.resolve()}/" in line]
        return {number: (submitted, ended) for number, submitted, ended, _ in words}

    def made(self):
        """What the finished jobs have made, with the time of each."""
        paths = [self.ccd / "ffis.ecsv", self.ccd / "catalog.sqlite"]
        paths += self.ccd.glob("blocks/*.hdf5")
        return {path: path.stat().st_mtime_ns for path in paths}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with ToyCluster(tmp_path_factory.mktemp("toy")) as cluster:
        yield cluster


def test_killed_jobs_are_tried_again(tmp_path, cluster, small_run):
    """One is cancelled by hand, one has too little memory at first; all others are normal."""
    run = ClusterRun(tmp_path, small_run, cluster, "slurm")
    process = run.begin("--set-resources=backgrounds:mem_mb=100*10**(attempt-1)")
    run.wait_until(process, lambda: run.jobs("RUNNING"), "a job")
    (first,) = run.jobs()
    cluster.run("scancel", first)
    said = run.end(process)
    ended = run.jobs("all")
    assert "rule_ffi_table" in ended[first]
    assert ended[first].startswith("CANCELLED")
    assert said.count("Trying to restart job") == 2
    lists = [job for job in ended.values() if "rule_ffi_table" in job]
    blocks = [job for job in ended.values() if "group_blocks" in job]
    for failed, retried in (lists, blocks):
        assert not failed.startswith("COMPLETED")
        assert retried.startswith("COMPLETED")
    assert [job.split()[1] for job in blocks] == ["100M", "1000M"]
    assert [job.split()[1] for job in lists] == ["1500M", "2250M"]
    # Besides: catalog, spacecraft, what is made of a CCD, tiles, collect, two of the report.
    assert len(ended) == 4 + 7
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}
    assert (run.results / "summary.txt").read_text() in said


@pytest.mark.parametrize("profile", ["slurm", "cluster-generic"])
def test_snakemake_killed_and_started_again(tmp_path, cluster, small_run, profile):
    """It leaves jobs that run and jobs that wait; the next run ends them first."""
    run = ClusterRun(tmp_path, small_run, cluster, profile)
    process = run.begin("--group-components=blocks_{ccd_id}=1")

    def blocks_run_and_wait():
        states = [job.split()[0] for job in run.jobs().values()]  # two at most before
        return len(states) == 3 and {"RUNNING", "PENDING"} <= set(states)

    run.wait_until(process, blocks_run_and_wait, "three blocks in the queue")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left, made = run.jobs(), run.made()
    assert run.snakemake("--unlock")[0] == 0
    said = run.end(run.begin())
    (line,) = [
        line for line in said.splitlines() if "left on the cluster by an earlier run" in line
    ]
    cancelled = [number for number in left if number in line.split(": ")[1].split(", ")]
    ended = run.jobs("all")
    assert cancelled  # at least the one that waited; others may have ended in the meantime
    assert all(ended[number].startswith("CANCELLED") for number in cancelled)
    assert all(ended[number].startswith("COMPLETED") for number in set(left) - set(cancelled))
    # Their second copies were sent when they had ended.
    times = run.times()
    assert max(times[number][1] for number in left) <= min(
        submitted for number, (submitted, _) in times.items() if int(number) > max(map(int, left))
    )
    # What was done is not done again.
    counted = jobs(said)
    assert not {"ffi_table", "ccd_catalog"} & set(counted)
    assert 1 <= counted["backgrounds"] <= 3 - (len(made) - 2)
    now = run.made()
    assert {path: now[path] for path in made} == made
    assert_same_light_curves(run, small_run)
    assert run.plan() == {}
