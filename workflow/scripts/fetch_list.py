from pathlib import Path

from tessphot_lib.logs import log_to
from tessphot_lib.model import CcdId
from tessphot_lib.stages.fetch import run_fetch_list

log_to(snakemake.log[0])
run_fetch_list(
    [Path(script) for script in snakemake.input.scripts],
    Path(snakemake.output[0]),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    settings=snakemake.config["input"]["mast"],
)
