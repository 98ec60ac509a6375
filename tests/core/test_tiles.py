"""The grid of tiles."""

import numpy as np
import pytest

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.tiles import tile_of, tile_window, tiles_in


def test_tile_is_named_by_row_and_column():
    assert tile_window("r3c5", (8, 8)) == Window(768, 1024, 1280, 1536)
    assert tile_window("r0c1", (1, 2)) == Window(0, 2048, 1024, 2048)


@pytest.mark.parametrize("grid", [(8, 8), (1, 1), (3, 7), (100, 6)])
def test_tiles_cover_the_ccd_once(grid):
    covered = np.zeros((2048, 2048), dtype=np.int8)
    tiles = tiles_in(Window(), grid)
    assert len(tiles) == len(set(tiles)) == grid[0] * grid[1]
    for tile in tiles:
        covered[tile_window(tile, grid).slices_in(Window())] += 1
    assert np.all(covered == 1)


def test_window_has_the_tiles_that_it_touches():
    assert tiles_in(Window(255, 257, 300, 301), (8, 8)) == ["r0c1", "r1c1"]
    assert tiles_in(Window(256, 512, 0, 256), (8, 8)) == ["r1c0"]


@pytest.mark.parametrize("grid", [(8, 8), (3, 7)])
@pytest.mark.parametrize("seed", range(5))
def test_position_lies_in_the_tile_of_its_pixel(grid, seed):
    row, column = np.random.default_rng(seed).uniform(0, 2047, size=2)
    window = tile_window(tile_of(row, column, grid), grid)
    assert window.contains(np.array([row]), np.array([column]))[0]


@pytest.mark.parametrize("tile", ["r8c0", "r0c8", "tile", "r-1c0", "r1c1x"])
def test_no_such_tile(tile):
    with pytest.raises(ConfigError, match=f"no such tile in a grid of 8 x 8: '{tile}'"):
        tile_window(tile, (8, 8))


@pytest.mark.parametrize("grid", [(3, 5), (7, 1), (1, 7), (8, 8), (97, 3)])
def test_every_pixel_edge_and_all_lies_in_the_tile_of_its_window(grid):
    along_rows = [tile_window(f"r{index}c0", grid) for index in range(grid[0])]
    along_columns = [tile_window(f"r0c{index}", grid) for index in range(grid[1])]
    for index, window in enumerate(along_rows):
        for row in range(window.row0, window.row1):
            for position in (row - 0.5, float(row), row + 0.4999):
                assert tile_of(position, 0.0, grid) == f"r{index}c0"
    for index, window in enumerate(along_columns):
        for column in range(window.column0, window.column1):
            for position in (column - 0.5, float(column), column + 0.4999):
                assert tile_of(0.0, position, grid) == f"r0c{index}"


def test_just_off_the_ccd_belongs_to_the_tile_at_the_edge():
    assert tile_of(-0.9, 2048.3, (3, 5)) == "r0c4"
    assert tile_of(2047.5, -0.6, (3, 5)) == "r2c0"
