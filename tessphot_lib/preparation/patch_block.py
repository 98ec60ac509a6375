"""Writing the pixels of stamps, of whatever kind, to the block of a CCD."""

from pathlib import Path
from typing import Any

import numpy as np

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.patches import Patches
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.products.block_hdf5 import write_block
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.preparation.patch_cubes import PatchCubes


def write_patch_block(
    kind: type[PatchCubes],
    stamp_table: Path,
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: PrepareSettings,
    **more: Any,
) -> PatchCubes:
    """Join stamps to one block of all their images.

    Parameters
    ----------
    kind : subclass of PatchCubes
        How the stamps are read and measured.
    stamp_table, ffi_table, catalog : Path
        ``cutouts.ecsv``, ``ffis.ecsv``, ``catalog.sqlite``.
    output : Path
        The block.
    ccd_id : CcdId
    settings : PrepareSettings
        ``bad_quality``, ``compression_error``, ``average`` and ``motion`` of them.
    **more
        Further arguments of ``kind``.

    Returns
    -------
    PatchCubes
        As they are once all is written.

    Raises
    ------
    InputDataError
        If a stamp or a table cannot be read.
    """
    stamps = read_cutout_table(stamp_table)
    table = read_ffi_table(ffi_table)
    stars, _ = read_catalog(catalog)
    quality = np.asarray(table["quality"], dtype=np.int64)
    cubes = kind(
        ccd_id=ccd_id,
        cutouts=stamps,
        patches=Patches.of([stamp["window"] for stamp in stamps]),
        table=table,
        is_good=quality & settings.bad_quality == 0,
        stars=stars,
        compression_error=float(settings.compression_error),
        max_background=settings.average.max_background,
        motion=settings.motion,
        **more,
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
        patches=cubes.patch_arrays(),
    )
    return cubes
