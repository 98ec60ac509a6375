from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import log_to
from tessphot_lib.core.settings import MovingSettings
from tessphot_lib.steps.moving import run_moving

log_to(snakemake.log[0])
ephemerides = snakemake.input.get("ephemerides")
skybot = snakemake.input.get("skybot")
run_moving(
    Path(snakemake.input.pixels),
    Path(snakemake.input.prf),
    Path(snakemake.output.moving),
    CcdId.from_string(snakemake.wildcards.ccd_id),
    catalog=Path(snakemake.input.catalog),
    transients=Path(snakemake.output.transients),
    settings=MovingSettings.from_params(snakemake.params.settings),
    unlisted=Path(snakemake.input.unlisted),
    ephemerides=Path(str(ephemerides)) if ephemerides else None,
    skybot=Path(str(skybot)) if skybot else None,
)
