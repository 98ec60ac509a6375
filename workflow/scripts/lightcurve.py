from pathlib import Path

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.steps.lightcurve import run_light_curve

log_to(snakemake.log[0])
run_light_curve(
    CcdFiles.of_inputs(snakemake.input),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    output=Path(snakemake.output[0]),
    tic_id=int(snakemake.wildcards.tic_id),
    settings=PhotometrySettings.from_params(snakemake.params.settings),
    output_settings=OutputSettings.from_params(snakemake.params.output_settings),
)
