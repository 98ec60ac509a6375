from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.steps.backgrounds import run_backgrounds

log_to(snakemake.log[0])
run_backgrounds(
    [Path(image) for image in snakemake.input.images],
    Path(snakemake.input.ffi_table),
    Path(snakemake.input.catalog),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    window=Window.from_config(snakemake.params.window),
    settings=PrepareSettings.from_params(snakemake.params.settings),
    on_bad_image=snakemake.params.on_bad_image,
)
