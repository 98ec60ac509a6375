from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.stamp_table import run_stamp_table

log_to(snakemake.log[0])
run_stamp_table(
    list(map(Path, snakemake.input.tpfs)),
    Path(snakemake.output.stamps),
    Path(snakemake.output.ffi_table),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    on_bad_image=snakemake.params.on_bad_image,
)
