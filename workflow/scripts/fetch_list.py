from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch import run_fetch_list

log_to(snakemake.log[0])
run_fetch_list(
    [Path(script) for script in snakemake.input.scripts],
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
