"""Step: sums of the blocks of a CCD -> its average image."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tessphot_lib.average import average_image
from tessphot_lib.config import BackgroundSettings
from tessphot_lib.errors import InputDataError
from tessphot_lib.io.average_fits import write_average_image
from tessphot_lib.io.block_hdf5 import read_identity, read_images, read_sums
from tessphot_lib.io.catalog_sqlite import read_catalog_settings
from tessphot_lib.model import CcdId
from tessphot_lib.provenance import provenance
from tessphot_lib.stages.grid import block_grid

log = logging.getLogger(__name__)


def run_average_image(
    blocks: list[Path], catalog: Path, output: Path, ccd_id: CcdId, *, settings: Mapping[str, Any]
) -> None:
    """Average the good images of all blocks of a CCD.

    Raises
    ------
    InputDataError
        If none of the images is good.
    """
    window = read_identity(blocks[0])["window"]
    box_size = BackgroundSettings.from_mapping(settings["background"]).box_size
    grid = block_grid(blocks[0], window, box_size)
    tables = [read_images(block) for block in blocks]
    averaged = np.concatenate([table["is_averaged"] for table in tables]).astype(bool)
    if not averaged.any():
        raise InputDataError(
            f"{ccd_id}: all {averaged.size} images are flagged or brighter than "
            "prepare.average.max_background, none is left for the average image"
        )
    backgrounds = np.concatenate([table["background"] for table in tables])[averaged]
    average, count = average_image((read_sums(block) for block in blocks), backgrounds, grid)
    log.info("%s: averaged %d of %d images", ccd_id, averaged.sum(), averaged.size)
    write_average_image(
        output,
        average,
        count,
        window,
        ccd_id,
        wcs=str(read_catalog_settings(catalog)["wcs"]),
        n_images=int(averaged.sum()),
        attributes=provenance(settings),
    )
