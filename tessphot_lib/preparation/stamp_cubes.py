"""The pixels of target pixel files: patch by patch, some cadences at a time.

Their backgrounds are SPOC's. The pixels of the archive hold flux and background
together, as those of images do, and the background of a patch is a polynomial, fitted
to FLUX_BKG; what is taken off later is what has been put on, so that the flux is SPOC's
whatever the polynomial leaves over.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import FULL_WELL_RATE, saturation_flags
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import SANE, NoiseModel
from tessphot_lib.core.patches import polynomial_terms
from tessphot_lib.io.images.refusal import naming_the_remedy
from tessphot_lib.io.images.tpf_stamps import (
    CADENCES_AT_ONCE,
    PIXEL_COLUMNS,
    StampFile,
    StampPixels,
    check_whole,
    read_stamp,
    stamp_pixels,
)
from tessphot_lib.io.products.block_hdf5 import CubePiece, quantize, rounded_errors
from tessphot_lib.motion.star_series import measure_star_series
from tessphot_lib.motion.stated_motion import StatedMotion
from tessphot_lib.preparation.patch_cubes import (
    STAR_COLUMNS,
    PatchCubes,
    star_stamp,
)
from tessphot_lib.preparation.stamp_checks import LATE

log = logging.getLogger(__name__)

MOTION_GRID = 4  # cells of the CCD on a side, from each of which ...
MOTION_STARS = 16  # ... the brightest stars tell the motion
BACKGROUND_ERROR = 0.1  # [e-/s per pixel] that SPOC's background leaves over, a guess
CELL = 512.0  # [pixels]
TOLD_EVERY = 50  # patches
BAND_CADENCES = 512  # rounded at once, so that they stay in the cache


@dataclass
class StampCubes(PatchCubes):
    """The pixels of target pixel files; see `PatchCubes`.

    Attributes
    ----------
    on_bad_image : {'error', 'skip'}
    """

    chunk_side: ClassVar[int] = 4  # a stamp has some 11 x 11 pixels, and others are far away
    chunk_cadences: ClassVar[int] = CADENCES_AT_ONCE
    n_terms: ClassVar[int] = 3  # a stamp is small, and SPOC's background smooth
    dtype: ClassVar[type] = np.float32

    on_bad_image: str = "error"
    _stated: StatedMotion = field(init=False)
    _stated_in: dict[int, int] = field(default_factory=dict)  # the patch that a file counts in

    def __post_init__(self) -> None:
        super().__post_init__()
        self._stated = StatedMotion(self.n_images)

    def header_motion(self) -> NDArray:
        """POS_CORR of all files, (n_images, 6)."""
        return self._stated.motion()

    def motion_stars_of_all(self) -> NDArray:
        """Rows of the catalog whose positions tell the motion: the brightest, spread."""
        chosen = super().motion_stars_of_all()
        return chosen[spread_stars(*(self.stars[name].to_numpy()[chosen] for name in STAR_COLUMNS))]

    @property
    def _clock(self) -> tuple[NDArray, NDArray]:
        """Numbers of the cadences, and their times at the spacecraft [BTJD]."""
        time, timecorr = (np.asarray(self.table[name]) for name in ("time", "timecorr"))
        return self.cadenceno, time - timecorr

    @property
    def n_patches(self) -> int:
        """Number of patches."""
        return len(self.patches.windows)

    def pieces(self) -> Iterator[CubePiece]:
        """Read patch by patch, some cadences at a time, and measure each on the way."""
        for number, window in enumerate(self.patches.windows):
            yield from self._pieces_of(number, window)
            if (number + 1) % TOLD_EVERY == 0 or number + 1 == self.n_patches:
                log.info("%s: patch %d of %d", self.ccd_id, number + 1, self.n_patches)
        self.complete()

    def _pieces_of(self, number: int, window: Window) -> Iterator[CubePiece]:
        """Pixels of a patch."""
        stars = [
            (star, star_stamp(star.row, star.column, window))
            for star in self.stars_of_motion(number).itertuples()
        ]
        of_stars = [np.empty((self.n_images, *stamp.shape), np.float32) for _, stamp in stars]
        terms = polynomial_terms(window, *(axis.ravel() for axis in _axes(window)))
        terms = terms[:, : self.n_terms]
        inverse = np.linalg.pinv(terms)
        for cadences, light, flux_err, background in self._chunks(number, window):
            background = background.reshape(len(background), -1)
            model = fit_terms(background, terms, inverse).astype(self.dtype)
            self.background[cadences, number] = model
            error = np.where(np.isfinite(model[:, 0]), BACKGROUND_ERROR, np.nan)
            self.background_error[cadences, number] = error
            is_averaged = self.is_averaged(model[:, 0], cadences)
            self.add_to_average(number, light if is_averaged.all() else light[is_averaged])
            for (_, stamp), of_star in zip(stars, of_stars, strict=True):
                of_star[cadences] = light[(slice(None), *stamp.slices_in(window))]
            flux, flags = np.empty_like(light), np.zeros(light.shape, dtype=np.uint8)
            for first in range(0, len(light), BAND_CADENCES):
                some = slice(first, first + BAND_CADENCES)
                level = (model[some].astype(float) @ terms.T).reshape(-1, *window.shape)
                whole = (light[some] + level).astype(np.float32)
                self._round(whole, flux_err[some], window, out=flux[some])
                flux_err[some] = rounded_errors(flux_err[some])
                flags[some] = saturation_flags(whole, FULL_WELL_RATE)
            yield CubePiece(window, flux, flux_err, flags, cadences)
        for (star, stamp), of_star in zip(stars, of_stars, strict=True):
            self.add_star(star.Index, measure_star_series(of_star, stamp, star.row, star.column))

    def _round(self, flux: NDArray, flux_err: NDArray, window: Window, *, out: NDArray) -> None:
        """Round fluxes as their errors allow, or several times the expected ones if lower."""
        expected = NoiseModel.expected(self.ccd_id.cadence).sigma(flux, window)
        expected *= np.float32(SANE[1])
        allowed = np.fmin(flux_err, expected, out=expected)
        quantize(flux, allowed, self.compression_error, out=out)

    def _chunks(
        self, number: int, window: Window
    ) -> Iterator[tuple[slice, NDArray, NDArray, NDArray]]:
        """Flux, error and background of a patch, (n, n_rows, n_columns) each, some cadences a time.

        Stamps agree where they overlap; the first one's pixels are taken.
        """
        slices = [
            slice(first, min(first + self.chunk_cadences, self.n_images))
            for first in range(0, self.n_images, self.chunk_cadences)
        ]
        clock = self._clock
        last = clock[0][[cadences.stop - 1 for cadences in slices]]
        stamps = [read_stamp(one["path"], self.ccd_id) for one in self.members(window)]
        as_they_are = _skipping if self.on_bad_image == "skip" else _refusing
        readers = [_Reader(stamp, as_they_are(stamp, clock), last) for stamp in stamps]
        for stamp in stamps:
            self._stated_in.setdefault(stamp.tic_id, number)
        for cadences in slices:
            parts = [(reader, part) for reader in readers for part in reader.next_chunk()]
            yield (cadences, *self._joined(number, cadences, parts))
        for reader in readers:
            reader.finish()

    def _joined(
        self, number: int, cadences: slice, parts: list[tuple["_Reader", StampPixels]]
    ) -> list[NDArray]:
        """Flux, error and background of some cadences of a patch, NaN where there is no flux."""
        window, numbers = self.patches.windows[number], self.cadenceno[cadences]
        cubes = [np.full((len(numbers), *window.shape), np.nan, np.float32) for _ in range(3)]
        taken = np.zeros(window.shape, dtype=bool)
        for reader, part in parts:
            common = window.intersect(reader.stamp.window)
            rows_columns = common.slices_in(window)
            for here, there in _common_runs(numbers, part.cadenceno):
                if self._stated_in[reader.stamp.tic_id] == number:
                    images = slice(cadences.start + here.start, cadences.start + here.stop)
                    moved = part.pos_corr_row[there], part.pos_corr_column[there]
                    self._stated.add(*reader.position, images, *moved)
                target = (here, *rows_columns)
                source = (there, *common.slices_in(reader.stamp.window))
                new = [one[source] for one in (part.flux, part.flux_err, part.flux_bkg)]
                is_new = ~np.isfinite(cubes[0][target]) if taken[rows_columns].any() else True
                for cube, values in zip(cubes, new, strict=True):
                    np.copyto(cube[target], values, where=is_new)
            taken[rows_columns] = True
        unknown = ~np.isfinite(cubes[0])
        if unknown.any():
            for cube in cubes:
                cube[unknown] = np.nan
        return cubes


class _Reader:
    """Goes through a target pixel file in the steps of the archive."""

    def __init__(self, stamp: StampFile, parts: Iterator[StampPixels], last: NDArray) -> None:
        self.stamp = stamp
        self.position = stamp.position()
        self._last = iter(last.tolist())
        self._parts = parts
        self._held: StampPixels | None = None

    def finish(self) -> None:
        """Read what is left, cadences of no other file: at the end it is checked."""
        for _ in self._parts:
            pass

    def next_chunk(self) -> list[StampPixels]:
        """Return the cadences up to the last one of the next step."""
        last, parts = next(self._last), []
        while True:
            if self._held is None:
                self._held = next(self._parts, None)
            if self._held is None:
                return parts
            count = int(np.searchsorted(self._held.cadenceno, last, side="right"))
            parts.append(_cut(self._held, slice(0, count)))
            if count < len(self._held.cadenceno):
                self._held = _cut(self._held, slice(count, None))
                return parts
            self._held = None


def _checked(stamp: StampFile, clock: tuple[NDArray, NDArray]) -> Iterator[StampPixels]:
    """Cadences of a file; an error if they have other times, or at its end if it has no data.

    ``clock`` is the numbers of all cadences, and their times at the spacecraft.
    """
    empty, n_common = set(PIXEL_COLUMNS), 0
    for part in stamp_pixels(stamp):
        empty = _still_empty(empty, part)
        for here, there in _common_runs(clock[0], part.cadenceno):
            off = (part.moment[there] - clock[1][here]) * SECONDS_PER_DAY
            late = np.flatnonzero(np.abs(off) > LATE * stamp.ccd_id.cadence)
            if late.size:
                raise InputDataError(
                    f"{stamp.path}: cadence {part.cadenceno[there][late[0]]} is "
                    f"{off[late[0]]:+.0f} s off its time in other files"
                )
            n_common += len(off)
        yield part
    _refuse_empty(stamp, empty)
    if n_common == 0:
        raise InputDataError(f"{stamp.path}: it has no cadence (CADENCENO) of other files")


def _still_empty(columns: set[str], part: StampPixels) -> set[str]:
    """Those of the columns of pixels that have no value in some cadences either."""
    images = {"FLUX": part.flux, "FLUX_ERR": part.flux_err, "FLUX_BKG": part.flux_bkg}
    return {name for name in columns if not np.isfinite(images[name]).any()}


def _refuse_empty(stamp: StampFile, columns: set[str]) -> None:
    """Raise InputDataError if columns of a file have no value at all."""
    for name in PIXEL_COLUMNS:
        if name in columns:
            raise InputDataError(f"{stamp.path}: all of column {name} is NaN")


def _refusing(stamp: StampFile, clock: tuple[NDArray, NDArray]) -> Iterator[StampPixels]:
    """Cadences of a file as they are; errors say how to go on without it."""
    with naming_the_remedy():
        yield from _checked(stamp, clock)


def _skipping(stamp: StampFile, clock: tuple[NDArray, NDArray]) -> Iterator[StampPixels]:
    """Cadences of a file up to where it is damaged.

    None of one whose checksum is wrong, nor of one in which a column has no values.
    """
    try:
        check_whole(stamp)
        empty = set(PIXEL_COLUMNS)
        for part in stamp_pixels(stamp):  # the first cadences have values of most files
            empty = _still_empty(empty, part)
            if not empty:
                break
        _refuse_empty(stamp, empty)
        yield from _checked(stamp, clock)
    except InputDataError as err:
        log.warning("left out: %s", err)


def _common_runs(numbers: NDArray, others: NDArray) -> Iterator[tuple[slice, slice]]:
    """Where cadence numbers that both have are, in one and the other; both increase.

    In runs of consecutive ones, of which a file has few: they need no copies.
    """
    first = int(np.searchsorted(numbers, others[0])) if len(others) else 0
    if len(others) and np.array_equal(numbers[first : first + len(others)], others):
        yield slice(first, first + len(others)), slice(0, len(others))  # nearly always
        return
    _, here, there = np.intersect1d(numbers, others, assume_unique=True, return_indices=True)
    ends = np.flatnonzero((np.diff(here) != 1) | (np.diff(there) != 1)) + 1
    bounds = [0, *ends.tolist(), len(here)] if len(here) else [0]
    for begin, end in pairwise(bounds):
        yield (
            slice(int(here[begin]), int(here[end - 1]) + 1),
            slice(int(there[begin]), int(there[end - 1]) + 1),
        )


def _cut(pixels: StampPixels, cadences: slice) -> StampPixels:
    """Some of the cadences."""
    return replace(pixels, **{name: values[cadences] for name, values in vars(pixels).items()})


def _axes(window: Window) -> tuple[NDArray, NDArray]:
    """Rows and columns of the pixels of a window."""
    rows, columns = np.indices(window.shape)
    return rows + window.row0, columns + window.column0


def fit_terms(values: NDArray, terms: NDArray, inverse: NDArray | None = None) -> NDArray:
    """Fit terms to many images by least squares.

    Parameters
    ----------
    values : (n_images, n_pixels) array
        NaN pixels do not count.
    terms : (n_pixels, n_terms) array
        The first one is the level.
    inverse : (n_terms, n_pixels) array, optional
        Of the terms (`numpy.linalg.pinv`), if it is known already.

    Returns
    -------
    (n_images, n_terms) float64 array
        NaN for images without any pixel; the mean alone where others are missing than in
        most images.
    """
    finite = np.isfinite(values)
    if finite.all():
        return values @ (np.linalg.pinv(terms) if inverse is None else inverse).T
    result = np.zeros((len(values), terms.shape[1]))
    n_seen = finite.sum(axis=1)
    result[n_seen == 0] = np.nan
    if not n_seen.any():
        return result
    pixels = finite[int(np.argmax(n_seen))]
    usual = (finite == pixels).all(axis=1)
    result[usual] = values[usual][:, pixels] @ np.linalg.pinv(terms[pixels]).T
    others = ~usual & (n_seen > 0)
    result[others, 0] = np.nanmean(values[others], axis=1)
    return result


def spread_stars(row: NDArray, column: NDArray, tmag: NDArray) -> NDArray:
    """Choose the brightest stars in each cell of the CCD; their indices, increasing."""
    cell = (np.clip(row // CELL, 0, MOTION_GRID - 1) * MOTION_GRID).astype(int)
    cell += np.clip(column // CELL, 0, MOTION_GRID - 1).astype(int)
    order = np.argsort(tmag, kind="stable")
    chosen = [order[cell[order] == number][:MOTION_STARS] for number in np.unique(cell)]
    return np.sort(np.concatenate([np.zeros(0, dtype=int), *chosen]))
