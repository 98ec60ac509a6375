from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.photometry import run_photometry

log_to(snakemake.log[0])
run_photometry(
    Path(snakemake.input.pixels),
    Path(snakemake.input.catalog),
    Path(snakemake.input.todo),
    Path(snakemake.input.prf),
    Path(snakemake.output.light_curves),
    Path(snakemake.output.diagnostics),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    tile=snakemake.wildcards.tile,
    settings=snakemake.params.settings,
    output_settings=snakemake.params.output_settings,
    trends=Path(snakemake.input.trends) if snakemake.input.get("trends") else None,
    threads=snakemake.threads,
)
