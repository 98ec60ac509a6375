from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.collect import run_collect

log_to(snakemake.log[0])
run_collect(
    [Path(todo) for todo in snakemake.input.todos],
    [Path(diagnostics) for diagnostics in snakemake.input.diagnostics],
    Path(snakemake.output.todo),
    trends=[Path(trends) for trends in snakemake.input.trends],
    cbvs=Path(snakemake.output.cbvs) if snakemake.output.get("cbvs") else None,
)
