"""Step: target pixel files of a CCD -> their pixels, backgrounds and star positions.

What `backgrounds` is for full-frame images, and `cutouts` for cutouts.
"""

import logging
from pathlib import Path

import numpy as np

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.patches import Patches
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.products.block_hdf5 import write_block
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
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
    stamps = read_cutout_table(stamp_table)
    table = read_ffi_table(ffi_table)
    stars, _ = read_catalog(catalog)
    quality = np.asarray(table["quality"], dtype=np.int64)
    cubes = StampCubes(
        ccd_id=ccd_id,
        cutouts=stamps,
        patches=Patches.of([stamp["window"] for stamp in stamps]),
        table=table,
        is_good=quality & settings.bad_quality == 0,
        stars=stars,
        compression_error=float(settings.compression_error),
        max_background=settings.average.max_background,
        motion=settings.motion,
        on_bad_image=on_bad_image,
    )
    write_block(
        output,
        cubes,
        ccd_id,
        images=cubes.images,
        flux_sum=cubes.flux_sum,
        flux_count=cubes.flux_count,
        motion_stars=cubes.motion_stars,
        attributes=provenance(settings.as_mapping(), [stamp_table, ffi_table, catalog]),
        patches=cubes.patches.arrays(),
    )
    log.info(
        "%s: %d target pixel files, %d patches, %d cadences",
        *(ccd_id, len(stamps), len(cubes.patches.windows), cubes.n_images),
    )
