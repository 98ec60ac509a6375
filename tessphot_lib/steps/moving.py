"""Step: pixels of a CCD -> where asteroids and comets were in its images; and transients."""

import logging
from pathlib import Path

import pandas as pd

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import MovingSettings
from tessphot_lib.io.mission.object_ephemerides import read_object_ephemerides
from tessphot_lib.io.products.moving_ecsv import write_moving
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.star_checks_ecsv import read_unlisted
from tessphot_lib.io.products.transients_ecsv import no_transients, write_transients
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.photometry.detections import detect
from tessphot_lib.photometry.moving_objects import (
    find_moving,
    join_found_and_predicted,
    predict_moving,
)
from tessphot_lib.photometry.transients import find_transients

log = logging.getLogger(__name__)


def run_moving(
    pixels: Path,
    prf: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    catalog: Path,
    transients: Path,
    settings: MovingSettings,
    unlisted: Path | None = None,
    ephemerides: Path | None = None,
    skybot: Path | None = None,
) -> None:
    """Find moving objects and transients in the images, and predict objects of a table.

    Parameters
    ----------
    pixels, prf : Path
        ``pixels.hdf5``, ``prf.fits``.
    output : Path
        ``moving.ecsv``.
    catalog : Path
        ``catalog.sqlite``
    transients : Path
        Written, too: ``transients.ecsv``; without any if nothing is looked for.
    settings : MovingSettings
    unlisted : Path, optional
        ``unlisted.ecsv``: sources of the average image.
    ephemerides, skybot : Path, optional
        Positions of known objects, by the user and from SkyBoT; where both have an object, the
        user's count.

    Raises
    ------
    InputDataError
        If a table of ephemerides cannot be read.
    """
    inputs = [path for path in (pixels, prf, catalog, unlisted) if path is not None]
    model, appeared = read_prf(prf), no_transients()
    with PixelCube(pixels) as cube:
        found = detect(cube) if settings.find else None
        moving = None if found is None else find_moving(cube, found)
        tables = [path for path in (ephemerides, skybot) if path is not None]
        if tables:
            inputs += tables
            predicted = predict_moving(cube, _ephemerides(tables), model)
            moving = predicted if moving is None else join_found_and_predicted(moving, predicted)
        if found is not None and not ccd_id.has_stamps:  # their few pixels are full of a star
            known, sources = read_catalog(catalog)[0], read_unlisted(unlisted)
            appeared = find_transients(cube, found, moving, known, sources, model)
    log.info("%s: %d moving objects", ccd_id, moving["object"].nunique())
    made_by = provenance({"moving": settings.as_mapping()}, inputs)
    write_moving(output, moving, ccd_id, made_by)
    write_transients(transients, appeared, ccd_id, made_by)


def _ephemerides(paths: list[Path]) -> pd.DataFrame:
    """Read tables of ephemerides; the first one that has an object counts."""
    every = [read_object_ephemerides(path) for path in paths]
    known: set[str] = set()
    for number, table in enumerate(every):
        every[number] = table[~table["name"].isin(known)]
        known |= set(table["name"])
    return pd.concat(every, ignore_index=True)
