"""Pointings of a sector: images that are displaced for hours against those of the star list.

Their pixels are read from as many whole pixels away as the stars have moved, so that a star stays
in the same pixels; what is left of the displacement, half a pixel at most per axis, is motion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pointing:
    """Where the images of a CCD point.

    Attributes
    ----------
    displacement : (n_images, 2) float64 array
        Of the stars by row and column, the same for all images of one pointing [pixels]; zeros
        where the star list is, and wherever the stars are less than a limit from there.
    is_usual : (n_images,) bool array
        Images in which the stars stand on their pixels as in most images, once whole pixels are
        taken off: those that are averaged, if they are good.
    """

    displacement: NDArray
    is_usual: NDArray

    @classmethod
    def single(cls, n_images: int) -> Self:
        """All images of one pointing."""
        return cls(np.zeros((n_images, 2)), np.ones(n_images, dtype=bool))

    @cached_property
    def whole(self) -> NDArray:
        """The displacements in whole pixels, (n_images, 2) int; not to be changed."""
        return np.rint(self.displacement).astype(int)

    def whole_of(self, image: int) -> tuple[int, int]:
        """Displacement of one image in whole pixels."""
        d_row, d_column = np.rint(self.displacement[image]).tolist()
        return int(d_row), int(d_column)

    @cached_property
    def has_steps(self) -> bool:
        """Whether any image is displaced."""
        return bool(self.displacement.any())

    def without_whole(self, motion: NDArray) -> NDArray:
        """Take whole pixels off the motion of the images, (n_images, 6)."""
        left = motion.copy()
        left[:, [0, 3]] -= self.whole
        return left

    def with_whole(self, motion: NDArray) -> NDArray:
        """Add them again to what `without_whole` left."""
        whole = motion.copy()
        whole[:, [0, 3]] += self.whole
        return whole

    def runs(self, first: int, last: int) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Consecutive images from ``first`` to before ``last`` that are displaced alike.

        Yields them and their displacement in whole pixels.
        """
        whole = self.whole[first:last]
        if not len(whole) or not self.has_steps:
            yield slice(first, last), (0, 0)
            return
        breaks = np.flatnonzero((whole[1:] != whole[:-1]).any(axis=1)) + 1
        edges = [0, *breaks.tolist(), len(whole)]
        for start, stop in pairwise(edges):
            d_row, d_column = whole[start].tolist()
            yield slice(first + start, first + stop), (d_row, d_column)


def displaced_pixels(
    pixels: tuple[slice, slice], whole: tuple[int, int], shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Find where the pixels of a region are to be read from, and where they belong in it.

    Parameters
    ----------
    pixels : pair of slice
        Rows and columns of the region, counted from the first pixel there is.
    whole : (int, int)
        By how many rows and columns the stars are displaced.
    shape : (int, int)
        Of all pixels there are.

    Returns
    -------
    source, target : pairs of slice
        In all pixels, and in the region; the rest of the region has no pixels.
    """
    source, target = [], []
    for axis, moved, size in zip(pixels, whole, shape, strict=True):
        first, last = axis.start or 0, size if axis.stop is None else axis.stop
        start, stop = np.clip([first + moved, last + moved], 0, size).tolist()
        source.append(slice(start, stop))
        target.append(slice(start - moved - first, stop - moved - first))
    return (source[0], source[1]), (target[0], target[1])
