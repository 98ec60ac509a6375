from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch import run_fetch_script

log_to(snakemake.log[0])
run_fetch_script(
    Path(snakemake.output[0]),
    sector=int(snakemake.wildcards.sector),
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
