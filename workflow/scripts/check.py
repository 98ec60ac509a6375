from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.check import run_check

log_to(snakemake.log[0])
run_check(
    Path(snakemake.input.todo),
    Path(snakemake.output.summary),
    Path(snakemake.output.record),
    tic_ids=snakemake.params.tic_ids,
    not_measured=[Path(path) for path in snakemake.input.not_measured],
    ffi_tables=[Path(path) for path in snakemake.input.ffi_tables],
    pixels=[Path(path) for path in snakemake.input.pixels],
    prfs=[Path(path) for path in snakemake.input.prfs],
    list_checks=[Path(path) for path in snakemake.input.list_checks],
    config=snakemake.config,  # no param: what matters has made other steps run again
    began=Path(snakemake.params.began),
    ccds=snakemake.params.ccds,
    needs_stars=True,
)
