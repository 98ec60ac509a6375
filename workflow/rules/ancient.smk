# Another image must re-run its block only: hence ancient() around ffis.ecsv. But Snakemake
# (seen with 9.27, its issue 4166, open) does not look at jobs behind one that will run, even
# where nothing but ancient() files connects them: the block itself would be made by the next
# call only, from a mixture of old and new files. This lets it look; to be removed with the bug.
from snakemake.dag import DAG


class WithoutAncient:
    """Who depends on whom, ancient() files left out."""

    def __init__(self, depending):
        self.depending = depending

    def __getitem__(self, job):
        return {
            after: files
            for after, files in self.depending[job].items()
            if not all(file.is_ancient for file in files)
        }


class PatientDAG(DAG):
    """A DAG that only passes over jobs which will run for sure."""

    deciding = False

    async def update_needrun(self, *args, **kwargs):
        self.deciding = True
        try:
            return await super().update_needrun(*args, **kwargs)
        finally:
            self.deciding = False

    def bfs(self, direction, *jobs, **options):
        if self.deciding and direction is self.depending:
            direction = WithoutAncient(direction)
        return super().bfs(direction, *jobs, **options)


sys.modules["snakemake.workflow"].DAG = PatientDAG
