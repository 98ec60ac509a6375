from pathlib import Path

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.steps.trends import run_trends

log_to(snakemake.log[0])
run_trends(
    CcdFiles.of_inputs(snakemake.input),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    output=Path(snakemake.output[0]),
    settings=PhotometrySettings.from_params(snakemake.params.settings),
)
