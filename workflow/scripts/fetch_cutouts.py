from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch_cutouts import run_fetch_cutouts

log_to(snakemake.log[0])
run_fetch_cutouts(
    Path(snakemake.output[0]),
    folder=Path(snakemake.params.folder).expanduser(),
    targets=snakemake.params.targets,
    size=snakemake.params.size,
    ccd_ids=[CcdId.from_string(ccd_id) for ccd_id in snakemake.params.ccd_ids],
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
