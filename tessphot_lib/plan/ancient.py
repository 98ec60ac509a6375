"""Works around an open bug of Snakemake that leaves out jobs behind ``ancient()`` files.

Another image must re-run its own block only: hence ``ancient()`` around ``ffis.ecsv``. But
Snakemake (its issue 4166) does not look at jobs behind one that will run, even where nothing
but ancient files connects them: the block itself would be made by the next call only, from a
mixture of old and new files. ``tests/workflow/test_ancient.py`` fails once Snakemake looks at
them itself; then its version goes to `MENDED_IN`, and this can be removed with that minimum.
"""

import re
from typing import Any

MENDED_IN: tuple[int, ...] = (10,)  # 9.27.1 needs this; pyproject.toml allows no version 10


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


def is_needed(version: str) -> bool:
    """Return whether a version of Snakemake, such as 9.27.1, has the bug."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return numbers < MENDED_IN


def look_behind_ancient() -> None:
    """Make Snakemake look at jobs behind ancient files, if its version does not."""
    import snakemake.workflow  # the plan can be imported without Snakemake

    if is_needed(snakemake.__version__):
        snakemake.workflow.DAG = patient(snakemake.workflow.DAG)


def patient(dag: Any) -> Any:
    """Return a kind of Snakemake's ``DAG`` that only passes over jobs which will run for sure."""

    class PatientDAG(dag):  # type: ignore[misc]
        deciding = False

        async def update_needrun(self, *args: Any, **kwargs: Any) -> Any:
            self.deciding = True
            try:
                return await super().update_needrun(*args, **kwargs)
            finally:
                self.deciding = False

        def bfs(self, direction: Any, *jobs: Any, **options: Any) -> Any:
            if self.deciding and direction is self.depending:
                direction = WithoutAncient(direction)
            return super().bfs(direction, *jobs, **options)

    return PatientDAG
