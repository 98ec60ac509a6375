"""The cubes of several blocks, read as one.

The virtual datasets of ``pixels.hdf5`` join them, too, for other programs; but HDF5 maps each row
of pixels through them by itself, which takes nearly as long as unpacking the pixels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.pointing import Pointing, displaced_pixels

# [bytes] of unpacked chunks that HDF5 keeps, by default 8 MB of each dataset since 2.0: stars lie
# beside each other; but there may be 160 blocks, with two datasets.
CACHE, CACHE_OF_ALL = 1_000_000, 100_000_000


class _Piece(NamedTuple):
    """Images of one block that are displaced alike: which they are there, and among those read."""

    block: int
    inside: slice
    target: slice
    whole: tuple[int, int]


class BlockCubes:
    """Flux and errors of all images of a CCD.

    Parameters
    ----------
    paths : list of Path
        Of the blocks, in time order; they are opened when they are needed.
    n_images : list of int
        How many each has.
    pointing : Pointing
        From where the pixels of displaced images are read.
    """

    def __init__(self, paths: list[Path], n_images: list[int], pointing: Pointing) -> None:
        self._paths = paths
        self._edges = np.append(0, np.cumsum(n_images, dtype=int))
        self._pointing = pointing
        self._cache = min(CACHE, CACHE_OF_ALL // (2 * max(len(paths), 1)))
        self._files: dict[int, h5py.File] = {}
        self._cubes: dict[tuple[int, str], h5py.Dataset] = {}

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        self._cubes.clear()
        while self._files:
            self._files.popitem()[1].close()

    def read(self, name: str, first: int, last: int, pixels: tuple[slice, slice]) -> NDArray:
        """Read the pixels of the images ``first`` to ``last - 1``.

        Parameters
        ----------
        name : {'flux', 'flux_err'}
        first, last : int
        pixels : pair of slice
            Rows and columns, counted from the first ones of the blocks; no open ends.

        Returns
        -------
        (n, n_rows, n_columns) float32 array
            NaN where displaced images have no pixel.

        Raises
        ------
        OSError
            If a block is damaged there, or cannot be opened.
        """
        pieces = list(self._pieces(first, last))
        if len(pieces) == 1 and pieces[0].whole == (0, 0):
            return np.asarray(self._cube(pieces[0].block, name)[(pieces[0].inside, *pixels)])
        n_rows, n_columns = (axis.stop - axis.start for axis in pixels)
        found = np.full((max(last - first, 0), n_rows, n_columns), np.nan, dtype=np.float32)
        for piece in pieces:
            cube = self._cube(piece.block, name)
            there, here = displaced_pixels(pixels, piece.whole, cube.shape[1:])
            found[(piece.target, *here)] = cube[(piece.inside, *there)]
        return found

    def _pieces(self, first: int, last: int) -> Iterator[_Piece]:
        """What the images consist of."""
        for block, (begin, end) in enumerate(zip(self._edges[:-1], self._edges[1:], strict=True)):
            start, stop = max(first, int(begin)), min(last, int(end))
            if start >= stop:
                continue
            for alike, whole in self._pointing.runs(start, stop):
                inside = slice(alike.start - int(begin), alike.stop - int(begin))
                yield _Piece(block, inside, slice(alike.start - first, alike.stop - first), whole)

    def _cube(self, block: int, name: str) -> h5py.Dataset:
        """The dataset of a block, which is opened if it is not yet."""
        if block not in self._files:
            self._files[block] = h5py.File(
                self._paths[block], "r", locking=False, rdcc_nbytes=self._cache
            )
        if (block, name) not in self._cubes:
            self._cubes[block, name] = self._files[block][name]
        return self._cubes[block, name]
