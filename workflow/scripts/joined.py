from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.joined import run_joined

log_to(snakemake.log[0])
run_joined(
    Path(snakemake.input.todo),
    Path(snakemake.output[0]),
    tic_ids=snakemake.params.tic_ids,
    origin=snakemake.params.origin,
)
