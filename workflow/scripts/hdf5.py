from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.steps.hdf5 import run_hdf5

log_to(snakemake.log[0])
run_hdf5(
    [Path(block) for block in snakemake.input.blocks],
    CcdId.from_string(snakemake.wildcards.ccd_id),
    average_image=Path(snakemake.input.average_image),
    foreign_light=Path(snakemake.input.foreign_light),
    jitter=Path(snakemake.input.jitter),
    catalog=Path(snakemake.input.catalog),
    spacecraft=Path(snakemake.input.spacecraft),
    output=Path(snakemake.output[0]),
    settings=PrepareSettings.from_params(snakemake.params.settings),
)
