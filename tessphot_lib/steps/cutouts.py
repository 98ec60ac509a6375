"""Step: the cutouts of a CCD -> its pixel cube, backgrounds and star positions.

What `backgrounds` is for full-frame images.
"""

import logging
from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.preparation.cutout_cubes import CutoutCubes
from tessphot_lib.preparation.patch_block import write_patch_block

log = logging.getLogger(__name__)


def run_cutouts(
    cutout_table: Path,
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: PrepareSettings,
) -> None:
    """Join the cutouts of a CCD to one block of all their images.

    Parameters
    ----------
    cutout_table, ffi_table, catalog : Path
        ``cutouts.ecsv``, ``ffis.ecsv``, ``catalog.sqlite``.
    output : Path
        The block.
    settings : PrepareSettings
        ``bad_quality``, ``compression_error``, ``average`` and ``motion`` of them.
    """
    files = cutout_table, ffi_table, catalog
    cubes = write_patch_block(CutoutCubes, *files, output, ccd_id, settings=settings)
    log.info(
        "%s: %d cutouts, %d patches, %d images",
        *(ccd_id, len(cubes.cutouts), len(cubes.patches.windows), cubes.n_images),
    )
