from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.cutout_table import run_cutout_table

log_to(snakemake.log[0])
run_cutout_table(
    [Path(cutout) for cutout in snakemake.input.cutouts],
    Path(snakemake.output.cutouts),
    Path(snakemake.output.ffi_table),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    on_bad_image=snakemake.params.on_bad_image,
)
