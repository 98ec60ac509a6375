from pathlib import Path

from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.report import run_report

log_to(snakemake.log[0])
run_report(
    Path(snakemake.input.todo),
    Path(snakemake.input.record),
    Path(snakemake.output.index),
    Path(snakemake.output.assets),
    benchmarks=Path("benchmarks"),
)
