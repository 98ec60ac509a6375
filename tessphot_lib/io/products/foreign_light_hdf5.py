"""``foreign_light.hdf5``: what changed in the images of a CCD that is neither sky nor star.

Datasets, over all images: ``foreign`` (n_images, n_bin_rows, n_bytes), the bins of
`tessphot_lib.core.bins.Bins` with such light, eight in a byte; ``sky`` and ``sky_error``
(n_images, ...), what has to be added to the nodes of the backgrounds, and their errors.
All are empty where images were not compared, as those of cutouts. ``new_stars/…``: stars
that an image has and the reference has not, see `NEW_STAR_COLUMNS`.
"""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.block_hdf5 import packed

NEW_STAR_COLUMNS = ("image", "row", "column", "flux")


class ForeignLight(NamedTuple):
    """What the file has, see above; ``sky`` and ``error`` are empty for none."""

    sky: NDArray
    error: NDArray
    new_stars: dict[str, NDArray]


def write_foreign_light(
    path: Path,
    foreign: NDArray,
    sky: NDArray,
    sky_error: NDArray,
    new_stars: dict[str, NDArray],
    attributes: dict[str, str],
) -> None:
    """Write what was found in all images; the file appears complete or not at all."""
    with complete_file(path) as partial, h5py.File(partial, "w", locking=False) as file:
        chunks = (1, *foreign.shape[1:]) if foreign.size else None
        file.create_dataset("foreign", data=foreign, chunks=chunks, **packed())
        file.create_dataset("sky", data=sky.astype(np.float32))
        file.create_dataset("sky_error", data=sky_error.astype(np.float32))
        for name in NEW_STAR_COLUMNS:
            file.create_dataset(f"new_stars/{name}", data=new_stars[name])
        file.attrs.update(attributes)


def read_foreign_light(path: Path) -> ForeignLight:
    """Read everything but the bins."""
    with _opened(path) as file:
        stars = {name: file[f"new_stars/{name}"][()] for name in NEW_STAR_COLUMNS}
        return ForeignLight(file["sky"][()], file["sky_error"][()], stars)


def read_foreign_bins(path: Path, cadences: slice = slice(None)) -> NDArray:
    """Read the bins with foreign light of some images, or all, eight in a byte; empty for none."""
    with _opened(path) as file:
        found: NDArray = file["foreign"][cadences]
        return found


class _opened:
    """Open the file for reading; what is wrong with it is an InputDataError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> h5py.File:
        try:
            self.file = h5py.File(self.path, "r", locking=False)
        except OSError as err:
            raise InputDataError(f"{self.path}: cannot be read: {err}") from err
        return self.file

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        self.file.close()
        if isinstance(err, OSError | KeyError):
            raise InputDataError(f"{self.path}: cannot be read: {err}") from err
