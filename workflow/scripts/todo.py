from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PhotometrySettings, TodoSettings
from tessphot_lib.steps.todo import run_todo

log_to(snakemake.log[0])
transients = snakemake.input.get("transients")
not_measured = snakemake.output.get("not_measured")
run_todo(
    CcdId.from_string(snakemake.wildcards.ccd_id),
    pixels=Path(snakemake.input.pixels),
    catalog=Path(snakemake.input.catalog),
    prf=Path(snakemake.input.prf),
    output=Path(snakemake.output.todo),
    settings=TodoSettings.from_params(snakemake.params.settings),
    photometry=PhotometrySettings.from_params(snakemake.params.photometry),
    list_check=Path(snakemake.input.list_check),
    unlisted=Path(snakemake.input.unlisted),
    transients=Path(str(transients)) if transients else None,
    cutouts=Path(str(snakemake.input.cutouts)) if not_measured else None,
    not_measured=Path(not_measured) if not_measured else None,
)
