from pathlib import Path

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.steps.targets import run_targets

log_to(snakemake.log[0])
run_targets(
    CcdFiles.of_inputs(snakemake.input),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    output=Path(snakemake.output[0]),
    tic_ids=snakemake.params.tic_ids,
    settings=PhotometrySettings.from_params(snakemake.params.settings),
    output_settings=OutputSettings.from_params(snakemake.params.output_settings),
)
