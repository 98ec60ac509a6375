from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import OutputSettings
from tessphot_lib.steps.moving_photometry import run_moving_photometry

log_to(snakemake.log[0])
run_moving_photometry(
    Path(snakemake.input.pixels),
    Path(snakemake.input.prf),
    Path(snakemake.input.moving),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    output_settings=OutputSettings.from_params(snakemake.params.output_settings),
)
