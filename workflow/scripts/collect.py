from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.collect import run_collect

log_to(snakemake.log[0])
run_collect(
    [Path(todo) for todo in snakemake.input.todos],
    [Path(diagnostics) for diagnostics in snakemake.input.diagnostics],
    Path(snakemake.output[0]),
)
