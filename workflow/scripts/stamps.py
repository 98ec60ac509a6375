from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.steps.stamps import run_stamps

log_to(snakemake.log[0])
run_stamps(
    Path(snakemake.input.stamp_table),
    Path(snakemake.input.ffi_table),
    Path(snakemake.input.catalog),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=PrepareSettings.from_params(snakemake.params.settings),
    on_bad_image=snakemake.params.on_bad_image,
)
