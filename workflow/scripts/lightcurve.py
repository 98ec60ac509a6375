from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.lightcurve import run_light_curve

log_to(snakemake.log[0])
run_light_curve(
    Path(snakemake.input.pixels),
    Path(snakemake.input.catalog),
    Path(snakemake.input.todo),
    Path(snakemake.input.prf),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    tic_id=int(snakemake.wildcards.tic_id),
    settings=snakemake.params.settings,
    output_settings=snakemake.params.output_settings,
    trends=Path(snakemake.input.trends) if snakemake.input.get("trends") else None,
)
