from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.targets import run_targets

log_to(snakemake.log[0])
run_targets(
    Path(snakemake.input.pixels),
    Path(snakemake.input.catalog),
    Path(snakemake.input.todo),
    Path(snakemake.input.prf),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    tic_ids=snakemake.params.tic_ids,
    settings=snakemake.params.settings,
    output_settings=snakemake.params.output_settings,
    trends=Path(snakemake.input.trends) if snakemake.input.get("trends") else None,
)
