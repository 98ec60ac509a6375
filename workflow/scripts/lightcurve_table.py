from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.lightcurve_table import run_lightcurve_table

log_to(snakemake.log[0])
run_lightcurve_table([Path(path) for path in snakemake.input], Path(snakemake.output[0]))
