"""Backgrounds of patches that are read from a file only as far as a tile needs them.

Those of 1,000 target pixel files with 18,000 cadences are 200 MB, of which a tile needs a tenth.
"""

from collections.abc import Iterable
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

IMAGES_AT_ONCE = 1024  # that are read of all patches


class PatchModels:
    """Models (n_images, n_patches, n_terms) in a dataset, of which some patches are read.

    Others are read when they are asked for, which takes as long as reading a hundred together.
    Grids take it for an array: its length, slices of images, and patches of them are all that
    they ask of a model to evaluate it. Anything else is answered by the whole array.

    Parameters
    ----------
    dataset : Dataset
    patches : iterable of int
        The patches to read at once.
    """

    def __init__(self, dataset: h5py.Dataset, patches: Iterable[int] = ()) -> None:
        self.shape, self.dtype, self.ndim = dataset.shape, dataset.dtype, dataset.ndim
        self._dataset = dataset
        self._images = np.arange(self.shape[0])
        self._levels: list[NDArray] = []  # that were added to the constant terms
        self._known: dict[int, NDArray] = {}
        self._read(sorted(patches))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, where: Any) -> Any:
        """Return the models of some images (a slice), or those of a patch or several in these."""
        if isinstance(where, slice):
            part = object.__new__(type(self))
            part.__dict__.update(self.__dict__)
            part._images = self._images[where]
            part.shape = (len(part._images), *self.shape[1:])
            return part
        if isinstance(where, tuple) and len(where) == 2 and isinstance(where[0], slice):
            images, patches = where
            if isinstance(patches, int | np.integer):
                return self._of(int(patches), images)
            if isinstance(patches, np.ndarray) and patches.dtype.kind == "i" and len(patches):
                return np.stack([self._of(int(patch), images) for patch in patches], axis=1)
        return np.asarray(self)[where]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """Read all patches."""
        every = np.stack([self._of(patch, slice(None)) for patch in self._all()], axis=1)
        return every if dtype is None else every.astype(dtype, copy=False)

    def raised(self, levels: NDArray) -> Self:
        """Return models with constants (n_patches,) added."""
        result = self[:]
        added = np.asarray(levels, dtype=self.dtype)
        result._levels = [*self._levels, added]
        result._known = {patch: _raised(of, added[patch]) for patch, of in self._known.items()}
        return result

    def _of(self, patch: int, images: slice) -> NDArray:
        """The models of a patch in some images, (n, n_terms)."""
        if patch not in self._known:
            self._read([patch])
        # All images, as nearly always, without a copy.
        whole = len(self._images) == len(self._known[patch])
        model = self._known[patch] if whole else self._known[patch][self._images]
        return model[images]

    def _all(self) -> range:
        self._read([patch for patch in range(self.shape[1]) if patch not in self._known])
        return range(self.shape[1])

    def _read(self, patches: list[int]) -> None:
        """Read some patches, a part of the images at a time; they stay known."""
        if not patches:
            return
        n_images, _, n_terms = self._dataset.shape
        found = np.empty((len(patches), n_images, n_terms), self.dtype)
        first, last = patches[0], patches[-1] + 1
        among = np.array(patches) - first
        for start in range(0, n_images, IMAGES_AT_ONCE):
            some = slice(start, start + IMAGES_AT_ONCE)
            found[:, some] = self._dataset[some, first:last][:, among].swapaxes(0, 1)
        for patch, model in zip(patches, found, strict=True):
            for levels in self._levels:
                model = _raised(model, levels[patch])
            self._known[patch] = model


def _raised(model: NDArray, level: float) -> NDArray:
    """A model (n_images, n_terms) with a constant added; itself, where that is nothing."""
    if level == 0:
        return model
    higher = model.copy()
    higher[:, 0] += level
    return higher
