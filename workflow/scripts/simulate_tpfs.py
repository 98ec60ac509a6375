from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.steps.simulate_tpfs import run_simulate_tpfs

log_to(snakemake.log[0])
run_simulate_tpfs(
    CcdId.from_string(snakemake.wildcards.ccd_id),
    Path(snakemake.output[0]),
    window=Window(*snakemake.params.window),
    settings=SimulationSettings.from_params(snakemake.params.settings),
    faint_limit=float(snakemake.params.faint_limit),
)
