"""Step: TIC file and the WCS of the reference image -> catalog of a CCD."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.footprint import Footprint, grid_of
from tessphot_lib.catalog.proper_motion import CATALOG_EPOCH, at_epoch
from tessphot_lib.catalog.sky_grid import SkyCell
from tessphot_lib.core.clock import julian_date
from tessphot_lib.core.constants import PIXEL_SCALE_DEG, SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import CatalogSettings
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky, sky_to_pixel, wcs_header
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.images.ffi_table import plain_keywords, reference_header
from tessphot_lib.io.stars.catalog_sqlite import write_catalog
from tessphot_lib.io.stars.tic import TIC_VERSION, read_tic, read_tic_region

if TYPE_CHECKING:
    from astropy.wcs import WCS

log = logging.getLogger(__name__)

CHUNK_STARS = 200_000  # whose positions are computed at once
ROUNDING = 1e-5  # [deg] 0.04 arcsec; the inverse of a WCS is no better
WIDER = 1.2  # a circle on the sky than PIXEL_SCALE says: no pixel is outside of it
# Science pixel (row, column) of a CCD that the camera's axis falls beside, to about 10 px.
# RA_NOM and DEC_NOM of real headers are the spacecraft's axis, 18-54 deg away.
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
    settings: CatalogSettings,
    window: Window,
    cutouts: Path | None = None,
) -> None:
    """Find the stars on and around a CCD, at the epoch of the sector.

    Parameters
    ----------
    ffi_table : Path
        ``ffis.ecsv``, for the reference image.
    tic : Path
        Stars with the TIC's column names, of MAST or VizieR.
    output : Path
        ``catalog.sqlite``.
    settings : CatalogSettings
        ``buffer`` and ``faint_limit`` of them.
    window : Window
        Science pixels that are used; stars are kept on it, and around it as far
        away on the sky as ``buffer``.
    cutouts : Path, optional
        ``cutouts.ecsv``: a star is placed by the WCS of the nearest cutout.

    Raises
    ------
    InputDataError
        If there is no star on the window, or the list was downloaded for
        another piece of the sky.
    """
    from astropy.time import Time

    header, reference = reference_header(ffi_table, ccd_id)
    footprint = Footprint(ffi_wcs(header), window)
    patches = read_cutout_table(cutouts) if cutouts is not None else []
    buffer, faint_limit = float(settings.buffer), float(settings.faint_limit)
    seen = [Footprint.of_cutout(cutout) for cutout in patches] or [footprint]
    _check_region(tic, seen, buffer, ccd_id)
    time = 0.5 * (float(header["TSTART"]) + float(header["TSTOP"]))
    epoch = float(Time(julian_date(time), format="jd", scale="tdb").jyear)
    stars = _at_j2000(read_tic(tic, faint_limit))
    counts, n_bright = stars.attrs, len(stars)
    stars.attrs = {}
    stars = pd.concat(
        [
            _near(stars[first : first + CHUNK_STARS], footprint, epoch, buffer, patches)
            for first in range(0, max(n_bright, 1), CHUNK_STARS)
        ]
    ).sort_values("tic_id", ignore_index=True)
    n_inside = int(window.contains(stars["row"].to_numpy(), stars["column"].to_numpy()).sum())
    log.info(
        "%s: %d rows in %s: %d phantoms, %d repeated, %d without Tmag, %d fainter than %g; of "
        "the other %d stars %d lie on the pixels and %d more within %g deg around them",
        ccd_id,
        counts["n_rows"],
        tic,
        counts["n_phantoms"],
        counts["n_repeated"],
        counts["n_without_tmag"],
        counts["n_faint"],
        faint_limit,
        n_bright,
        n_inside,
        len(stars) - n_inside,
        buffer,
    )
    if not counts["marks_phantoms"]:
        log.warning("%s: no column disposition, so that duplicates in the TIC count as stars", tic)
    if n_inside == 0:
        raise InputDataError(
            f"{tic}: none of its {counted(n_bright, 'star')} brighter than catalog.faint_limit "
            f"{settings.faint_limit} lies on {ccd_id}, window {window.as_list()}"
        )
    about = _describe(ccd_id, header, footprint.wcs, reference, time, epoch, buffer)
    made_by = provenance(
        {"catalog": settings.as_mapping(), "window": window.as_list()}, [ffi_table, tic]
    )
    write_catalog(output, stars, about, info=made_by)


def _at_j2000(stars: pd.DataFrame) -> pd.DataFrame:
    """Take positions that the list has of another epoch, as Gaia's, back to that of the TIC."""
    start = stars.pop("ref_epoch").fillna(CATALOG_EPOCH).to_numpy()
    other = np.flatnonzero(start != CATALOG_EPOCH)
    if other.size:
        ra, dec = at_epoch(stars.iloc[other], CATALOG_EPOCH, start[other])
        stars.loc[stars.index[other], ["ra_j2000", "dec_j2000"]] = np.stack([ra, dec], axis=1)
        log.info("positions of %d stars are of other epochs than 2000, by ref_epoch", other.size)
    return stars


