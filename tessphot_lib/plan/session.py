"""Start and end of a run, in Snakemake's main process: before the first and after the last job."""

import time
from collections.abc import Iterable
from pathlib import Path

from tessphot_lib.io.files.atomic import remove_partials
from tessphot_lib.plan.cluster_jobs import cancel_recorded_jobs, cancel_slurm_jobs
from tessphot_lib.plan.dates import refuse_future
from tessphot_lib.plan.run import SUMMARY, Plan
from tessphot_lib.plan.unfinished import forget_made, note_wanted

BEGAN = Path(".snakemake/tessphot/began")  # when each run started [s since 1970], a line each
LOGS = Path("logs")
RESULTS = Path("results")
DEPTH = 3  # [folders] below results/ in which jobs write files under temporary names
MOST_ERRORS = 10  # that are said again
STOPPED = "on user request"  # what Snakemake's log says of Ctrl-C


class Session:
    """One run of a plan, in the current folder.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.started = time.time()

    def begin(
        self,
        status_command: str | None,
        cancel_command: str | None,
        wanted: Iterable[str] = (),
    ) -> list[str]:
        """Make ready for the first job.

        Jobs that a killed run has left on a cluster are cancelled, since they
        would write the same files; what was found is kept for the processes of
        jobs; what killed jobs have left half written is removed.

        Parameters
        ----------
        status_command, cancel_command : str or None
            As for `cancel_recorded_jobs`.
        wanted : iterable of str
            What the jobs are going to make.

        Returns
        -------
        list of str
            What the user should know, a line each.

        Raises
        ------
        InputDataError
            If input files are dated in the future.
        ServiceError
            If jobs that are left cannot be cancelled.
        """
        refuse_future(self.plan.input_files())
        BEGAN.parent.mkdir(parents=True, exist_ok=True)
        with BEGAN.open("a", encoding="utf-8") as file:
            file.write(f"{self.started:.3f}\n")
        jobs = cancel_slurm_jobs(Path())
        jobs += cancel_recorded_jobs(Path(), status_command, cancel_command)
        note_wanted(path for path in wanted if RESULTS in Path(path).parents)
        self.plan.keep_listings()
        self.plan.source.protect_images(self.plan.image_ccds)
        remove_partials(RESULTS, DEPTH)
        return [f"cancelled, left on the cluster by an earlier run: {', '.join(jobs)}"] * bool(jobs)

    def end(self) -> list[str]:
        """Clean up after a run without failed jobs; return what to say at the end."""
        forget_made()
        remove_partials(RESULTS, DEPTH)
        if self.plan.lists_to_fetch:
            return ["Now the images are known: the same command again does the rest."]
        return [Path(SUMMARY).read_text().rstrip()] if Path(SUMMARY).exists() else []

    def fail(self, run_logs: Iterable[str] = ()) -> list[str]:
        """Return again what went wrong: the lines scroll away under Snakemake's own.

        Parameters
        ----------
        run_logs : iterable of str, optional
            Snakemake's own logs of the run, which say whether the user has stopped it.
        """
        own = [path for path in map(Path, run_logs) if path.exists()]
        if any(STOPPED in path.read_text(errors="replace") for path in own):
            return ["Interrupted. The same command goes on from there."]
        logs = [path for path in LOGS.rglob("*.log") if path.stat().st_mtime > self.started]
        lines = [line for path in logs for line in path.read_text(errors="replace").splitlines()]
        errors = dict.fromkeys(line.split(" error: ", 1)[1] for line in lines if " error: " in line)
        return [
            *(f"error: {error}" for error in list(errors)[:MOST_ERRORS]),
            f"Something failed: see above, and the log of each job under {LOGS.resolve()}. "
            "Once mended, the same command goes on from there.",
        ]
