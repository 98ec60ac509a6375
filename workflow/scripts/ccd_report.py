from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.steps.ccd_report import run_ccd_report

log_to(snakemake.log[0])
run_ccd_report(
    Path(snakemake.input.todo),
    Path(snakemake.output[0]),
    ccd_id=CcdId.from_string(snakemake.wildcards.ccd_id),
    n_stars=snakemake.params.n_stars,
    tic_ids=snakemake.params.tic_ids,
)
