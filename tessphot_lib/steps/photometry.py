"""Step: a tile of a CCD -> the light curves and diagnostics of its stars."""

import logging
from pathlib import Path

from threadpoolctl import threadpool_limits

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.core.tiles import tile_window
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.products.diagnostics_ecsv import write_diagnostics_table
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.photometry.measure import count_statuses, measure_stars
from tessphot_lib.photometry.regions import MARGIN
from tessphot_lib.photometry.targets import star_list

log = logging.getLogger(__name__)


def run_photometry(
    files: CcdFiles,
    ccd_id: CcdId,
    *,
    light_curves: Path,
    diagnostics: Path,
    tile: str,
    settings: PhotometrySettings,
    output_settings: OutputSettings,
    threads: int,
) -> None:
    """Measure all stars of a tile.

    Parameters
    ----------
    files : CcdFiles
        Of the CCD; ``trends`` as in `measure_stars`.
    light_curves : Path
        Folder for the FITS files, made again; empty for a tile without stars.
    diagnostics : Path
        Table with one row per star.
    tile : str
        As ``r3c5``.
    settings : PhotometrySettings
    output_settings : OutputSettings
        ``version`` and ``origin`` of them.
    threads : int
        Of the linear algebra.
    """
    stars = read_todo(files.todo, tile=tile)
    window = tile_window(tile, settings.tiles)
    with (
        threadpool_limits(threads),
        PixelCube(files.pixels, near=window.widened(MARGIN)) as cube,
        complete_folder(light_curves) as folder,
    ):
        table = measure_stars(
            cube,
            star_list(stars, files),
            window,
            settings=settings,
            output_settings=output_settings,
            trends=files.trends,
            path_of=lambda name, _: folder / name,
        )
    table["lightcurve"] = [
        None if name is None else f"{light_curves.parent.name}/{light_curves.name}/{name}"
        for name in table["lightcurve"]
    ]
    made_by = provenance(
        {"photometry": settings.as_mapping(), "output": output_settings.as_mapping()},
        files.paths(),
    )
    write_diagnostics_table(diagnostics, table, ccd_id, attributes=made_by)
    log.info("%s tile %s: %s", ccd_id, tile, count_statuses(table))
