from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import CatalogSettings
from tessphot_lib.steps.catalog import run_catalog

log_to(snakemake.log[0])
run_catalog(
    Path(snakemake.input.ffi_table),
    Path(snakemake.input.tic),
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=CatalogSettings.from_params(snakemake.params.settings),
    window=Window.from_config(snakemake.params.window),
    cutouts=Path(snakemake.input.cutouts[0]) if snakemake.input.cutouts else None,
)
