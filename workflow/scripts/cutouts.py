from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.steps.cutouts import run_cutouts

log_to(snakemake.log[0])
run_cutouts(
    Path(snakemake.input.cutout_table),
    Path(snakemake.input.ffi_table),
    Path(snakemake.input.catalog),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=PrepareSettings.from_params(snakemake.params.settings),
)
