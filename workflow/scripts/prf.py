from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PrfSettings
from tessphot_lib.steps.prf import run_prf

log_to(snakemake.log[0])
of_images = snakemake.input.get("of_images")
run_prf(
    Path(snakemake.input.pixels),
    Path(snakemake.input.catalog),
    Path(snakemake.output.prf),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    list_check=Path(snakemake.output.list_check),
    unlisted=Path(snakemake.output.unlisted),
    of_images=Path(str(of_images)) if of_images else None,
    settings=PrfSettings.from_params(snakemake.params.settings),
)
