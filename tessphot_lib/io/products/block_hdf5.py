"""``blocks/<block>.hdf5``: pixels of consecutive images of a CCD, and what was made of them.

The cubes are (cadence, row, column), compressed in chunks that hold all
cadences of a small patch of the CCD, so that a light curve touches few of
them. Fluxes are rounded to a power of two that is small against the pixel's
own error, errors to 1/256 of themselves; both are float32 and need no scale.

======================  ================  =====================================
dataset                 shape             content
======================  ================  =====================================
flux                    (n, rows, cols)   calibrated flux, sky included [e-/s];
                                          NaN: no such pixel, or a bad image
flux_err                (n, rows, cols)   its 1-sigma error [e-/s]
pixel_flags             (n, rows, cols)   bits of tessphot_lib.core.flags.PixelFlag, as far
                                          as they are seen without the other blocks
common_flags            (rows, cols)      bits that the pixels have in all images
flux_sum                (rows, cols)      sum of the averaged images, backgrounds taken off
flux_count              (rows, cols)      how many each pixel got
images/<name>           (n, ...)          one value per image, see IMAGE_COLUMNS
motion_stars/<name>     (n_stars,)        tic_id, row, column
======================  ================  =====================================

Compression is Blosc (bit shuffle, lz4): readable by h5py where hdf5plugin is
imported. Chunks carry a Fletcher-32 checksum.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.pointing import displaced_pixels
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.format_version import check_format_version

FORMAT_VERSION = 1  # to be raised when readers of before would misunderstand a block
CHUNK_SIDE = 32  # [pixels]
MAX_CHUNK_CADENCES = 64
BAND_ROWS = 64  # rounded at once, so that they stay in the cache: four times as fast
DIGEST_STEP = 16  # every so many rows go into the digest of a block
BROKEN_ERROR = np.uint16(0x7FC0)  # upper half of a float32 NaN
# One value (or row of values) per image; units in the README of the format.
IMAGE_COLUMNS = (
    "name",
    "time",
    "time_start",
    "time_stop",
    "timecorr",
    "exposure_time",
    "cadenceno",
    "quality",
    "is_averaged",
    "background_level",
    "background",
    "background_error",
    "column_excess",
    "header_motion",
    "star_row",
    "star_column",
    "star_light",
    "star_sharpness",
)
# As good as they are needed, and for some 12,000 images of a sector in the memory of a job.
SINGLE_PRECISION = (
    "background",
    "background_error",
    "column_excess",
    "star_light",
    "star_sharpness",
)


class CubePiece(NamedTuple):
    """Some pixels of some images of a block, by default of all: (n, n_rows, n_columns) each."""

    window: Window
    flux: NDArray
    flux_err: NDArray
    pixel_flags: NDArray
    cadences: slice = slice(None)


class Cubes(Protocol):
    """What `write_block` writes pixels from.

    Chunks on disk have ``chunk_cadences`` images of ``chunk_side`` pixels square.
    """

    window: Window
    n_images: int
    chunk_side: ClassVar[int]
    chunk_cadences: ClassVar[int]

    def pieces(self) -> Iterable[CubePiece]:
        """Give the pixels, piece by piece; what is in none is without data."""


@dataclass
class CubeBuffer:
    """The pixels of a block in memory, rounded as they will be on disk.

    Errors are kept as the upper half of a float32, so that 64 full images
    need 1.9 GB. Every image must be `put` before the block is written.
    """

    chunk_side: ClassVar[int] = CHUNK_SIDE
    chunk_cadences: ClassVar[int] = MAX_CHUNK_CADENCES

    window: Window
    n_images: int
    compression_error: float  # rms loss allowed, in units of the pixel's error
    noise: NoiseModel | None = None  # by which absurd errors are told before fluxes are rounded
    flux: NDArray = field(init=False, repr=False)
    _err: NDArray = field(init=False, repr=False)
    pixel_flags: NDArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = (self.n_images, *self.window.shape)
        self.flux = np.empty(shape, dtype=np.float32)
        self._err = np.empty(shape, dtype=np.uint16)
        self.pixel_flags = np.zeros(shape, dtype=np.uint8)

    def put(self, index: int, flux: NDArray, flux_err: NDArray) -> None:
        """Keep one image; (n_rows, n_columns) float32 [e-/s]."""
        allowed = flux_err
        if self.noise is not None:
            allowed = self.noise.for_rounding(flux_err, flux, self.window)
        for first in range(0, self.window.shape[0], BAND_ROWS):
            rows = slice(first, first + BAND_ROWS)
            error = np.ascontiguousarray(flux_err[rows], dtype=np.float32)
            quantize(flux[rows], allowed[rows], self.compression_error, out=self.flux[index, rows])
            _upper_halves(error, out=self._err[index, rows])

    def pieces(self) -> Iterator[CubePiece]:
        """Bands of rows, each as wide as the window, in the order of the rows."""
        n_rows, n_columns = self.window.shape
        for first in range(0, n_rows, CHUNK_SIDE):
            rows = slice(first, min(first + CHUNK_SIDE, n_rows))
            window = Window(
                self.window.row0 + rows.start,
                self.window.row0 + rows.stop,
                self.window.column0,
                self.window.column0 + n_columns,
            )
            flux_err = _of_upper_halves(self._err[:, rows])
            yield CubePiece(window, self.flux[:, rows], flux_err, self.pixel_flags[:, rows])


def rounded_errors(flux_err: NDArray) -> NDArray:
    """Round errors to 1/256 of themselves, float32; what is not finite becomes NaN.

    They are packed to less than half of the bytes by that, and read and written faster.
    """
    error = np.asarray(flux_err, dtype=np.float32)
    bits = error.view(np.uint32) + np.uint32(0x8000)
    bits &= np.uint32(0xFFFF0000)
    rounded = bits.view(np.float32)
    finite = np.isfinite(error)
    if not finite.all():
        rounded[~finite] = np.nan
    return rounded


def _upper_halves(error: NDArray, *, out: NDArray) -> NDArray:
    """Round float32 errors to their upper halves, uint16."""
    np.right_shift(error.view(np.uint32) + np.uint32(0x8000), 16, out=out, casting="unsafe")
    finite = np.isfinite(error)
    if not finite.all():
        out[~finite] = BROKEN_ERROR
    return out


def _of_upper_halves(kept: NDArray) -> NDArray:
    """Errors of which the upper halves are kept, float32."""
    return (kept.astype(np.uint32) << 16).view(np.float32)


def quantize(
    flux: NDArray, flux_err: NDArray, compression_error: float, *, out: NDArray | None = None
) -> NDArray:
    """Round fluxes to multiples of a power of two that their errors allow.

    Parameters
    ----------
    flux, flux_err : float32 arrays of one shape
        NaN stays NaN; where the error is not positive and finite, the flux stays as it is.
    compression_error : float
        Upper limit of the rms rounding error, in units of ``flux_err``; 0 rounds nothing.
    out : float32 array, optional
        Where to put the result; another array than ``flux``.

    Returns
    -------
    float32 array
        Uniform rounding with step s has an rms of s / sqrt(12), which is kept
        at 0.5-1 times the limit.
    """
    out = np.empty(np.shape(flux), dtype=np.float32) if out is None else out
    if compression_error <= 0:
        out[...] = flux
        return out
    allowed = np.asarray(flux_err, dtype=np.float32)
    step = allowed * np.float32(compression_error * np.sqrt(12.0))
    # Clearing sign and mantissa leaves the power of two below; 0 and NaN give 0 and inf.
    bits = step.view(np.uint32)
    bits &= np.uint32(0x7F800000)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        np.divide(flux, step, out=out)
        np.rint(out, out=out)
        out *= step
    usable = np.isfinite(out)
    if not usable.all():
        np.copyto(out, flux, where=~usable)
    return out


def write_block(
    path: Path,
    cubes: Cubes,
    ccd_id: CcdId,
    *,
    images: dict[str, NDArray],
    motion_stars: dict[str, NDArray],
    attributes: dict[str, str],
    flux_sum: NDArray | None = None,
    flux_count: NDArray | None = None,
    patches: dict[str, NDArray] | None = None,
    common_flags: NDArray | None = None,
) -> None:
    """Write a block; it appears complete or not at all.

    Parameters
    ----------
    path : Path
    cubes : CubeBuffer or another of `Cubes`
    ccd_id : CcdId
    images : dict
        An array for each of `IMAGE_COLUMNS`, all with ``cubes.n_images``
        entries. May be completed while the pieces of the cubes are made.
    motion_stars : dict
        ``tic_id``, ``row``, ``column`` of the stars that ``star_row`` is of.
    attributes : dict
        Provenance: written as attributes of the file.
    flux_sum, flux_count : (n_rows, n_columns) arrays, optional
        Of cutouts, for the average image.
    patches : dict, optional
        ``windows`` and ``index`` of the patches that the backgrounds are of,
        where the CCD is known in patches only.
    common_flags : (n_rows, n_columns) uint8 array, optional
        Bits of `PixelFlag` that the pixels have in all images; none if left out.
    """
    digest = blake2b(digest_size=16)
    with complete_file(path) as partial, h5py.File(partial, "w", locking=False) as file:
        _write_cubes(file, cubes, digest)
        unmatched = set(IMAGE_COLUMNS) ^ set(images)
        if unmatched:
            raise ValueError(f"images must have exactly IMAGE_COLUMNS: {sorted(unmatched)}")
        if flux_sum is not None and flux_count is not None:
            for name, values in (("flux_sum", flux_sum), ("flux_count", flux_count.astype("i4"))):
                file.create_dataset(name, data=values, chunks=_map_chunks(values), **packed())
        common = np.zeros(cubes.window.shape) if common_flags is None else common_flags
        common = common.astype(np.uint8)
        file.create_dataset("common_flags", data=common, chunks=_map_chunks(common), **packed())
        for name in IMAGE_COLUMNS:
            values = np.asarray(images[name])
            if name in SINGLE_PRECISION:
                values = values.astype(np.float32)
            if values.dtype.kind in "US":
                values = values.astype(h5py.string_dtype())
            file.create_dataset(f"images/{name}", data=values)
            as_text = values.dtype == object
            digest.update(
                repr(values.tolist()).encode() if as_text else np.ascontiguousarray(values)
            )
        for name, values in motion_stars.items():
            file.create_dataset(f"motion_stars/{name}", data=values)
        for name, values in (patches or {}).items():
            file.create_dataset(f"patches/{name}", data=values, **packed())
        file.attrs.update(attributes)
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["ccd"] = str(ccd_id)
        file.attrs["window"] = cubes.window.as_list()
        file.attrs["digest"] = digest.hexdigest()


def read_images(path: Path, names: Iterable[str] = IMAGE_COLUMNS) -> dict[str, NDArray]:
    """Read the per-image values of a block, or some of them (of `IMAGE_COLUMNS`)."""
    with open_block(path) as file:
        return {name: _read(file[f"images/{name}"]) for name in names}


def read_all_images(paths: Iterable[Path], names: Iterable[str]) -> dict[str, NDArray]:
    """Read some per-image values of all blocks of a CCD, one after the other.

    Raises
    ------
    InputDataError
        If a block cannot be read, or the images of one are before those of the one before it.
    """
    names, paths = tuple(names), tuple(paths)
    tables = [read_images(path, names) for path in paths]
    starts = [read_images(path, ["time"])["time"] for path in paths]
    for before, path, earlier, later in zip(paths, paths[1:], starts, starts[1:], strict=False):
        if not later[0] > earlier[-1]:
            raise InputDataError(
                f"{path}: its images are not after those of {before.name}: one of them is not "
                f"the block that its name says; {remedy(path)} {before}"
            )
    return {name: np.concatenate([table.pop(name) for table in tables]) for name in names}


def read_sums(path: Path) -> tuple[NDArray, NDArray]:
    """Read ``flux_sum`` and ``flux_count`` of a block."""
    with open_block(path) as file:
        return file["flux_sum"][()], file["flux_count"][()]


def read_flux(
    path: Path,
    pixels: tuple[slice, slice],
    images: NDArray | slice = slice(None),
    *,
    whole: NDArray | None = None,
) -> NDArray:
    """Read the flux of some pixels of a block, (n, n_rows, n_columns) float32 [e-/s].

    ``images`` are the numbers of the images in the block, increasing; all if left out. ``whole``
    (n, 2) int: by how many rows and columns they are displaced, each is read from there; NaN
    where there is no such pixel.
    """
    return _read_pixels(path, "flux", pixels, images, whole, np.nan)


def read_flags(
    path: Path,
    pixels: tuple[slice, slice],
    images: NDArray | slice = slice(None),
    *,
    whole: NDArray | None = None,
) -> NDArray:
    """Read the flags of some pixels of a block, (n, n_rows, n_columns) uint8; see `read_flux`."""
    return _read_pixels(path, "pixel_flags", pixels, images, whole, 0)


def _read_pixels(
    path: Path,
    name: str,
    pixels: tuple[slice, slice],
    images: NDArray | slice,
    whole: NDArray | None,
    missing: float,
) -> NDArray:
    """Read some pixels of a cube, ``missing`` where there is none.

    A chunk has all images: to pick some of them with HDF5 takes ten times as long as to read
    all of them from the first to the last.
    """
    with open_block(path) as file:
        if whole is not None and whole.any():
            return read_displaced(file[name], pixels, images, whole, missing)
        if isinstance(images, slice):
            return file[name][(images, *pixels)]
        first, last = (images[0], images[-1] + 1) if len(images) else (0, 0)
        found = file[name][(slice(first, last), *pixels)]
        return found if len(found) == len(images) else found[images - first]


def read_displaced(
    cube: h5py.Dataset,
    pixels: tuple[slice, slice],
    images: NDArray | slice,
    whole: NDArray,
    missing: float,
) -> NDArray:
    """Read images, each from as many whole pixels away as its stars are displaced.

    Parameters and result as of `read_flux`, from a dataset (n_images, n_rows, n_columns).
    """
    if not whole.any() and isinstance(images, slice):
        return cube[(images, *pixels)]
    numbers = np.arange(len(cube))[images]
    shape = [len(range(*axis.indices(n))) for axis, n in zip(pixels, cube.shape[1:], strict=True)]
    found = np.full((len(numbers), *shape), missing, dtype=cube.dtype)
    for moved in np.unique(whole, axis=0):
        alike = np.flatnonzero((whole == moved).all(axis=1))
        source, target = displaced_pixels(pixels, (int(moved[0]), int(moved[1])), cube.shape[1:])
        first, last = numbers[alike[0]], numbers[alike[-1]] + 1
        values = cube[(slice(first, last), *source)]
        found[(alike, *target)] = values[numbers[alike] - first]
    return found


def read_common_flags(path: Path) -> NDArray:
    """Read the flags that a block's pixels have in all images, (n_rows, n_columns) uint8."""
    with open_block(path) as file:
        return file["common_flags"][()]


