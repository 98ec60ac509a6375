"""Step: TIC file and the WCS of the reference image -> catalog of a CCD."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.time import Time
from astropy.wcs import WCS

from tessphot_lib.constants import PIXEL_SCALE, SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.errors import InputDataError
from tessphot_lib.io.catalog_sqlite import write_catalog
from tessphot_lib.io.ffi import (
    ffi_wcs,
    julian_date,
    pixel_to_sky,
    read_ffi_header,
    sky_to_pixel,
    wcs_header,
)
from tessphot_lib.io.ffi_table import reference_image
from tessphot_lib.io.tic import read_tic
from tessphot_lib.model import CcdId, Window

log = logging.getLogger(__name__)

CATALOG_EPOCH = 2000.0  # [year] of the positions in the TIC
MAS_PER_DEGREE = 3.6e6
# Science pixel (row, column) of a CCD that the camera's axis falls beside, to about 10 px
# (TESS_FACTS). RA_NOM and DEC_NOM of real headers are the spacecraft's axis, 18-54 deg away.
CAMERA_CENTRE = {1: (2097.0, 2105.0), 2: (2099.0, -59.0), 3: (2097.0, 2105.0), 4: (2099.0, -59.0)}
# Keywords that describe all images of a CCD, kept for the headers of its light curves.
IMAGE_KEYWORDS = (
    *("DATA_REL", "SIMDATA", "PROCVER", "CRMITEN", "CRBLKSZ", "CRSPOC", "BACKAPP", "DEADC"),
    *("INT_TIME", "READTIME", "FRAMETIM", "NUM_FRM", "NREADOUT"),
    *(f"{key}{output}" for key in ("GAIN", "READNOI") for output in "ABCD"),
)


def run_catalog(
    ffi_table: Path,
    tic: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: Mapping[str, Any],
    window: Window,
) -> None:
    """Find the stars on and around a CCD, at the epoch of the sector.

    Parameters
    ----------
    ffi_table : Path
        ``ffis.ecsv``, for the reference image.
    tic : Path
        Stars with MAST's TIC column names.
    output : Path
        ``catalog.sqlite``.
    settings : mapping
        Section ``catalog`` of the configuration: ``buffer`` [deg], ``faint_limit`` [mag].
    window : Window
        Science pixels that are used; stars are kept on it and in the buffer around it.

    Raises
    ------
    InputDataError
        If there is no star on the window.
    """
    reference = reference_image(ffi_table)
    header = read_ffi_header(reference, ccd_id)
    wcs = ffi_wcs(header)
    time = 0.5 * (float(header["TSTART"]) + float(header["TSTOP"]))
    epoch = float(Time(julian_date(time), format="jd", scale="tdb").jyear)
    stars = read_tic(tic)
    n_read, n_phantoms = len(stars), stars.attrs.get("n_phantoms", 0)
    stars = stars[~(stars["tmag"] > float(settings["faint_limit"])) & stars["tmag"].notna()].copy()
    stars["ra"], stars["dec"] = at_epoch(stars, epoch)
    stars["row"], stars["column"] = sky_to_pixel(
        wcs, stars["ra"].to_numpy(), stars["dec"].to_numpy()
    )
    margin = float(settings["buffer"]) * 3600.0 / PIXEL_SCALE
    near = (
        (stars["row"] >= window.row0 - margin)
        & (stars["row"] < window.row1 + margin)
        & (stars["column"] >= window.column0 - margin)
        & (stars["column"] < window.column1 + margin)
    )
    stars = stars[near].sort_values("tic_id", ignore_index=True)
    n_inside = int(window.contains(stars["row"].to_numpy(), stars["column"].to_numpy()).sum())
    log.info(
        "%s: %d of %d stars of %s are kept (%d phantoms dropped), %d lie on its pixels",
        ccd_id,
        len(stars),
        n_read,
        tic,
        n_phantoms,
        n_inside,
    )
    if n_inside == 0:
        raise InputDataError(
            f"{tic}: none of its {n_read} stars brighter than catalog.faint_limit "
            f"{settings['faint_limit']} lies on {ccd_id}, window {window.as_list()}"
        )
    write_catalog(output, stars, _describe(ccd_id, header, wcs, reference, time, epoch, settings))


def at_epoch(stars: pd.DataFrame, epoch: float) -> tuple[np.ndarray, np.ndarray]:
    """Move positions by their proper motions; unknown proper motions count as zero.

    The motion goes along a great circle with the direction and speed at epoch
    2000, so that it is right at the poles, too.

    Returns
    -------
    ra, dec : (n,) float64 arrays
        At ``epoch`` [deg].
    """
    ra, dec = np.radians(stars["ra_j2000"].to_numpy()), np.radians(stars["dec_j2000"].to_numpy())
    years = epoch - CATALOG_EPOCH
    east, north = (
        np.radians(np.nan_to_num(stars[name].to_numpy(dtype=float)) * years / MAS_PER_DEGREE)
        for name in ("pm_ra", "pm_dec")
    )
    zero = np.zeros_like(ra)
    radial = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    to_east = np.stack([-np.sin(ra), np.cos(ra), zero])
    to_north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    moved = radial + east * to_east + north * to_north
    new_ra = np.degrees(np.arctan2(moved[1], moved[0])) % 360.0
    new_dec = np.degrees(np.arctan2(moved[2], np.hypot(moved[0], moved[1])))
    return new_ra, new_dec


def _describe(
    ccd_id: CcdId,
    header: Any,
    wcs: WCS,
    reference: Path,
    time: float,
    epoch: float,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The settings row of the catalog."""
    last_row, last_column = SCIENCE_ROWS - 0.5, SCIENCE_COLUMNS - 0.5
    corners = pixel_to_sky(
        wcs,
        np.array([-0.5, -0.5, last_row, last_row]),
        np.array([-0.5, last_column, last_column, -0.5]),
    )
    centre_ra, centre_dec = pixel_to_sky(
        wcs, np.array([SCIENCE_ROWS / 2 - 0.5]), np.array([SCIENCE_COLUMNS / 2 - 0.5])
    )
    camera_row, camera_column = CAMERA_CENTRE[ccd_id.ccd]
    camera_ra, camera_dec = pixel_to_sky(wcs, np.array([camera_row]), np.array([camera_column]))
    corner_texts = (f"({ra:.8f},{dec:.8f})" for ra, dec in zip(*corners, strict=True))
    image_header = {
        key: header[key]
        for key in IMAGE_KEYWORDS
        if key in header and isinstance(header[key], str | int | float | bool)
    }
    return {
        "sector": ccd_id.sector,
        "camera": ccd_id.camera,
        "ccd": ccd_id.ccd,
        "ticver": "8.2",
        "reference_time": julian_date(time),
        "epoch": epoch,
        "coord_buffer": float(settings["buffer"]),
        "camera_centre_ra": float(camera_ra[0]),
        "camera_centre_dec": float(camera_dec[0]),
        "footprint": f"({','.join(corner_texts)})",
        "wcs": wcs_header(header).tostring(sep="\n", endcard=False, padding=False),
        "reference_image": reference.name,
        "centre_ra": float(centre_ra[0]),
        "centre_dec": float(centre_dec[0]),
        "image_header": json.dumps(image_header),
    }
