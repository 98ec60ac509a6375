"""Step: pixels of a CCD -> where asteroids and comets were in its images."""

import logging
from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import MovingSettings
from tessphot_lib.io.mission.object_ephemerides import read_object_ephemerides
from tessphot_lib.io.products.moving_ecsv import write_moving
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.photometry.moving_objects import (
    find_moving,
    join_found_and_predicted,
    predict_moving,
)

log = logging.getLogger(__name__)


def run_moving(
    pixels: Path,
    prf: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: MovingSettings,
    ephemerides: Path | None = None,
) -> None:
    """Find moving objects in the images, and predict those of a table.

    Parameters
    ----------
    pixels, prf : Path
        ``pixels.hdf5``, ``prf.fits``.
    output : Path
        ``moving.ecsv``.
    settings : MovingSettings
    ephemerides : Path, optional
        Positions of known objects.

    Raises
    ------
    InputDataError
        If the table of ephemerides cannot be read.
    """
    inputs = [pixels, prf]
    with PixelCube(pixels) as cube:
        moving = find_moving(cube) if settings.find else None
        if ephemerides is not None:
            inputs.append(ephemerides)
            predicted = predict_moving(cube, read_object_ephemerides(ephemerides), read_prf(prf))
            moving = predicted if moving is None else join_found_and_predicted(moving, predicted)
    log.info("%s: %d moving objects", ccd_id, moving["object"].nunique())
    made_by = provenance({"moving": settings.as_mapping()}, inputs)
    write_moving(output, moving, ccd_id, made_by)
