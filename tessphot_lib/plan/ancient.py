"""Which jobs run again: as if none depended on those that make its ``ancient()`` files.

Another image must re-run its own block only: hence ``ancient()`` around ``ffis.ecsv``. But
Snakemake (its issue 4166) does not look at jobs behind one that will run, even where nothing
but ancient files connects them: the block itself would be made by the next call only, from a
mixture of old and new files. And it runs all jobs behind an ancient file that is missing, as
it is after a job that was killed: all blocks of a CCD. ``tests/workflow/test_ancient.py`` fails
once Snakemake itself decides otherwise; then this can be removed.

Files that an earlier run has lost are made again by the same way, see `unfinished`.
"""

from collections.abc import Collection
from typing import Any


class WithoutAncient:
    """Which jobs depend on which, those left out that only ancient files connect."""

    def __init__(self, depending: Any) -> None:
        self.depending = depending

    def __getitem__(self, job: Any) -> dict[Any, Any]:
        return {
            after: files
            for after, files in self.depending[job].items()
            if not all(file.is_ancient for file in files)
        }


def look_behind_ancient(lost: Collection[str] = ()) -> None:
    """Make Snakemake decide as if jobs did not depend on those that make ancient files.

    Parameters
    ----------
    lost : collection of str
        Files that are made in any case.
    """
    import snakemake.workflow  # the plan can be imported without Snakemake

    snakemake.workflow.DAG = patient(snakemake.workflow.DAG, lost)


def patient(dag: Any, lost: Collection[str] = ()) -> Any:
    """Return a kind of Snakemake's ``DAG`` that does not look at ancient files as it decides."""

    class PatientDAG(dag):  # type: ignore[misc]
        depending: Any

        async def update_needrun(self, *args: Any, **kwargs: Any) -> Any:
            self.forcefiles.update(lost)
            every, self.depending = self.depending, WithoutAncient(self.depending)
            try:
                return await super().update_needrun(*args, **kwargs)
            finally:
                self.depending = every

        def wanted(self) -> list[str]:
            """Return the results that the jobs to come are going to make."""
            from snakemake.io import is_flagged

            files = (file for job in self.needrun_jobs() for file in job.output)
            return [str(file) for file in files if not is_flagged(file, "temp")]

    return PatientDAG
