"""Which pixels are read together for which stars, and how many images at once.

For all methods of photometry: the pixels of a tile are read once for all of its
stars, block by block, so that memory does not grow with the number of images.
"""

from collections.abc import Iterator

from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.pixels_hdf5 import PixelCube

MARGIN = 32  # [pixels] around a tile that is read with it; larger apertures are read alone
MAX_PIXELS = 4_000_000  # of all images that are read at once


def tile_region(tile: Window | None, window: Window) -> Window | None:
    """Pixels that are read for a tile: the tile and a margin, cut at the window; None for none."""
    if tile is None:
        return None
    return tile.widened(MARGIN).intersect(window)


def regions(
    cube: PixelCube, boxes: list[Window], tile: Window | None
) -> Iterator[tuple[Window, list[int]]]:
    """Regions to read, each with the stars that are measured in it.

    What is needed of the tile and what lies around it or, where there are patches, of each of
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
    for whole in cube.grid.read_together(tile_region(tile, cube.window)):
        inside = [index for index in alone if whole.intersect(boxes[index]) == boxes[index]]
        if inside:
            alone = [index for index in alone if index not in set(inside)]
            yield Window.enclosing([boxes[index] for index in inside]), inside
    for index in alone:
        yield boxes[index], [index]


def cadence_slices(cube: PixelCube, region: Window) -> Iterator[slice]:
    """Cadences that are read at once: those of a block, or fewer so that memory stays small."""
    at_once = max(64, MAX_PIXELS // (region.shape[0] * region.shape[1]) // 64 * 64)
    for block in cube.block_slices():
        for first in range(block.start, block.stop, at_once):
            yield slice(first, min(first + at_once, block.stop))
