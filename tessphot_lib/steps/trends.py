"""Step: bright quiet stars of a CCD -> the trends that they have in common."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.io.products.todo_tables import Status
from tessphot_lib.io.products.trends_hdf5 import ARRAYS, write_trends
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.lightcurves.trends import find_trends
from tessphot_lib.motion.star_positions import select_motion_stars
from tessphot_lib.photometry.aperture import measure_apertures
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.choice import warnings_of
from tessphot_lib.photometry.products import StarFrame, quality_of
from tessphot_lib.photometry.targets import star_list

log = logging.getLogger(__name__)

BRIGHT_LIMIT, FAINT_LIMIT = 7.5, 11.5  # [Tmag] not saturated, and little noise


def run_trends(
    files: CcdFiles,
    ccd_id: CcdId,
    *,
    output: Path,
    settings: PhotometrySettings,
) -> None:
    """Measure bright isolated stars spread over the CCD, and find what they have in common.

    Parameters
    ----------
    files : CcdFiles
        Of the CCD.
    output : Path
        ``trends.hdf5``
    settings : PhotometrySettings
        ``aperture`` and ``correction`` of them.
    """
    correction = settings.correction
    with PixelCube(files.pixels) as cube:
        stars = trend_stars(cube, files, correction.n_stars)
        targets = star_list(stars, files)
        # The usual size of the errors is enough to tell which stars are quiet.
        fluxes = measure_apertures(cube, targets, None, settings, with_stated=False)
        frame = StarFrame.of(cube, targets.stars)
        found = find_trends(
            cube.time,
            fluxes.flux,
            fluxes.flux_err,
            quality_of(cube, targets, fluxes) == 0,
            frame.moved_row,
            frame.moved_column,
            tic_id=targets.stars["tic_id"].to_numpy(),
            row=targets.stars["row"].to_numpy(dtype=float),
            column=targets.stars["column"].to_numpy(dtype=float),
            max_trends=correction.max_basis_vectors,
        )
        write_trends(
            output,
            ccd_id,
            {name: getattr(found, name) for name in ARRAYS},
            cadenceno=cube.cadenceno,
            time=cube.time,
            cadence_seconds=float(cube.attributes["cadence_seconds"]),
            remark=found.remark,
            attributes=provenance({"correction": correction.as_mapping()}, files.paths()),
        )
    log.info(
        "%s: %d trends in common of %d quiet stars among %d%s",
        ccd_id,
        found.n_trends,
        len(found.tic_id),
        len(targets),
        f" ({found.remark})" if found.remark else "",
    )


def trend_stars(cube: PixelCube, files: CcdFiles, n_stars: int) -> pd.DataFrame:
    """Choose bright isolated stars of the todo list whose aperture is whole, spread evenly."""
    catalog, _ = read_catalog(files.catalog)
    known = StarChecks.of(files).believed(catalog)
    known = known[known["row"].notna()]
    chosen = select_motion_stars(
        *(known[name].to_numpy(dtype=float) for name in ("row", "column", "tmag")),
        cube.window,
        n_stars=n_stars,
        bright_limit=BRIGHT_LIMIT,
        faint_limit=FAINT_LIMIT,
    )
    stars = read_todo(files.todo, tic_ids=known["tic_id"].to_numpy()[chosen].tolist())
    stars = stars[(stars["status"] != int(Status.SKIPPED)).fillna(True).to_numpy(dtype=bool)]
    apertures = read_apertures(files.todo, stars["priority"].tolist())
    is_whole = [
        warnings_of(apertures[priority], method) is None
        for priority, method in zip(stars["priority"], stars["method"], strict=True)
    ]
    return stars[np.array(is_whole, dtype=bool)].reset_index(drop=True)
