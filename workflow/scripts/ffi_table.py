from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.ffi_table import run_ffi_table

log_to(snakemake.log[0])
run_ffi_table(
    [Path(image) for image in snakemake.params.images],
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    on_bad_image=snakemake.params.on_bad_image,
    window=Window(*snakemake.params.window),
    headers=[Path(headers) for headers in snakemake.input.headers],
    tpfs=[Path(tpf) for tpf in snakemake.input.tpfs],
)
