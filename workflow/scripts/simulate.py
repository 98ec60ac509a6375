from pathlib import Path

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.steps.simulate import run_simulate

log_to(snakemake.log[0])
where = snakemake.wildcards
run_simulate(
    CcdId(snakemake.params.sector, int(where.camera), int(where.ccd)),
    [Path(image) for image in snakemake.output.images],
    window=Window.from_config(snakemake.params.window),
    settings=SimulationSettings.from_params(snakemake.params.settings),
    faint_limit=snakemake.params.faint_limit,
)
