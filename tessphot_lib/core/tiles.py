"""The fixed grid of tiles that a CCD is cut into.

Tiles are named ``r3c5`` by the row and column of the grid, which covers the
whole CCD whatever part of it is looked at.
"""

import math
import re
from collections.abc import Sequence

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import Window

DEFAULT_GRID = (8, 8)
CUTOUTS_IN_TILE = 200  # on average: some minutes of a job
USUAL_CADENCE = 120  # [s] of target pixel files of which that holds


def grid_of_cutouts(n_cutouts: int, cadence: int = 0) -> list[int]:
    """Return the grid for the cutouts of a CCD: most of the tiles of a fine one would be empty.

    Memory and time of a tile follow the points of its light curves, so that fewer target pixel
    files with a ``cadence`` [s] of less than `USUAL_CADENCE` are one tile.
    """
    longer = USUAL_CADENCE / cadence if 0 < cadence < USUAL_CADENCE else 1.0
    n_tiles = max(math.ceil(math.sqrt(longer * n_cutouts / CUTOUTS_IN_TILE)), 1)
    return [n_tiles, n_tiles]


def tile_window(tile: str, grid: Sequence[int] | None) -> Window:
    """Find the pixels of a tile.

    Parameters
    ----------
    tile : str
        Such as ``r3c5``.
    grid : (n_rows, n_columns) or None
        Into how many tiles the CCD is cut (``photometry.tiles``); None: `DEFAULT_GRID`.

    Raises
    ------
    ConfigError
        If the grid has no such tile.
    """
    grid = grid or DEFAULT_GRID
    match = re.fullmatch(r"r(\d+)c(\d+)", tile)
    if match is None or not (int(match[1]) < grid[0] and int(match[2]) < grid[1]):
        raise ConfigError(f"no such tile in a grid of {grid[0]} x {grid[1]}: {tile!r}")
    return Window(
        *_edges(int(match[1]), grid[0], SCIENCE_ROWS),
        *_edges(int(match[2]), grid[1], SCIENCE_COLUMNS),
    )


def tile_of(row: float, column: float, grid: Sequence[int] | None) -> str:
    """Name the tile that a position on the CCD [science pixels] falls into.

    Positions off the CCD by less than a pixel belong to the tile at the edge.
    """
    grid = grid or DEFAULT_GRID
    indices = []
    for position, n_tiles, n_pixels in (
        (row, grid[0], SCIENCE_ROWS),
        (column, grid[1], SCIENCE_COLUMNS),
    ):
        pixel = min(max(math.floor(position + 0.5), 0), n_pixels - 1)
        index = min(pixel * n_tiles // n_pixels + 1, n_tiles - 1)
        while _edges(index, n_tiles, n_pixels)[0] > pixel:
            index -= 1
        indices.append(index)
    return f"r{indices[0]}c{indices[1]}"


def tiles_in(window: Window, grid: Sequence[int] | None) -> list[str]:
    """Name the tiles that have pixels in a window, row by row."""
    grid = grid or DEFAULT_GRID
    tiles = [f"r{row}c{column}" for row in range(grid[0]) for column in range(grid[1])]
    return [tile for tile in tiles if tile_window(tile, grid).intersect(window) is not None]


def _edges(index: int, n_tiles: int, n_pixels: int) -> tuple[int, int]:
    """First pixel, and pixel after the last, of one of ``n_tiles`` nearly equal parts."""
    return index * n_pixels // n_tiles, (index + 1) * n_pixels // n_tiles
