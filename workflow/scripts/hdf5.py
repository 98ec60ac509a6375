from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.hdf5 import run_hdf5

log_to(snakemake.log[0])
run_hdf5(
    [Path(block) for block in snakemake.input.blocks],
    Path(snakemake.input.average_image),
    Path(snakemake.input.jitter),
    Path(snakemake.input.catalog),
    Path(snakemake.input.spacecraft),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=snakemake.params.settings,
)
