"""Writing ``pixels.hdf5``; `tessphot_lib.io.products.pixels_hdf5` reads it and says what it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.pointing import Pointing, displaced_pixels
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.block_hdf5 import (
    CHUNK_SIDE,
    MAX_CHUNK_CADENCES,
    packed,
    read_common_flags,
    read_flags,
)
from tessphot_lib.io.products.pixels_hdf5 import FORMAT_VERSION, PER_IMAGE, VIRTUAL


@dataclass(frozen=True)
class BlockIdentity:
    """What a block must be for the cube to be whole."""

    name: str
    size: int
    digest: str
    n_images: int


def write_pixels(
    path: Path,
    ccd_id: CcdId,
    window: Window,
    *,
    blocks: list[Path],
    identities: list[BlockIdentity],
    images: dict[str, NDArray],
    names: NDArray,
    average_image: NDArray,
    average_count: NDArray,
    grid: BackgroundGrid,
    attributes: dict[str, str | int | float],
    own_motion: dict[str, NDArray] | None = None,
    pointing: Pointing | None = None,
    is_averaged: NDArray | None = None,
    pixel_flags: Iterable[tuple[slice, Window, NDArray]] | None = None,
) -> None:
    """Join the blocks of a CCD.

    Parameters
    ----------
    path : Path
    window : Window
    blocks : list of Path
        In time order; named in the file relative to it.
    identities : list of BlockIdentity
        One per block.
    images : dict
        `PER_IMAGE` arrays over all images, in the order of the blocks.
    names : (n,) array of str
        File names of the images.
    average_image, average_count : (n_rows, n_columns) arrays
    grid : BackgroundGrid
        What the backgrounds are of.
    attributes : dict
        Provenance and constants of the CCD.
    own_motion : dict, optional
        ``tic_id``, ``d_row`` and ``d_column`` of the stars that measured the motion, see
        `tessphot_lib.motion.own_influence`; none if left out.
    pointing : Pointing, optional
        Where the images point; all alike if left out. The whole displacement is in the motion.
    is_averaged : (n,) bool array, optional
        Which images the average image is the mean of; all good ones if left out.
    pixel_flags : iterable of (cadences, region, flags), optional
        Bits of `PixelFlag` of all images as they are read, piece by piece; those of the blocks
        if left out.
    """
    n_images = sum(identity.n_images for identity in identities)
    pointing = Pointing.single(n_images) if pointing is None else pointing
    for name in PER_IMAGE:
        if len(images[name]) != n_images:
            raise ValueError(f"{name} has {len(images[name])} entries, the blocks {n_images}")
    with complete_file(path) as partial, h5py.File(partial, "w", locking=False) as file:
        for cube in VIRTUAL:
            layout = h5py.VirtualLayout((n_images, *window.shape), "f4")
            first = 0
            for block, identity in zip(blocks, identities, strict=True):
                shape = (identity.n_images, *window.shape)
                source = block.resolve().relative_to(path.parent.resolve())
                virtual = h5py.VirtualSource(str(source), cube, shape, "f4")
                for images_alike, whole in pointing.runs(first, first + identity.n_images):
                    inside = slice(images_alike.start - first, images_alike.stop - first)
                    everything = slice(0, window.shape[0]), slice(0, window.shape[1])
                    there, here = displaced_pixels(everything, whole, window.shape)
                    layout[(images_alike, *here)] = virtual[(inside, *there)]
                first += identity.n_images
            file.create_virtual_dataset(cube, layout, fillvalue=np.nan)
        if pixel_flags is None:
            pixel_flags = _flags_of_blocks(blocks, identities, window)
        _write_flags(file, n_images, window, pixel_flags)
        common = read_common_flags(blocks[0])
        file.create_dataset("common_flags", data=common, **packed())
        for name in PER_IMAGE:
            file.create_dataset(name, data=images[name])
        if pointing.has_steps:
            for name in ("displacement", "is_usual"):
                file.create_dataset(f"pointing/{name}", data=getattr(pointing, name))
        if is_averaged is not None:
            file.create_dataset("is_averaged", data=is_averaged)
        for name, values in (own_motion or {}).items():
            file.create_dataset(f"own_motion/{name}", data=values)
        file.create_dataset("image_name", data=np.asarray(names).astype(h5py.string_dtype()))
        file.create_dataset("average_image", data=average_image, compression="gzip")
        file.create_dataset("average_count", data=average_count, compression="gzip")
        for name, values in grid.arrays().items():
            compression = "gzip" if values.ndim > 1 else None
            file.create_dataset(f"{grid.kind}/{name}", data=values, compression=compression)
        table = [(str(b.resolve().relative_to(path.parent.resolve())),) for b in blocks]
        file.create_dataset(
            "blocks/path", data=np.array([row[0] for row in table], dtype=h5py.string_dtype())
        )
        for key in ("size", "n_images"):
            values = [getattr(identity, key) for identity in identities]
            file.create_dataset(f"blocks/{key}", data=np.array(values, dtype=np.int64))
        digests = np.array([identity.digest for identity in identities], h5py.string_dtype())
        file.create_dataset("blocks/digest", data=digests)
        file.attrs.update(attributes)
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["ccd"] = str(ccd_id)
        file.attrs["window"] = window.as_list()


def _flags_of_blocks(
    blocks: list[Path], identities: list[BlockIdentity], window: Window
) -> Iterator[tuple[slice, Window, NDArray]]:
    """Flags as they are in the blocks."""
    first = 0
    for block, identity in zip(blocks, identities, strict=True):
        everything = (slice(None), slice(None))
        yield slice(first, first + identity.n_images), window, read_flags(block, everything)
        first += identity.n_images


def _write_flags(
    file: h5py.File,
    n_images: int,
    window: Window,
    pieces: Iterable[tuple[slice, Window, NDArray]],
) -> None:
    """Write ``pixel_flags``; chunks without any flag take no space."""
    n_rows, n_columns = window.shape
    flags = file.create_dataset(
        "pixel_flags",
        shape=(n_images, n_rows, n_columns),
        dtype="u1",
        chunks=(
            min(MAX_CHUNK_CADENCES, n_images),
            min(CHUNK_SIDE, n_rows),
            min(CHUNK_SIDE, n_columns),
        ),
        fillvalue=0,
        **packed(),
    )
    for cadences, region, values in pieces:
        if values.any():
            flags[(cadences, *region.slices_in(window))] = values
