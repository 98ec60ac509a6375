from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch import run_fetch

log_to(snakemake.log[0])
run_fetch(
    Path(snakemake.input.ffi_list),
    [Path(image) for image in snakemake.output.images],
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
