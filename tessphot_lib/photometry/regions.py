"""Which pixels are read together for which stars, and how many images at once.

For all methods of photometry: the pixels of a tile are read once for all of its
stars, block by block, so that memory does not grow with the number of images.
"""

from collections.abc import Iterator

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.pixels_hdf5 import PixelCube

MARGIN = 32  # [pixels] around a tile that is read with it; larger apertures are read alone
MAX_PIXELS = 4_000_000  # of a patch, in all images that are read at once


def tile_region(tile: Window | None, window: Window) -> Window | None:
    """Pixels that are read for a tile: the tile and a margin, cut at the window; None for none."""
    if tile is None:
        return None
    widened = Window(
        max(tile.row0 - MARGIN, 0),
        min(tile.row1 + MARGIN, SCIENCE_ROWS),
        max(tile.column0 - MARGIN, 0),
        min(tile.column1 + MARGIN, SCIENCE_COLUMNS),
    )
    return widened.intersect(window)


def regions(
    cube: PixelCube, boxes: list[Window], tile: Window | None
) -> Iterator[tuple[Window, list[int]]]:
    """Regions to read, each with the stars that are measured in it.

    The tile with what lies around it or, where there are patches, each of
    those; stars with larger boxes by themselves.

    Parameters
    ----------
    cube : PixelCube
    boxes : list of Window
        Pixels that each star needs.
    tile : Window or None
        None: each star by itself.
    """
    alone = list(range(len(boxes)))
    if cube.patches is not None:
        wholes = [Window(*map(int, one)) for one in cube.patches["windows"]]
    else:
        wholes = [] if tile is None else [tile_region(tile, cube.window)]
    for whole in wholes if tile is not None else []:
        inside = whole is not None and [i for i in alone if whole.intersect(boxes[i]) == boxes[i]]
        if inside:
            alone = [index for index in alone if index not in set(inside)]
            yield whole, inside
    for index in alone:
        yield boxes[index], [index]


def cadence_slices(cube: PixelCube, region: Window) -> Iterator[slice]:
    """Cadences that are read at once: those of a block, or fewer so that memory stays small."""
    at_once = max(64, MAX_PIXELS // (region.shape[0] * region.shape[1]) // 64 * 64)
    for block in cube.block_slices():
        step = block.stop - block.start if cube.patches is None else at_once
        for first in range(block.start, block.stop, step):
            yield slice(first, min(first + step, block.stop))
