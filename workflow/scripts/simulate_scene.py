from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.steps.simulate_scene import run_simulate_scene

log_to(snakemake.log[0])
run_simulate_scene(
    CcdId.from_string(snakemake.wildcards.ccd_id),
    Path(snakemake.output.tic),
    Path(snakemake.output.truth),
    window=Window.from_config(snakemake.params.window),
    settings=SimulationSettings.from_params(snakemake.params.settings),
    faint_limit=snakemake.params.faint_limit,
)