def _near(
    stars: pd.DataFrame, footprint: Footprint, epoch: float, buffer: float, patches: list[dict]
) -> pd.DataFrame:
    """Keep the stars that are on the window or around it at the epoch, with their positions."""
    ra, dec = at_epoch(stars, epoch)
    row, column = sky_to_pixel(footprint.wcs, ra, dec)
    near = footprint.distance(ra, dec, row, column) <= buffer + ROUNDING
    stars = stars.assign(ra=ra, dec=dec, row=row, column=column)
    if patches:
        _place_by_cutouts(stars, patches)
        near |= footprint.window.contains(stars["row"].to_numpy(), stars["column"].to_numpy())
    return stars[near]


def _check_region(tic: Path, seen: list[Footprint], buffer: float, ccd_id: CcdId) -> None:
    """Raise InputDataError if a downloaded list of stars does not hold all this piece of sky."""
    region = read_tic_region(tic)
    if region is None:
        return
    ra, dec = grid_of(seen, buffer)
    covered = np.zeros(ra.shape, dtype=bool)
    for limits in region:
        covered |= SkyCell(*limits.tolist()).contains(ra, dec)
    if not covered.all():
        raise InputDataError(
            f"{tic}: made for another piece of the sky than {ccd_id} sees, with its buffer of "
            f"{buffer} deg: delete the file, and it is made again"
        )


def _place_by_cutouts(stars: pd.DataFrame, cutouts: list[dict]) -> None:
    """Set row and column of stars on or beside a cutout by its own WCS, the nearest one's."""
    ra, dec = (stars[name].to_numpy(dtype=float) for name in ("ra", "dec"))
    row, column = (stars[name].to_numpy(dtype=float).copy() for name in ("row", "column"))
    nearest = np.full(len(stars), np.inf)
    for cutout, around in zip(cutouts, _stars_around(ra, dec, cutouts), strict=True):
        window = cutout["window"]
        x, y = cutout["wcs"].all_world2pix(ra[around], dec[around], 0)
        n_rows, n_columns = window.shape
        outside = np.hypot(
            np.maximum(np.abs(y - (n_rows - 1) / 2) - n_rows / 2, 0),
            np.maximum(np.abs(x - (n_columns - 1) / 2) - n_columns / 2, 0),
        )
        closer = outside < np.minimum(nearest[around], n_rows + n_columns)
        index = around[closer]
        row[index], column[index] = y[closer] + window.row0, x[closer] + window.column0
        nearest[index] = outside[closer]
    stars["row"], stars["column"] = row, column


def _stars_around(ra: NDArray, dec: NDArray, cutouts: list[dict]) -> list[NDArray]:
    """Indices of the stars in a circle around each cutout, as far as stars are placed by it.

    Whatever is farther away than the sum of its sides is placed by another WCS. A tree of
    the stars makes the cost that of the stars found, not that of all stars for each cutout.
    """
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    tree = scipy.spatial.cKDTree(unit_vector(ra[known], dec[known]))
    around = []
    for cutout in cutouts:
        n_rows, n_columns = cutout["window"].shape
        middle = cutout["wcs"].all_pix2world((n_columns - 1) / 2, (n_rows - 1) / 2, 0)
        radius = np.radians(WIDER * PIXEL_SCALE_DEG * 1.5 * (n_rows + n_columns))
        found = tree.query_ball_point(unit_vector(*middle), 2 * np.sin(min(radius, np.pi) / 2))
        around.append(known[np.sort(np.array(found, dtype=int))])
    return around


def _describe(
    ccd_id: CcdId,
    header: Any,
    wcs: "WCS",
    reference: str,
    time: float,
    epoch: float,
    buffer: float,
) -> dict[str, Any]:
    """The settings row of the catalog."""
    centre_ra, centre_dec = pixel_to_sky(
        wcs, np.array([SCIENCE_ROWS / 2 - 0.5]), np.array([SCIENCE_COLUMNS / 2 - 0.5])
    )
    camera_row, camera_column = CAMERA_CENTRE[ccd_id.ccd]
    camera_ra, camera_dec = pixel_to_sky(wcs, np.array([camera_row]), np.array([camera_column]))
    corners = zip(*Footprint(wcs, Window()).corners(), strict=True)
    # Rounded before it is wrapped: right ascensions are less than 360 as texts, too.
    corner_texts = (f"({round(ra, 8) % 360.0:.8f},{dec:.8f})" for ra, dec in corners)
    image_header = plain_keywords(header, IMAGE_KEYWORDS)
    return {
        "sector": ccd_id.sector,
        "camera": ccd_id.camera,
        "ccd": ccd_id.ccd,
        "ticver": TIC_VERSION,
        "reference_time": julian_date(time),
        "epoch": epoch,
        "coord_buffer": buffer,
        "camera_centre_ra": float(camera_ra[0]),
        "camera_centre_dec": float(camera_dec[0]),
        "footprint": f"({','.join(corner_texts)})",
        "wcs": wcs_header(header).tostring(sep="\n", endcard=False, padding=False),
        "reference_image": reference,
        "centre_ra": float(centre_ra[0]),
        "centre_dec": float(centre_dec[0]),
        "image_header": json.dumps(image_header),
    }
