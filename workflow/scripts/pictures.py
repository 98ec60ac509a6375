from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.pictures import run_pictures

log_to(snakemake.log[0])
run_pictures(
    Path(snakemake.input[0]),
    Path(snakemake.output.average),
    Path(snakemake.output.light_curve),
)
