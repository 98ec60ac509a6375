"""Flags of all images from their blocks and the bins with foreign light, whatever the blocks."""

import numpy as np
import pytest
from images_block import write_images_block

from tessphot_lib.core.bins import Bins
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.products.foreign_light_hdf5 import NEW_STAR_COLUMNS, write_foreign_light
from tessphot_lib.preparation.pixel_flags import pixel_flags

WINDOW = Window(101, 330, 502, 600)  # more than one band, borders of no bins
N_IMAGES = 5
FOREIGN, SATURATED = int(PixelFlag.BACKGROUND_ANOMALY), int(PixelFlag.SATURATED)


def write_blocks(folder, lengths):
    """Blocks without light; the second image has a saturated pixel."""
    blocks, first = [], 0
    for number, length in enumerate(lengths):
        flags = np.zeros((length, *WINDOW.shape), dtype=np.uint8)
        flags[np.arange(first, first + length) == 1, 60, 60] = SATURATED
        path = folder / f"b{number}.hdf5"
        blocks.append(write_images_block(path, WINDOW, 0.0 * flags, pixel_flags=flags))
        first += length
    return blocks


@pytest.mark.parametrize("lengths", [[5], [2, 1, 2]])
@pytest.mark.parametrize("any_foreign", [True, False])
@pytest.mark.parametrize("moved", [(0, 0), (2, -30)])
def test_bins_become_pixels(tmp_path, lengths, any_foreign, moved):
    """The flags of a displaced image are read from elsewhere, its bins are as they are."""
    bins = Bins.over(WINDOW)
    lit = np.random.default_rng(3).random((N_IMAGES, *bins.shape)) < 0.1
    lit[3] = False
    written = np.packbits(lit, axis=-1) if any_foreign else np.zeros(0, np.uint8)
    stars = {name: np.zeros(0) for name in NEW_STAR_COLUMNS}
    path = tmp_path / "foreign_light.hdf5"
    write_foreign_light(path, written, np.zeros(0), np.zeros(0), stars, {})
    found = np.full((N_IMAGES, *WINDOW.shape), 255, dtype=np.uint8)
    displacement = np.zeros((N_IMAGES, 2))
    displacement[1] = moved
    pointing = Pointing(displacement, np.ones(N_IMAGES, dtype=bool))
    blocks = write_blocks(tmp_path, lengths)
    pieces = pixel_flags(blocks, lengths, Mesh.over(WINDOW, 64), path, pointing)
    for cadences, region, flags in pieces:
        found[(cadences, *region.slices_in(WINDOW))] = flags
    expected = np.zeros_like(found)
    expected[1, 60 - moved[0], 60 - moved[1]] = SATURATED
    if any_foreign:
        # Row 101 is in the bin of rows 100 to 103, column 502 in that of 500 to 503.
        row, column = np.indices(WINDOW.shape)
        expected |= np.uint8(FOREIGN) * lit[:, (row + 101) // 4 - 25, (column + 502) // 4 - 125]
    np.testing.assert_array_equal(found, expected)
