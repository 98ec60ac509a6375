"""Step: the cutouts of a CCD -> its pixel cube, backgrounds and star positions.

What `backgrounds` is for full-frame images.
"""

import logging
from dataclasses import replace
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
from tessphot_lib.preparation.cutout_cubes import CutoutCubes

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
    cutouts = read_cutout_table(cutout_table)
    table = read_ffi_table(ffi_table)
    stars, _ = read_catalog(catalog)
    quality = np.asarray(table["quality"], dtype=np.int64)
    cubes = CutoutCubes(
        ccd_id=ccd_id,
        cutouts=cutouts,
        patches=Patches.of([cutout["window"] for cutout in cutouts]),
        table=table,
        is_good=quality & settings.bad_quality == 0,
        stars=stars,
        compression_error=float(settings.compression_error),
        max_background=settings.average.max_background,
        motion=settings.motion,
    )
    write_block(
        output,
        cubes,
        ccd_id,
        images=cubes.images,
        flux_sum=cubes.flux_sum,
        flux_count=cubes.flux_count,
        motion_stars=cubes.motion_stars,
        attributes=provenance(settings.as_mapping(), [cutout_table, ffi_table, catalog]),
        patches=replace(cubes.patches, straps=cubes.straps).arrays(),
    )
    log.info(
        "%s: %d cutouts, %d patches, %d images",
        ccd_id,
        len(cutouts),
        len(cubes.patches.windows),
        cubes.n_images,
    )
