from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.steps.fetch_tpfs import run_fetch_tpfs

log_to(snakemake.log[0])
run_fetch_tpfs(
    Path(snakemake.output[0]),
    folder=Path(snakemake.params.folder).expanduser(),
    tic_ids=snakemake.params.tpfs["targets"],
    cadences=snakemake.params.tpfs["cadences"],
    sectors=snakemake.params.sectors,
    settings=MastSettings.from_params(snakemake.config["input"]["mast"]),
)
