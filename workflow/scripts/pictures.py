from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.pictures import run_pictures

log_to(snakemake.log[0])
run_pictures(
    Path(snakemake.input[0]),
    [Path(path) for path in snakemake.output.averages],
    Path(snakemake.output.light_curve),
    ccd_ids=[CcdId.from_string(name) for name in snakemake.params.ccds],
)
