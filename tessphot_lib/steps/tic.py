"""Step: footprint of a CCD -> stars of the TESS Input Catalog on and around it, downloaded."""

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.catalog.footprint import GRID_STEP, Footprint, Surroundings, grid_of
from tessphot_lib.catalog.sky_grid import SkyCell, cells_at
from tessphot_lib.core.errors import InputDataError, ServiceError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import CatalogSettings
from tessphot_lib.core.wcs import ffi_wcs
from tessphot_lib.io.archives.tic_service import TITLES, Cone, Patience, StarService, TooMuchError
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.images.ffi_table import read_ffi_table, reference_header
from tessphot_lib.io.mission.pointings import pointing_wcs
from tessphot_lib.io.stars.tic import TIC_VERSION, read_tic_rows, write_tic

log = logging.getLogger(__name__)

FAST_MOVERS = 0.1  # [deg] how far a star may have gone since 2000: 10.4 arcsec/yr for 34 years
POINTING_MARGIN = 0.1  # [deg] 17 pixels: how far off a pointing may be
CELL_MARGIN = 3.0 * GRID_STEP  # [deg] so that a cell is found of which only a tip is needed
SMALLEST_CELL = 0.05  # [deg]
CACHE_VARIABLE = "XDG_CACHE_HOME"


def run_tic(
    ffi_table: Path | None,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: CatalogSettings,
    window: Window,
    patience: Patience | None = None,
    cutouts: Path | None = None,
) -> None:
    """Download the stars on and around a CCD, cell by cell of a fixed grid on the sky.

    Each cell is kept in a cache: an interrupted download goes on where it was,
    and other sectors and CCDs that see the same sky need no download.

    Parameters
    ----------
    ffi_table : Path or None
        ``ffis.ecsv``, for the reference image; None: the footprint is taken
        from the pointing of the sector.
    output : Path
        A FITS file, to be read by `tessphot_lib.io.stars.tic.read_tic`.
    settings : CatalogSettings
        ``source`` (``mast`` or ``vizier``), ``buffer``, ``faint_limit`` and ``cache`` of them.
    window : Window
        Science pixels that are used.
    cutouts : Path, optional
        ``cutouts.ecsv``: only the stars on and around the cutouts are wanted.

    Raises
    ------
    ServiceError
        If the service does not answer.
    """
    margin = float(settings.buffer) + FAST_MOVERS
    if ffi_table is None:
        footprints = [Footprint(pointing_wcs(ccd_id), window)]
        margin += POINTING_MARGIN
        origin = "pointing"
    elif cutouts is None:
        header, origin = reference_header(ffi_table, ccd_id)
        footprints = [Footprint(ffi_wcs(header), window)]
    else:
        read_ffi_table(ffi_table)  # which says whether the cutouts can be used
        footprints = [Footprint.of_cutout(cutout) for cutout in read_cutout_table(cutouts)]
        origin = cutouts.name
    cells = cells_at(*grid_of(footprints, margin + CELL_MARGIN))
    surroundings = Surroundings(footprints, margin)
    faint_limit = float(settings.faint_limit)
    stock = CellStock(
        StarService(settings.source, patience),
        faint_limit,
        cache_folder(settings.cache) / f"tic{TIC_VERSION}-{settings.source}",
    )
    parts = []
    for number, cell in enumerate(cells, start=1):
        stars = stock.stars(cell)
        near = stars[surroundings.contain(stars["ra"].to_numpy(), stars["dec"].to_numpy())]
        # A million texts that are nearly all the same need not be a million objects.
        parts.append(near.astype({"objType": "category", "disposition": "category"}))
        log.info("cell %d of %d: %d stars, %d are near", number, len(cells), len(stars), len(near))
    cards = [
        ("ORIGIN", TITLES[settings.source], "who the stars are from"),
        ("TICVER", TIC_VERSION, "version of the TESS Input Catalog"),
        ("CCD_ID", str(ccd_id), "sector, camera and CCD"),
        ("FAINT", faint_limit, "[mag] fainter stars (Tmag) are not in the list"),
        ("MARGIN", margin, "[deg] how far around the CCD the list goes"),
        ("IMAGE", origin, "whose WCS tells where the CCD is"),
    ]
    region = np.array([[c.dec_low, c.dec_high, c.ra_low, c.ra_high] for c in cells])
    write_tic(output, parts, cards, region)
    log.info("%s: %d stars", ccd_id, sum(len(part) for part in parts))


class CellStock:
    """The stars of cells, from the cache or else from the service."""

    def __init__(self, service: StarService, faint_limit: float, folder: Path) -> None:
        self.service = service
        self.faint_limit = faint_limit
        self.folder = folder

    def stars(self, cell: SkyCell) -> pd.DataFrame:
        """Return all stars inside a cell; one with too many is fetched in quarters."""
        path = self._path(cell, "fits")
        if path.exists():
            try:
                return read_tic_rows(path)
            except InputDataError as error:
                log.warning("fetched again: %s", error)
        cut_mark = self._path(cell, "cut")
        if not cut_mark.exists():
            try:
                return self._fetch(cell, path)
            except TooMuchError as error:
                if cell.dec_high - cell.dec_low < SMALLEST_CELL:
                    raise ServiceError(f"{Cone(*cell.cone())}: {error}") from error
                log.info("%s: %s, to be fetched in quarters", Cone(*cell.cone()), error)
            with complete_file(cut_mark) as partial:
                partial.touch()
        return pd.concat([self.stars(part) for part in cell.quarters()], ignore_index=True)

    def _fetch(self, cell: SkyCell, path: Path) -> pd.DataFrame:
        cone = Cone(*cell.cone())
        stars = self.service.stars(cone, self.faint_limit)
        inside = cell.contains(stars["ra"].to_numpy(), stars["dec"].to_numpy())
        stars = stars[inside].sort_values("ID", ignore_index=True)
        cards = [
            ("ORIGIN", TITLES[self.service.source], "who the stars are from"),
            ("CONE", str(cone), "what was asked for"),
            ("FAINT", self.faint_limit, "[mag] down to this Tmag"),
        ]
        region = np.array([[cell.dec_low, cell.dec_high, cell.ra_low, cell.ra_high]])
        write_tic(path, [stars], cards, region)
        return stars

    def _path(self, cell: SkyCell, suffix: str) -> Path:
        """Name of a file that says all that was asked for."""
        limits = (
            f"dec{cell.dec_low:+.4f}{cell.dec_high:+.4f}_ra{cell.ra_low:.5f}-{cell.ra_high:.5f}"
        )
        return self.folder / f"tmag{self.faint_limit}" / f"{limits}.{suffix}"


def cache_folder(named: str | None) -> Path:
    """Return ``catalog.cache``, else the folder of this program in the user's cache folder."""
    if named:
        return Path(named).expanduser()
    above = os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache"
    return Path(above) / "tessphot"
