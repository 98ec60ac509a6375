"""Jobs on a cluster that an earlier run has left in the queue.

Where Snakemake itself was killed, its jobs wait or run on, and the next run
would send them once more: two copies would write the same files. Here such
jobs are found and cancelled. Imported whenever the workflow is read: standard
library only.
"""

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tessphot_lib.core.errors import ServiceError

SLURM_LOGS = ".snakemake/slurm_logs"  # where Snakemake's Slurm plugin puts them
CLUSTER_LOGS = "logs/cluster"  # where the profile cluster-generic puts them
INCOMPLETE = ".snakemake/incomplete"  # Snakemake's records of files that are being made
QUESTION = 120.0  # [s] how long a scheduler may take for an answer
POLL = 1.0  # [s] between questions


def cancel_slurm_jobs(folder: Path, *, patience: float = 180.0) -> list[str]:
    """Cancel the Slurm jobs that write their logs below a folder, and wait for their end.

    Parameters
    ----------
    folder : Path
        The folder of the run. Where nothing shows that Slurm has been used
        in it, Slurm is not asked.
    patience : float
        How long jobs may take to end [s].

    Returns
    -------
    list of str
        The numbers of the jobs, in order; empty where none was left.

    Raises
    ------
    ServiceError
        If Slurm does not answer, or a job has not ended in time.
    """
    folder = folder.resolve()
    was_used = any((folder / logs).is_dir() for logs in (SLURM_LOGS, CLUSTER_LOGS))
    if not was_used or shutil.which("squeue") is None:
        return []
    jobs = _slurm_jobs(folder)
    if jobs:
        _ask(["scancel", *jobs])
        _wait_for_none(lambda: _slurm_jobs(folder), patience)
    return jobs


def cancel_recorded_jobs(
    folder: Path, status_command: str | None, cancel_command: str | None, *, patience: float = 180.0
) -> list[str]:
    """Cancel the jobs that Snakemake has kept the numbers of, by the commands of a profile.

    Parameters
    ----------
    folder : Path
        The folder of the run.
    status_command, cancel_command : str or None
        Shell commands as for ``cluster-generic``: the one gets the number of
        a job and prints success, running or failed, the other one gets
        numbers of jobs. Where one of them is missing nothing can be done.
    patience : float
        How long jobs may take to end [s].

    Returns
    -------
    list of str
        The numbers of the jobs that were running or waiting, in order.

    Raises
    ------
    ServiceError
        If a command fails, or a job has not ended in time.
    """
    if not (status_command and cancel_command):
        return []

    def alive(numbers: list[str]) -> list[str]:
        ask = shlex.quote
        states = [_ask(f"{status_command} {ask(number)}").strip() for number in numbers]
        return [number for number, state in zip(numbers, states, strict=True) if state == "running"]

    jobs = alive(recorded_jobs(folder))
    if jobs:
        _ask(f"{cancel_command} {shlex.join(jobs)}")
        _wait_for_none(lambda: alive(jobs), patience)
    return jobs


def recorded_jobs(folder: Path) -> list[str]:
    """Numbers that a scheduler gave to jobs whose end Snakemake has not seen, in order."""
    found = set()
    for path in (folder / INCOMPLETE).rglob("*"):
        try:
            number = json.loads(path.read_text())["external_jobid"] if path.is_file() else None
        except (OSError, ValueError, TypeError, KeyError):
            continue  # another version of Snakemake, or written when it was killed
        if number:
            found.add(str(number))
    return sorted(found)


def _slurm_jobs(folder: Path) -> list[str]:
    """Jobs of this user that are not at their end, with their log below a folder."""
    said = _ask(["squeue", "--me", "--noheader", "--Format", "JobArrayID:40 ,STDOUT:4000"])
    jobs = []
    for line in said.splitlines():
        number, _, log = line.strip().partition(" ")
        if Path(log.strip()).is_relative_to(folder):
            jobs.append(number)
    return sorted(jobs)


def _wait_for_none(find: Callable[[], list[str]], patience: float) -> None:
    """Wait until there are no more jobs."""
    deadline = time.monotonic() + patience
    while left := find():
        if time.monotonic() > deadline:
            raise ServiceError(
                f"jobs of an earlier run are still there {patience:.0f} s after they were "
                f"cancelled: {', '.join(left)}; this run would write the same files"
            )
        time.sleep(POLL)


def _ask(command: list[str] | str) -> str:
    """Run a command of the scheduler, and return what it says."""
    try:
        return subprocess.run(
            command,
            shell=isinstance(command, str),
            capture_output=True,
            text=True,
            timeout=QUESTION,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or "").strip().splitlines()
        raise ServiceError(
            f"the scheduler cannot be asked for jobs of an earlier run: {error}"
            + (f" ({said[-1]})" if said else "")
        ) from error
