"""Where a CCD looks, before there is an image of it: from the pointings that tesswcs knows."""

import importlib
import logging
from typing import TYPE_CHECKING

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId

if TYPE_CHECKING:
    from astropy.wcs import WCS


def pointing_wcs(ccd_id: CcdId) -> "WCS":
    """Return the WCS of a CCD, measured for sectors past and predicted for those to come.

    Its pixels are those of the full image, as in the header of an image. Good
    to a pixel or so for past sectors, to some for those to come.

    Raises
    ------
    ConfigError
        If the package tesswcs is not installed or does not know the sector.
    """
    try:
        tesswcs = importlib.import_module("tesswcs")
    except ImportError as error:
        raise ConfigError(
            "catalog.footprint: 'pointing' needs the package tesswcs, which is not installed: "
            "pip install '.[pointings]'"
        ) from error
    logging.getLogger("tesswcs").setLevel(logging.ERROR)  # says that it predicts
    try:
        return tesswcs.WCS.from_sector(ccd_id.sector, ccd_id.camera, ccd_id.ccd)
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"catalog.footprint: tesswcs {tesswcs.__version__} does not know the pointing of "
            f"sector {ccd_id.sector}: {error}"
        ) from error
