"""The cubes of several blocks, read as one."""

import h5py
import numpy as np
import pytest
from images_block import write_images_block

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.products import block_cubes
from tessphot_lib.io.products.block_cubes import BlockCubes

WINDOW = Window(500, 511, 40, 57)
N_IMAGES = [3, 5, 2]


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(5).uniform(1, 9, (sum(N_IMAGES), *WINDOW.shape)).astype("f4")


@pytest.fixture(scope="module")
def blocks(pixels, tmp_path_factory):
    folder, edges = tmp_path_factory.mktemp("blocks"), np.cumsum([0, *N_IMAGES])
    return [
        write_images_block(folder / f"{k}.hdf5", WINDOW, pixels[edges[k] : edges[k + 1]])
        for k in range(len(N_IMAGES))
    ]


@pytest.mark.parametrize(("first", "last"), [(0, 10), (1, 3), (3, 8), (2, 9), (4, 4), (7, 6)])
def test_images_of_several_blocks_are_joined(blocks, pixels, first, last):
    cubes = BlockCubes(blocks, N_IMAGES, Pointing.single(sum(N_IMAGES)))
    found = cubes.read("flux", first, last, (slice(2, 9), slice(4, 17)))
    np.testing.assert_array_equal(found, pixels[first:last, 2:9, 4:17])
    cubes.close()


def test_displaced_images_are_read_from_where_their_stars_are(blocks, pixels):
    """Images 2 to 5, of two blocks, by three rows and two columns; what leaves them is missing."""
    displacement = np.zeros((10, 2))
    displacement[2:6] = 2.8, -1.9
    cubes = BlockCubes(blocks, N_IMAGES, Pointing(displacement, np.ones(10, dtype=bool)))
    found = cubes.read("flux", 1, 8, (slice(4, 11), slice(0, 5)))
    np.testing.assert_array_equal(found[[0, 5, 6]], pixels[[1, 6, 7], 4:11, 0:5])
    expected = np.full((4, 7, 5), np.nan, dtype=np.float32)
    expected[:, :4, 2:] = pixels[2:6, 7:11, 0:3]
    np.testing.assert_array_equal(found[1:5], expected)
    cubes.close()


@pytest.mark.parametrize("of_all", [600, 10**9])
def test_chunks_that_are_kept_do_not_grow_with_the_blocks(blocks, monkeypatch, of_all):
    """HDF5 2.0 keeps 8 MB of each dataset: of 160 blocks it would be 2.5 GB."""
    opened = []

    class File(h5py.File):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            opened.append(self.id.get_access_plist().get_cache()[2])

    monkeypatch.setattr(block_cubes, "CACHE_OF_ALL", of_all)
    monkeypatch.setattr(h5py, "File", File)
    cubes = BlockCubes(blocks, N_IMAGES, Pointing.single(sum(N_IMAGES)))
    cubes.read("flux", 0, 10, (slice(2, 9), slice(4, 17)))
    cubes.close()
    assert len(opened) == len(N_IMAGES)
    assert 2 * sum(opened) <= of_all
    assert max(opened) <= block_cubes.CACHE


def test_files_that_were_closed_are_opened_again(blocks, pixels):
    cubes = BlockCubes(blocks, N_IMAGES, Pointing.single(sum(N_IMAGES)))
    for first in (2, 7):
        found = cubes.read("flux", first, 9, (slice(2, 9), slice(4, 17)))
        np.testing.assert_array_equal(found, pixels[first:9, 2:9, 4:17])
        cubes.close()
        cubes.close()
