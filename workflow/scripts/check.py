from pathlib import Path

from tessphot_lib.logs import log_to
from tessphot_lib.stages.check import run_check

log_to(snakemake.log[0])
run_check(
    Path(snakemake.input.todo),
    Path(snakemake.output[0]),
    tic_ids=snakemake.params.tic_ids,
    not_measured=[Path(path) for path in snakemake.input.not_measured],
)
