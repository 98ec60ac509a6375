"""Step: a few stars of a CCD -> their light curves, the same as from their tiles."""

import logging
from pathlib import Path

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.products.diagnostics_ecsv import DIAGNOSTICS_NAME, write_diagnostics_table
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.photometry.measure import count_statuses, measure_stars
from tessphot_lib.photometry.targets import star_list

log = logging.getLogger(__name__)


def run_targets(
    files: CcdFiles,
    ccd_id: CcdId,
    *,
    output: Path,
    tic_ids: list[int],
    settings: PhotometrySettings,
    output_settings: OutputSettings,
) -> None:
    """Measure those of the stars that are on the list of this CCD.

    ``output`` is a folder: the light curves, and ``diagnostics.ecsv`` with a
    row for each; without rows where none of the stars lies on the CCD.
    """
    stars = read_todo(files.todo, tic_ids=tic_ids)
    log.info("%s: %d of %d stars are on the list", ccd_id, len(stars), len(tic_ids))
    with PixelCube(files.pixels) as cube, complete_folder(output) as folder:
        table = measure_stars(
            cube,
            star_list(stars, files),
            None,
            settings=settings,
            output_settings=output_settings,
            trends=files.trends,
            path_of=lambda name, _: folder / name,
        )
        table["lightcurve"] = [
            None if name is None else f"{output.name}/{name}" for name in table["lightcurve"]
        ]
        made_by = provenance(
            {"photometry": settings.as_mapping(), "output": output_settings.as_mapping()},
            files.paths(),
        )
        write_diagnostics_table(folder / DIAGNOSTICS_NAME, table, ccd_id, attributes=made_by)
    log.info("%s: %s", ccd_id, count_statuses(table))