def read_patches(path: Path) -> dict[str, NDArray] | None:
    """Read ``windows`` and ``index`` of the patches, None where the whole window is known."""
    with open_block(path) as file:
        if "patches" not in file:
            return None
        return {name: dataset[()] for name, dataset in file["patches"].items()}


def read_motion_stars(path: Path) -> dict[str, NDArray]:
    """Read the stars whose positions stand in ``star_row`` and ``star_column``."""
    with open_block(path) as file:
        return {name: dataset[()] for name, dataset in file["motion_stars"].items()}


def read_identity(path: Path) -> dict[str, object]:
    """Read what tells a block from others: name, size [bytes], digest, window, shape."""
    with open_block(path) as file:
        return {
            "name": path.name,
            "size": path.stat().st_size,
            "digest": str(file.attrs["digest"]),
            "window": Window(*map(int, file.attrs["window"])),
            "ccd": str(file.attrs["ccd"]),
            "n_images": file["flux"].shape[0],
        }


@contextmanager
def open_block(path: Path) -> Iterator[h5py.File]:
    """Open a block for reading.

    Raises
    ------
    InputDataError
        If it is not there, not a whole HDF5 file, of another format version, or
        damaged where the ``with`` block reads.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            check_format_version(file, path, FORMAT_VERSION, unnamed=1)  # the first named none
            yield file
    except (OSError, KeyError, RuntimeError) as err:
        raise InputDataError(f"{path}: the block cannot be read ({err}); {remedy(path)}") from err


def remedy(path: Path) -> str:
    """Say how a block is made again."""
    return f"delete it and make it again: snakemake ... -- {path}"


def _write_cubes(file: h5py.File, cubes: Cubes, digest: blake2b) -> None:
    """Write the three cubes piece by piece, and feed the digest with the fluxes."""
    n_rows, n_columns = cubes.window.shape
    chunks = (
        max(1, min(cubes.chunk_cadences, cubes.n_images)),
        min(cubes.chunk_side, n_rows),
        min(cubes.chunk_side, n_columns),
    )
    shape = (cubes.n_images, n_rows, n_columns)
    for name, dtype, fill in (
        ("flux", "f4", np.nan),
        ("flux_err", "f4", np.nan),
        ("pixel_flags", "u1", 0),
    ):
        file.create_dataset(
            name, shape=shape, dtype=dtype, chunks=chunks, fillvalue=fill, **packed()
        )
    flux, flux_err, pixel_flags = (file[name] for name in ("flux", "flux_err", "pixel_flags"))
    for piece in cubes.pieces():
        rows, columns = piece.window.slices_in(cubes.window)
        flux[piece.cadences, rows, columns] = piece.flux
        flux_err[piece.cadences, rows, columns] = piece.flux_err
        if piece.pixel_flags.any():
            pixel_flags[piece.cadences, rows, columns] = piece.pixel_flags
        digest.update(np.ascontiguousarray(piece.flux[:, ::DIGEST_STEP]))


def packed() -> dict:
    """How datasets are compressed."""
    blosc = hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.BITSHUFFLE)
    return {"fletcher32": True, **blosc}


def _map_chunks(image: NDArray) -> tuple[int, int]:
    """Chunk shape for single images."""
    return tuple(min(256, size) for size in image.shape)


def _read(dataset: h5py.Dataset) -> NDArray:
    """Read a dataset, text as str."""
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return dataset.asstr()[()]
    return dataset[()]
