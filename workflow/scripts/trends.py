from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.trends import run_trends

log_to(snakemake.log[0])
run_trends(
    Path(snakemake.input.pixels),
    Path(snakemake.input.catalog),
    Path(snakemake.input.todo),
    Path(snakemake.input.prf),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=snakemake.params.settings,
)
