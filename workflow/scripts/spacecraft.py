from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.spacecraft import run_spacecraft

log_to(snakemake.log[0])
run_spacecraft(
    [Path(table) for table in snakemake.input.ffi_tables],
    Path(snakemake.output[0]),
    int(snakemake.wildcards.sector),
    ephemeris=next(map(Path, snakemake.input.ephemeris), None),
)
