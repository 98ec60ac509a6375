"""All steps over a few cutouts, one function call each, for test_pipeline_cutouts*."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from pipeline_run import by_tic_id

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import (
    CatalogSettings,
    CorrectionSettings,
    OutputSettings,
    PhotometrySettings,
    PrepareSettings,
    PrfSettings,
    TodoSettings,
)
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.io.images.cutout_files import find_cutouts
from tessphot_lib.steps.average_image import run_average_image
from tessphot_lib.steps.catalog import run_catalog
from tessphot_lib.steps.cutout_table import run_cutout_table
from tessphot_lib.steps.cutouts import run_cutouts
from tessphot_lib.steps.hdf5 import run_hdf5
from tessphot_lib.steps.jitter import run_jitter
from tessphot_lib.steps.photometry import run_photometry
from tessphot_lib.steps.prf import run_prf
from tessphot_lib.steps.spacecraft import run_spacecraft
from tessphot_lib.steps.todo import run_todo

CCD = CcdId(14, 3, 4)
WINDOW = Window(1744, 1840, 204, 316)
PREPARE, PHOTOMETRY = PrepareSettings(), PhotometrySettings(tiles=[1, 1])
SIMULATION = SimulationSettings(
    **{"seed": 9, "n_images": 30, "gap_after": 20, "gap_days": 0.1},
    **{"scattered_every": 30, "scattered_images": 8, "reflection_level": 0},
    **{f"{kind}_every": 0 for kind in ("dump", "coarse", "zero", "nan", "failed_wcs")},
)
FAINT_LIMIT = 14.5


def catalog(home, tic, cutouts, ccd_id=CCD):
    settings = CatalogSettings(buffer=0.2, faint_limit=18.0)
    window = WINDOW if cutouts is None else Window()
    output = home / "catalog.sqlite"
    run_catalog(
        home / "ffis.ecsv", tic, output, ccd_id, settings=settings, window=window, cutouts=cutouts
    )


def finish(home, blocks, cutouts=None, faint_limit=FAINT_LIMIT, ccd_id=CCD, of_images=None):
    """The steps that images and cutouts share."""
    stars = home / "catalog.sqlite"
    average, jitter, path = (home / name for name in ("a.fits", "jitter.ecsv", "spacecraft.ecsv"))
    run_jitter(blocks, jitter, ccd_id, settings=PREPARE)
    foreign = {"foreign_light": home / "foreign_light.hdf5"}
    run_average_image(blocks, stars, jitter, average, ccd_id, **foreign, settings=PREPARE)
    run_spacecraft([home / "ffis.ecsv"], path, ccd_id.sector, ephemeris=None)
    pixels = home / "pixels.hdf5"
    run_hdf5(
        blocks,
        ccd_id,
        average_image=average,
        jitter=jitter,
        **foreign,
        catalog=stars,
        spacecraft=path,
        output=pixels,
        settings=PREPARE,
    )
    checks = {name: home / f"{name}.ecsv" for name in ("list_check", "unlisted")}
    prf = home / "prf.fits"
    settings = PrfSettings()
    run_prf(pixels, stars, prf, ccd_id, **checks, settings=settings, of_images=of_images)
    run_todo(
        ccd_id,
        pixels=pixels,
        catalog=stars,
        prf=home / "prf.fits",
        **checks,
        output=home / "todo.sqlite",
        settings=TodoSettings(faint_limit=faint_limit),
        photometry=PHOTOMETRY,
        cutouts=cutouts,
        not_measured=None if cutouts is None else home / "not_measured.ecsv",
    )
    run_photometry(
        CcdFiles.in_folder(home),
        ccd_id,
        light_curves=home / "lightcurves" / "r0c0",
        diagnostics=home / "r0c0.ecsv",
        tile="r0c0",
        settings=replace(PHOTOMETRY, correction=CorrectionSettings(method="motion")),
        output_settings=OutputSettings(),
        threads=1,
    )


def run_cut(home, folder, tic, faint_limit=FAINT_LIMIT, ccd_id=CCD):
    """All steps over the cutouts in a folder."""
    paths = [Path(found.path) for found in find_cutouts(folder)[ccd_id]]
    table, ffis = home / "cutouts.ecsv", home / "ffis.ecsv"
    run_cutout_table(paths, table, ffis, ccd_id, on_bad_image="error")
    catalog(home, tic, table, ccd_id)
    blocks = [home / "blocks" / "cutouts.hdf5"]
    stars = home / "catalog.sqlite"
    run_cutouts(table, ffis, stars, blocks[0], ccd_id, settings=PREPARE)
    finish(home, blocks, table, faint_limit, ccd_id)
    return home


def light_curves(home):
    """By TIC number: the table, good, and TESSMAG, as plain arrays."""
    result = {}
    for tic_id, path in by_tic_id(home / "lightcurves").items():
        with fits.open(path) as hdus:
            table = {name: np.array(hdus[1].data[name]) for name in hdus[1].data.names}
            aperture = np.array(hdus["APERTURE"].data)
            result[tic_id] = table | {"aperture": aperture}
            result[tic_id]["tmag"] = hdus[0].header["TESSMAG"]
            result[tic_id]["time_error"] = float(hdus[0].header["TIMEERR"])
    return result


def inside(todo, window, margin):
    """Stars of a todo list that lie well inside a window."""
    row0, row1, column0, column1 = window
    return todo[
        todo["row"].between(row0 + margin, row1 - 1 - margin)
        & todo["column"].between(column0 + margin, column1 - 1 - margin)
    ]
