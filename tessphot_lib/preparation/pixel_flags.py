"""The flags of all pixels of a CCD: those of the blocks, and reflections under stars.

Blocks are made before the average image is known; reflections in them are
looked at again here, in the images and regions where there was one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement_in
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.block_hdf5 import read_flags, read_flux
from tessphot_lib.quality.reflections import MARGIN, anomaly_limit, extend_anomalies

BAND_ROWS = 128  # of a block at once
ANOMALY = np.uint8(PixelFlag.BACKGROUND_ANOMALY)


@dataclass(frozen=True)
class KnownLight:
    """What an image of the CCD is made of, reflections excepted.

    Attributes
    ----------
    grid : BackgroundGrid
        Its ``window`` is that of all arrays here.
    backgrounds : (n_images, ...) array
        Models of the images.
    average : (n_rows, n_columns) array
        Average image [e-/s]; NaN: unknown.
    motion : (n_images, 6) array
        Against the average image; NaN counts as none.
    limit : float
        ``prepare.background.reflection_limit`` [e-/s per pixel].
    """

    grid: BackgroundGrid
    backgrounds: NDArray
    average: NDArray
    motion: NDArray
    limit: float


def pixel_flags(
    blocks: list[Path], lengths: list[int], known: KnownLight
) -> Iterator[tuple[slice, Window, NDArray]]:
    """Give the flags of all images, block after block and band after band of rows, or patch.

    Parameters
    ----------
    blocks : list of Path
    lengths : list of int
        Number of images of each.
    known : KnownLight

    Yields
    ------
    cadences : slice
    region : Window
        As wide as the CCD's, or a patch.
    flags : (n_cadences, n_rows, n_columns) uint8 array
    """
    window = known.grid.window
    first = 0
    for block, length in zip(blocks, lengths, strict=True):
        cadences = slice(first, first + length)
        first += length
        for band in _bands(known.grid):
            wide = band.widened(MARGIN, window) if known.grid.is_continuous else band
            flags = read_flags(block, wide.slices_in(window))
            _look_again(block, cadences, wide, flags, known)
            rows, columns = band.slices_in(wide)
            yield cadences, band, flags[:, rows, columns]


def _bands(grid: BackgroundGrid) -> Iterator[Window]:
    """Regions that are looked at one after the other."""
    if not grid.is_continuous:
        yield from grid.windows
        return
    window = grid.window
    for row in range(window.row0, window.row1, BAND_ROWS):
        last = min(row + BAND_ROWS, window.row1)
        yield Window(row, last, window.column0, window.column1)


def _look_again(
    block: Path, cadences: slice, region: Window, flags: NDArray, known: KnownLight
) -> None:
    """Complete the bits of `ANOMALY` of a region of a block, in place."""
    seen = (flags & ANOMALY) != 0
    if not seen.any():
        return
    columns = np.flatnonzero(seen.any(axis=(0, 1))) + region.column0
    box = Window(region.row0, region.row1, int(columns[0]), int(columns[-1]) + 1)
    box = box.widened(MARGIN, region)
    cut, whole = box.slices_in(region), box.slices_in(known.grid.window)
    average = known.average[whole]
    slopes = np.gradient(average) if min(average.shape) > 1 else np.zeros((2, *average.shape))
    flux = read_flux(block, whole)
    for index in np.flatnonzero(seen.any(axis=(1, 2))):
        image = cadences.start + index
        background = known.grid.evaluate(known.backgrounds[image][None], box)[0]
        d_row, d_column = displacement_in(np.nan_to_num(known.motion[image]), box)
        # To first order, the average image moved.
        residual = flux[index] - background - (average - d_row * slopes[0] - d_column * slopes[1])
        limit = anomaly_limit(background, known.limit)
        found = extend_anomalies(residual, average, seen[index][cut], limit=limit)
        flags[index][cut] |= np.where(found, ANOMALY, np.uint8(0))
