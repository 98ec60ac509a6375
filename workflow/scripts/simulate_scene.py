from pathlib import Path

from tessphot_lib.logs import log_to
from tessphot_lib.model import CcdId, Window
from tessphot_lib.stages.simulate import run_simulate_scene

log_to(snakemake.log[0])
run_simulate_scene(
    CcdId.from_string(snakemake.wildcards.ccd_id),
    Path(snakemake.output.tic),
    Path(snakemake.output.truth),
    window=Window.from_config(snakemake.params.window),
    settings=snakemake.params.settings,
    faint_limit=snakemake.params.faint_limit,
)
