"""``pixels.hdf5``: all images of a CCD as one cube, with all that photometry needs.

Fluxes and errors are virtual datasets over the blocks, so that no pixel is on
disk twice. HDF5 itself gives fill values for a block that is missing;
`PixelCube` refuses it by name instead. Flags, which need all blocks to be
known, are here. Datasets are described in ``docs/pixels_hdf5.md``.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Self

import h5py
import hdf5plugin  # noqa: F401  (registers the filters that the blocks are compressed with)
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import against_mean, displacement, displacement_in
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import OWN_BAD_CADENCE
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.noise_model import NoiseModel, is_sane
from tessphot_lib.core.patches import Patches
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.runs import means_of_runs
from tessphot_lib.core.slopes import SLOPE_REACH, image_slopes
from tessphot_lib.io.files.format_version import check_format_version
from tessphot_lib.io.products.block_cubes import BlockCubes
from tessphot_lib.io.products.block_hdf5 import open_block, remedy
from tessphot_lib.io.products.patch_models import PatchModels

FORMAT_VERSION = 1  # to be raised when readers of before would misunderstand the file
SAMPLE = 64  # cadences that show what stated errors are worth: they hardly take time to read
VIRTUAL = ("flux", "flux_err")  # cubes that the blocks hold
PER_IMAGE = (
    "time",
    "time_start",
    "time_stop",
    "timecorr",
    "exposure_time",
    "cadenceno",
    "quality",
    "background",
    "background_error",
    "background_level",
    "motion",
    "motion_error",
    "observatory_position",
)


class PixelCube:
    """All images of a CCD, read as far as they are needed.

    Use it in a ``with`` statement::

        stamp = Window(100, 115, 200, 215)
        with PixelCube(path) as cube:
            light = cube.read("flux", stamp) - cube.background_in(stamp)  # (n_cadences, 15, 15)
            row, column = cube.motion_at(107.2, 206.9)  # (n_cadences,)
            good = cube.is_good()

    Parameters
    ----------
    path : Path
        ``pixels.hdf5``; its blocks lie beside it as it names them.
    near : Window, optional
        Of the backgrounds of patches, those that reach in here are read at once, and others when
        they are needed; all if left out. It saves memory and time where there are many, and
        changes no result.

    Attributes
    ----------
    ccd_id, window, attributes
    n_cadences : int
    grid : BackgroundGrid
        What the backgrounds are of: cells of a mesh, or patches, for cutouts.
    noise : NoiseModel or None
        Whose errors ``read("flux_err")`` gives; None in files that hold none: the images'.
    pointing : Pointing
        Where the images point. Of those displaced by half a pixel and more all pixels are read
        from as many whole pixels away, and these are not in ``motion``.
    own_motion : dict
        ``tic_id`` (n_stars,), ``d_row`` and ``d_column`` (n_cadences, n_stars) of what each of
        a few motion stars contributes to the motion at itself [pixels]; empty for many.
    image_name, time, time_start, time_stop, timecorr, exposure_time, cadenceno, quality,
    background, background_error, background_level, motion, motion_error,
    observatory_position : arrays
        One entry per image: the datasets of `PER_IMAGE`, see ``docs/pixels_hdf5.md``.

    Raises
    ------
    InputDataError
        If the file cannot be read or has another format version, or a block is
        missing, or is another one than when the file was made; from all methods that
        read, if it has been closed.
    """

    def __init__(self, path: Path, near: Window | None = None) -> None:
        self.path = Path(path)
        self._near = near
        self._open_datasets: dict[str, h5py.Dataset] = {}
        self._residual: NDArray | None = None  # model of one image, as `background`
        try:
            self._opened = h5py.File(self.path, "r", locking=False)
        except OSError as err:
            raise InputDataError(f"{path}: cannot be read: {err}") from err
        try:
            check_format_version(self._file, self.path, FORMAT_VERSION)
            self._load()
            self._check_blocks()
        except KeyError as err:
            self.close()
            raise InputDataError(f"{path}: not a pixels.hdf5 of this version: {err}") from err
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is read from then on is an error."""
        self._open_datasets.clear()
        self._opened.close()
        self.close_blocks()

    def close_blocks(self) -> None:
        """Close the files of the pixels, which are opened again when they are needed.

        There may be 160 of them: too many where the images of several CCDs are looked at.
        """
        if "_cubes" in vars(self):
            self._cubes.close()

    @property
    def _file(self) -> h5py.File:
        """The open file."""
        if not self._opened:
            raise InputDataError(
                f"{self.path}: the file is closed; read it inside of its with statement"
            )
        return self._opened

    def read(
        self, name: str, region: Window | None = None, cadences: slice = slice(None)
    ) -> NDArray:
        """Read a part of a cube.

        Parameters
        ----------
        name : {'flux', 'flux_err', 'pixel_flags'}
            Errors are those of the images, or measured ones, see `noise`.
        region : Window, optional
            Science pixels, inside `window`; all of them if left out.
        cadences : slice, optional
            Which images.

        Returns
        -------
        (n_cadences, n_rows, n_columns) array
            float32 [e-/s], sky included, NaN where there is no pixel; or uint8 bits.

        Raises
        ------
        InputDataError
            If a chunk is damaged.
        """
        if name == "flux_err" and self.noise is not None:
            return self.read_with_errors(region, cadences)[1]
        return self._stored(name, region, cadences)

    def read_with_errors(
        self, region: Window | None = None, cadences: slice = slice(None)
    ) -> tuple[NDArray, NDArray]:
        """Read flux and its errors, which are computed from it where they are measured.

        Parameters, and errors raised, as of `read`.

        Returns
        -------
        flux, flux_err : (n_cadences, n_rows, n_columns) float32 arrays
        """
        flux, stated = (self._stored(name, region, cadences) for name in ("flux", "flux_err"))
        if self.noise is None:
            return flux, stated
        return flux, self.noise.errors(stated, flux, self.window if region is None else region)

    def read_used(
        self,
        region: Window,
        used: NDArray,
        cadences: slice = slice(None),
        *,
        with_stated: bool = True,
    ) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Read some pixels of a region, the images of each beside each other.

        Parameters
        ----------
        region, cadences
            As of `read`.
        used : (n,) int array
            Flat indices of the pixels in the region.
        with_stated : bool
            False: all errors are those of the noise model, if there is one, whether they count
            or not. That saves half of the reading.

        Returns
        -------
        flux, flux_err : (n, n_cadences) float32 arrays
            As those of `read_with_errors`.
        background : (n, n_cadences) float64 array
            As `background_in`.
        pixel_flags : (n, n_cadences) uint8 array
        """
        flux = _side_by_side(self._stored("flux", region, cadences), used)
        flags = np.zeros(flux.shape, np.uint8)
        if self._has_flags:
            flags = _side_by_side(self._stored("pixel_flags", region, cadences), used)
        columns = (region.column0 + used % region.shape[1])[:, None]
        if self.noise is not None and not (with_stated and self.noise.source == "images"):
            error = self.noise.sigma_at(flux, columns)
        else:
            error = _side_by_side(self._stored("flux_err", region, cadences), used)
            if self.noise is not None:
                error = self.noise.errors_at(error, flux, columns)
        return flux, error, self._background_of(region, used, cadences), flags

    def _background_of(self, region: Window, used: NDArray, cadences: slice) -> NDArray:
        """Background of some pixels of a region, (n, n_cadences)."""
        if self.static_light is not None:
            return _side_by_side(self.background_in(region, cadences), used)
        parts = [
            self.grid.displaced(whole).evaluate_pixels(self.background[some], region, used)
            for some, whole in self._runs(cadences)
        ]
        return parts[0] if len(parts) == 1 else np.hstack(parts)

    def read_means(
        self, region: Window, cadences: slice, starts: NDArray, counts: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Read means of runs of images, and their errors.

        Parameters
        ----------
        region, cadences
            As of `read`; ``cadences`` without a step.
        starts : (n_runs,) int array
            Where the runs begin among the cadences, increasing; each ends where the next begins.
        counts : (n,) bool array
            Which of the cadences count.

        Returns
        -------
        flux, flux_err : (n_runs, n_rows, n_columns) float32 arrays
            NaN where none that counts has the pixel. Errors follow from the mean flux; stated ones
            are looked at in a sample of the cadences, by how much they differ from these.
        """
        every = self._stored("flux", region, cadences)
        flux, numbers = means_of_runs(every, starts, counts)
        if self.noise is None:
            stated = self._stored("flux_err", region, cadences)
            error = np.sqrt(means_of_runs(np.square(stated), starts, counts)[0])
        else:
            error = self.noise.sigma(flux, region)
            if self.noise.source == "images":
                error *= self._stated_over_expected(region, cadences, every, counts)
        return flux, error / np.sqrt(np.where(numbers > 0, numbers, np.float32(np.nan)))

    def _stated_over_expected(
        self, region: Window, cadences: slice, flux: NDArray, counts: NDArray
    ) -> NDArray:
        """Stated errors of pixels in units of those of the noise model, (n_rows, n_columns).

        From the cadences in the middle of those that count; 1 where no error can be one.
        """
        assert self.noise is not None
        counted = np.flatnonzero(counts)
        middle = int(counted[len(counted) // 2]) if counted.size else 0
        sample = slice(max(middle - SAMPLE // 2, 0), min(middle + SAMPLE // 2, len(counts)))
        first = cadences.indices(self.n_cadences)[0]
        there = slice(first + sample.start, first + sample.stop)
        stated, expected = (
            self._stored("flux_err", region, there),
            self.noise.sigma(flux[sample], region),
        )
        known = is_sane(stated, expected) & counts[sample, None, None]
        squares = [(np.where(known, one, 0.0) ** 2).sum(axis=0) for one in (stated, expected)]
        ratio = np.sqrt(squares[0] / np.where(squares[1] > 0, squares[1], 1.0))
        return np.where(squares[1] > 0, ratio, 1.0).astype(np.float32)

    def _stored(self, name: str, region: Window | None, cadences: slice) -> NDArray:
        """Read a part of a cube as it is in the file."""
        file = self._file
        region = self.window if region is None else region
        if region.intersect(self.window) != region:
            raise ValueError(f"{region.as_list()} leaves the window {self.window.as_list()}")
        rows, columns = region.slices_in(self.window)
        if name == "pixel_flags" and not self._has_flags:
            n_cadences = len(range(*cadences.indices(self.n_cadences)))
            return np.zeros((n_cadences, *region.shape), np.uint8)
        first, last, step = cadences.indices(self.n_cadences)
        try:
            if name in VIRTUAL and step == 1:
                return self._cubes.read(name, first, last, (rows, columns))
            return file[name][cadences, rows, columns]
        except OSError as err:
            for path, _ in self._blocks():
                with open_block(path) as block:  # tells which one is damaged
                    _ = block[name][:, rows, columns] if name in block else None
            raise self._damaged(f"{name} of {region.as_list()}", err) from err

    @cached_property
    def _has_flags(self) -> bool:
        """Whether any pixel has a flag: chunks without one are not in the file."""
        return bool(self._file["pixel_flags"].id.get_storage_size() > 0)

    def flags(self, region: Window | None = None, cadences: slice = slice(None)) -> NDArray:
        """All bits of `PixelFlag` of some pixels, (n_cadences, n_rows, n_columns) uint8.

        Those of ``read("pixel_flags")``, and those that a pixel has in all images.
        """
        region = self.window if region is None else region
        changing = self.read("pixel_flags", region, cadences)
        return changing | self._part("common_flags", region.slices_in(self.window))

    def average_image(self, region: Window | None = None) -> NDArray:
        """Average image of a region, (n_rows, n_columns) [e-/s]; NaN without pixels."""
        region = self.window if region is None else region
        image = self._part("average_image", region.slices_in(self.window))
        if self._residual is not None:
            image = image - self.grid.evaluate(self._residual, region)[0].astype(image.dtype)
        return image

    def subtract_residual(self, levels: NDArray) -> None:
        """Count constant levels (n_parts,) [e-/s per pixel] as background from now on.

        They are in all backgrounds, and not in the average image. One after the other they
        add up.
        """
        shape, dtype = (1, *self.background.shape[1:]), self.background.dtype
        if isinstance(self.background, PatchModels):
            self.background = self.background.raised(levels)
        else:
            self.background = self.grid.raised(self.background, levels)
        before = np.zeros(shape, dtype) if self._residual is None else self._residual
        self._residual = self.grid.raised(before, levels)

    def background_in(self, region: Window, cadences: slice = slice(None)) -> NDArray:
        """Background in a region, (n_cadences, n_rows, n_columns) float64 [e-/s per pixel].

        NaN in images without one, and off the patches of cutouts. Static light moves with the
        stars.
        """
        _, _, step = cadences.indices(self.n_cadences)
        parts = [
            self.grid.displaced(whole).evaluate(self.background[some], region)
            for some, whole in self._runs(cadences)
        ]
        level = (parts[0] if len(parts) == 1 else np.concatenate(parts))[::step]
        if self.static_light is not None:
            slopes = self._static_slopes(region)
            if not slopes.any():  # no extended light here
                return level
            for index, motion in enumerate(self._against_average[cadences]):
                for moved, slope in zip(displacement_in(motion, region), slopes, strict=True):
                    level[index] -= moved * slope
        return level

    def mean_background_in(
        self, region: Window, cadences: slice, starts: NDArray, counts: NDArray
    ) -> NDArray:
        """Means of `background_in` over runs of images, see `read_means`, float64."""
        if self.static_light is not None or self.pointing.has_steps:
            background = self.background_in(region, cadences)
            return means_of_runs(background, starts, counts)[0]
        # A background is linear in its model; only what the region needs of it is averaged.
        parts = self.grid.parts_in(region)
        model = self.background[cadences][:, parts]
        means = np.empty((len(starts), *self.background.shape[1:]), model.dtype)
        means[:, parts] = means_of_runs(model, starts, counts)[0]
        return self.grid.evaluate(means, region)

    def background_at(
        self, row: float | NDArray, column: float | NDArray
    ) -> tuple[NDArray, NDArray]:
        """Background and its 1-sigma error at positions.

        Parameters
        ----------
        row, column : float, or (n,) arrays
            [science pixels]

        Returns
        -------
        background, error : (n_cadences,) or (n_cadences, n) float64 arrays
            [e-/s per pixel]; NaN in images without one. What is constant in
            time, as the light of stars that no catalog knows, is not in the error.
        """
        at = np.atleast_1d(row).astype(float), np.atleast_1d(column).astype(float)
        shape = (self.n_cadences, *np.shape(row))
        level = np.concatenate(
            [
                self.grid.displaced(whole).evaluate_at(self.background[some], *at)
                for some, whole in self._runs(slice(None))
            ]
        )
        if self.static_light is not None and at[0].size:
            window = self.window
            rows = np.clip(np.round(at[0]).astype(int), window.row0, window.row1 - 1)
            columns = np.clip(np.round(at[1]).astype(int), window.column0, window.column1 - 1)
            ends = [int(end) for axis in (rows, columns) for end in (axis.min(), axis.max() + 1)]
            box = Window(*ends)
            moved = displacement(self._against_average, *at)
            for distance, slope in zip(moved, self._static_slopes(box), strict=True):
                level -= distance * slope[rows - box.row0, columns - box.column0]
        return level.reshape(shape), self.grid.error_at(self.background_error, *at).reshape(shape)

    def _runs(self, cadences: slice) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Consecutive images among some that are displaced alike, and by how many pixels."""
        first, last, _ = cadences.indices(self.n_cadences)
        return self.pointing.runs(first, last)

    def is_averaged(self) -> NDArray:
        """Return which images the average image is the mean of, (n_cadences,) bool.

        That of a cutout may have images that were found to be bad later on, or be without some
        whose sky is bright there. Of files that do not say it: the good ones that point there.
        """
        if "is_averaged" in self._file:
            return self._file["is_averaged"][()]
        good = self.is_good()
        usual = good & self.pointing.is_usual
        return usual if usual.any() else good

    @cached_property
    def mean_motion(self) -> NDArray:
        """Affine motion (6,) of the average image against the reference; 0 if unknown."""
        motion = self.motion[self.is_averaged()]
        motion = motion[np.isfinite(motion).all(axis=1)]
        return motion.mean(axis=0) if len(motion) else np.zeros(6)

    @cached_property
    def _against_average(self) -> NDArray:
        """Motion of the images against the average image, (n_cadences, 6); 0 where unknown."""
        return np.nan_to_num(against_mean(self.motion, self.is_averaged()))

    @property
    def static_light(self) -> NDArray | None:
        """Extended light that all backgrounds have, (n_rows, n_columns) [e-/s]; None for none."""
        return getattr(self.grid, "static_light", None)

    def _static_slopes(self, region: Window) -> NDArray:
        """Slopes of the static light by row and column, (2, n_rows, n_columns)."""
        assert self.static_light is not None
        around = region.widened(SLOPE_REACH, self.window)
        slopes = image_slopes(self.static_light[around.slices_in(self.window)])
        return slopes[:, *region.slices_in(around)]

    def motion_at(self, row: float | NDArray, column: float | NDArray) -> tuple[NDArray, NDArray]:
        """Motion of the images at positions, against the reference image.

        Parameters
        ----------
        row, column : float, or (n,) arrays
            [science pixels]

        Returns
        -------
        d_row, d_column : (n_cadences,) or (n_cadences, n) float64 arrays
            [pixels] of a star in the pixels as they are read; NaN in images whose motion is not
            known.
        """
        shape = (self.n_cadences, *np.shape(row))
        moved = displacement(self.motion, np.atleast_1d(row), np.atleast_1d(column))
        return moved[0].reshape(shape), moved[1].reshape(shape)

    def is_good(self) -> NDArray:
        """Return which images have none of the bits that count as bad, (n_cadences,) bool."""
        bad = int(self.attributes["bad_quality"]) | int(OWN_BAD_CADENCE)
        return (self.quality & bad) == 0

    @cached_property
    def typical_image(self) -> int:
        """Number of the image whose background is the median one; of unflagged ones, if any."""
        level = np.where(self.quality == 0, self.background_level, np.nan)
        if not np.isfinite(level).any():
            level = np.nan_to_num(self.background_level)
        return int(np.nanargmin(np.abs(level - np.nanmedian(level))))

    def block_slices(self) -> Iterator[slice]:
        """Cadences of one block after the other: how to go through a cube in little memory."""
        first = 0
        for n_images in self._part("blocks/n_images"):
            yield slice(first, first + int(n_images))
            first += int(n_images)

    @cached_property
    def _cubes(self) -> BlockCubes:
        """The blocks, to read pixels from."""
        paths = [block for block, _ in self._blocks()]
        return BlockCubes(paths, self._file["blocks/n_images"][()].tolist(), self.pointing)

    def _load(self) -> None:
        """Read everything but pixels."""
        self.attributes = dict(self._file.attrs)
        self.ccd_id = CcdId.from_string(str(self.attributes["ccd"]))
        self.window = Window(*map(int, self.attributes["window"]))
        noise = self.attributes.get("noise")
        self.noise = NoiseModel.from_json(str(noise)) if noise else None
        self.time: NDArray[np.float64] = self._part("time")
        self.time_start: NDArray[np.float64] = self._part("time_start")
        self.time_stop: NDArray[np.float64] = self._part("time_stop")
        self.timecorr: NDArray[np.float64] = self._part("timecorr")
        self.exposure_time: NDArray[np.float64] = self._part("exposure_time")
        self.cadenceno: NDArray[np.int64] = self._part("cadenceno")
        self.quality: NDArray[np.int32] = self._part("quality")
        self.background_level: NDArray[np.float64] = self._part("background_level")
        self.pointing = Pointing.single(len(self.time))
        if "pointing" in self._file:
            names = "pointing/displacement", "pointing/is_usual"
            self.pointing = Pointing(*map(self._part, names))
        self.motion: NDArray[np.float64] = self.pointing.without_whole(self._part("motion"))
        self.motion_error: NDArray[np.float64] = self._part("motion_error")
        self.observatory_position: NDArray[np.float64] = self._part("observatory_position")
        own = self._file.get("own_motion", {})
        self.own_motion: dict[str, NDArray] = {name: own[name][()] for name in own}
        self.n_cadences = len(self.time)
        self.image_name: NDArray[np.object_] = self._file["image_name"].asstr()[()]
        grid = Mesh if Mesh.kind in self._file else Patches
        arrays = {name: data[()] for name, data in self._file[grid.kind].items()}
        self.grid: BackgroundGrid = grid.from_arrays(self.window, arrays)
        for name in ("background", "background_error"):  # large, and often not needed
            _ = self._file[name]

    @cached_property
    def background(self) -> NDArray[np.float32] | PatchModels:
        """Models of the backgrounds; of patches those around `near` first."""
        if self._near is None or self.grid.is_continuous:
            return self._part("background")
        region = self._near.intersect(self.window)
        patches = () if region is None else self.grid.parts_in(region)
        try:
            return PatchModels(self._file["background"], map(int, patches))
        except OSError as err:
            raise self._damaged("background", err) from err

    @cached_property
    def background_error(self) -> NDArray[np.float32]:
        """Errors of the backgrounds."""
        return self._part("background_error")

    def _part(self, name: str, where: tuple[slice, ...] = ()) -> NDArray:
        """Read a dataset of this file, not of the blocks.

        It stays open, with the chunks that were read last: stars lie beside each other.
        """
        file = self._file
        try:
            if name not in self._open_datasets:
                self._open_datasets[name] = file[name]
            return self._open_datasets[name][where]
        except OSError as err:
            raise self._damaged(name, err) from err

    def _damaged(self, what: str, err: OSError) -> InputDataError:
        return InputDataError(
            f"{self.path}: {what} cannot be read ({err}); "
            f"delete it and make it again: snakemake ... -- {self.path}"
        )

    def _blocks(self) -> Iterator[tuple[Path, tuple[int, str]]]:
        """Path of each block, and the size and digest that it must have."""
        table = self._file["blocks"]
        expected = zip(table["size"][()], table["digest"].asstr()[()], strict=True)
        for name, identity in zip(table["path"].asstr()[()], expected, strict=True):
            yield self.path.parent / name, identity

    def _check_blocks(self) -> None:
        """Compare each block with what is written here about it."""
        for block, (size, digest) in self._blocks():
            if not block.is_file():
                raise InputDataError(
                    f"{self.path}: its block {block} is missing; make it again: "
                    f"snakemake ... -- {block}"
                )
            if block.stat().st_size != size:
                raise InputDataError(
                    f"{self.path}: its block {block} has {block.stat().st_size} bytes, "
                    f"not {size}; {remedy(block)}"
                )
            with open_block(block) as file:
                is_same = str(file.attrs["digest"]) == digest
            if not is_same:
                raise InputDataError(
                    f"{self.path}: its block {block} is not the one it was made from; "
                    f"{remedy(block)}"
                )


def _side_by_side(cube: NDArray, used: NDArray) -> NDArray:
    """Some pixels, by flat indices, of a cube (n_cadences, n_rows, n_columns): (n, n_cadences)."""
    return cube.reshape(len(cube), cube.shape[1] * cube.shape[2]).T[used]
