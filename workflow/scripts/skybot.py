from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.skybot import run_skybot

log_to(snakemake.log[0])
run_skybot(
    Path(snakemake.input.ffi_table),
    Path(snakemake.input.catalog),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
)
