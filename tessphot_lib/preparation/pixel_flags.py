"""The flags of all pixels of a CCD: those of the blocks, and foreign light."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.bins import Bins
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.products.block_hdf5 import read_flags
from tessphot_lib.io.products.foreign_light_hdf5 import read_foreign_bins
from tessphot_lib.preparation.changes import bands, unpacked

FOREIGN = np.uint8(PixelFlag.BACKGROUND_ANOMALY)


def pixel_flags(
    blocks: list[Path],
    lengths: list[int],
    grid: BackgroundGrid,
    foreign_light: Path,
    pointing: Pointing,
) -> Iterator[tuple[slice, Window, NDArray]]:
    """Give the flags of all images, block after block and band after band of rows, or patch.

    Parameters
    ----------
    blocks : list of Path
    lengths : list of int
        Number of images of each.
    grid : BackgroundGrid
        What the backgrounds are of.
    foreign_light : Path
    pointing : Pointing
        Where the images point.

    Yields
    ------
    cadences : slice
    region : Window
        As wide as the CCD's, or a patch.
    flags : (n_cadences, n_rows, n_columns) uint8 array
    """
    window = grid.window
    bins = Bins.over(window)
    first = 0
    for block, length in zip(blocks, lengths, strict=True):
        cadences = slice(first, first + length)
        first += length
        foreign = read_foreign_bins(foreign_light, cadences)
        for region in bands(window) if grid.is_continuous else grid.windows:
            flags = read_flags(block, region.slices_in(window), whole=pointing.whole[cadences])
            if foreign.size:
                lit = unpacked(foreign[:, bins.rows_in(region)], bins)
                for index in np.flatnonzero(lit.any(axis=(1, 2))):
                    flags[index] |= FOREIGN * Bins.over(region).spread(lit[index])
            yield cadences, region, flags
