from pathlib import Path

from tessphot_lib.logs import log_to
from tessphot_lib.model import CcdId
from tessphot_lib.stages.todo import run_todo

log_to(snakemake.log[0])
run_todo(
    Path(snakemake.input.pixels),
    Path(snakemake.input.catalog),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=snakemake.params.settings,
    photometry=snakemake.params.photometry,
)
