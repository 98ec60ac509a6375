from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch import run_fetch_headers

log_to(snakemake.log[0])
run_fetch_headers(
    Path(snakemake.input.ffi_list),
    Path(snakemake.output[0]),
    images=[Path(image) for image in snakemake.params.images],
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
