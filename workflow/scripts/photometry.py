from pathlib import Path

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.steps.photometry import run_photometry

log_to(snakemake.log[0])
run_photometry(
    CcdFiles.of_inputs(snakemake.input),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    light_curves=Path(snakemake.output.light_curves),
    diagnostics=Path(snakemake.output.diagnostics),
    tile=snakemake.wildcards.tile,
    settings=PhotometrySettings.from_params(snakemake.params.settings),
    output_settings=OutputSettings.from_params(snakemake.params.output_settings),
    threads=snakemake.threads,
)
