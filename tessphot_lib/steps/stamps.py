"""Step: target pixel files of a CCD -> their pixels, backgrounds and star positions.

What `backgrounds` is for full-frame images, and `cutouts` for cutouts.
"""

import logging
from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.preparation.patch_block import write_patch_block
from tessphot_lib.preparation.stamp_cubes import StampCubes

log = logging.getLogger(__name__)


def run_stamps(
    stamp_table: Path,
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: PrepareSettings,
    on_bad_image: str,
) -> None:
    """Join the target pixel files of a CCD to one block of all their cadences.

    Parameters
    ----------
    stamp_table, ffi_table, catalog : Path
        ``cutouts.ecsv``, ``ffis.ecsv``, ``catalog.sqlite``.
    output : Path
        The block.
    ccd_id : CcdId
        With the cadence.
    settings : PrepareSettings
        ``bad_quality``, ``compression_error``, ``average`` and ``motion`` of them.
    on_bad_image : {'error', 'skip'}
        What to do with a file that turns out to be damaged.

    Raises
    ------
    InputDataError
        If a file cannot be read to its end, or holds NaN only, and is not to be skipped.
    """
    files = stamp_table, ffi_table, catalog
    cubes = write_patch_block(
        StampCubes, *files, output, ccd_id, settings=settings, on_bad_image=on_bad_image
    )
    log.info(
        "%s: %d target pixel files, %d patches, %d cadences",
        *(ccd_id, len(cubes.cutouts), len(cubes.patches.windows), cubes.n_images),
    )
