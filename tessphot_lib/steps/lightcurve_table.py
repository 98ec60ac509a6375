"""Step: the light curves of a CCD -> one table of them, in Parquet."""

import logging
from collections.abc import Sequence
from pathlib import Path

from tessphot_lib.io.products.lightcurves_parquet import write_lightcurves_parquet

log = logging.getLogger(__name__)


def run_lightcurve_table(folders: Sequence[Path], output: Path) -> None:
    """Write one table of all light curves of a CCD.

    Parameters
    ----------
    folders : sequence of Path
        With the light curves of a tile, or of the listed stars; each is a row group,
        or several with many cadences.
    output : Path
        ``lightcurves.parquet``

    Raises
    ------
    ConfigError
        If pyarrow is not installed.
    InputDataError
        If a light curve cannot be read.
    """
    groups = (sorted(folder.glob("*_lc.fits.gz")) for folder in folders)
    log.info("%d stars", write_lightcurves_parquet(output, groups))
