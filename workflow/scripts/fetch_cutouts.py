from pathlib import Path

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch_cutouts import run_fetch_cutouts

log_to(snakemake.log[0])
run_fetch_cutouts(
    Path(snakemake.output[0]),
    folder=Path(snakemake.params.folder).expanduser(),
    targets=snakemake.params.targets,
    size=snakemake.params.size,
    asked=AskedCcds.from_config(snakemake.params.asked),
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
