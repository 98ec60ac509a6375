from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.steps.average_image import run_average_image

log_to(snakemake.log[0])
run_average_image(
    [Path(block) for block in snakemake.input.blocks],
    Path(snakemake.input.catalog),
    Path(snakemake.input.jitter),
    Path(snakemake.output.average_image),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    foreign_light=Path(snakemake.output.foreign_light),
    settings=PrepareSettings.from_params(snakemake.params.settings),
)
