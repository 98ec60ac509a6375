from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import CatalogSettings
from tessphot_lib.steps.tic import run_tic

log_to(snakemake.log[0])
ffi_table = snakemake.input.get("ffi_table")  # not there if the pointing tells the footprint
cutouts = snakemake.input.get("cutouts")
run_tic(
    Path(ffi_table) if ffi_table else None,
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=CatalogSettings.from_params(
        snakemake.params.settings | {"cache": snakemake.config["catalog"]["cache"]}
    ),
    window=Window.from_config(snakemake.params.window),
    cutouts=Path(cutouts) if cutouts else None,
)
