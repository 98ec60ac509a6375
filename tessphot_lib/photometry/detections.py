"""What stands out of the images of a CCD against its average image: detections.

Asteroids, transients and variable stars; `tessphot_lib.photometry.moving_objects` and
`tessphot_lib.photometry.transients` tell them apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement_in
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.medians import medians_of_known
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import mean_motion
from tessphot_lib.photometry.regions import cadence_slices
from tessphot_lib.quality.moving_objects import HALF, PIXEL_SIGMA, Detections, find_detections

CELL, OVERLAP = 256, 4  # [pixels] parts of the CCD that are read together, and beyond
STAR_CHANGE = 0.03  # of the light of the average image, by which stars vary
STAR_MOTION = 0.03  # [pixels] by which the measured motion of the images is off ...
SECOND_ORDER = 0.6  # [1/pixels] ... and this times its square: the average image moves linearly
SCATTERED_ERROR = 0.05  # of scattered light, that its background is off at most
LONG = 1800.0  # [s] that shorter cadences are averaged over: objects hardly move in them
AT_ONCE = 4_000_000  # pixels of all cadences that are looked at together


@dataclass(frozen=True)
class Spans:
    """The cadences that are looked at together: one image, or short cadences of half an hour.

    Attributes
    ----------
    first, stop : (n,) int arrays
        Cadences ``first`` to ``stop - 1``; one of them is good at least.
    image : (n,) int array
        The good one in the middle, which stands for them.
    size : int
        Cadences in a whole span.
    """

    first: NDArray
    stop: NDArray
    image: NDArray
    size: int

    @classmethod
    def of(cls, cube: PixelCube) -> Self:
        """Divide the cadences of a cube; images that are not good are in none."""
        good = np.flatnonzero(cube.is_good())
        size = max(round(LONG / float(cube.attributes["cadence_seconds"])), 1)
        if size == 1 or not good.size:
            return cls(good, good + 1, good, 1)
        number = (cube.cadenceno - cube.cadenceno[0]) // size
        first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
        stop = np.append(first[1:], len(number))
        begin, end = np.searchsorted(good, first), np.searchsorted(good, stop)
        has = end > begin
        middle = (begin + end - 1)[has] // 2
        return cls(first[has], stop[has], good[middle], size)

    def slices(self, cube: PixelCube, window: Window) -> Iterator[tuple[slice, NDArray]]:
        """Cadences to read at once, and the numbers of the spans in them, none of them divided."""
        if self.size == 1:
            for cadences in cadence_slices(cube, window):
                inside = (self.image >= cadences.start) & (self.image < cadences.stop)
                yield cadences, np.flatnonzero(inside)
            return
        at_once = max(AT_ONCE // (window.shape[0] * window.shape[1] * self.size), 1)
        for begin in range(0, len(self.image), at_once):
            numbers = np.arange(begin, min(begin + at_once, len(self.image)))
            yield slice(int(self.first[numbers[0]]), int(self.stop[numbers[-1]])), numbers

    def has(self, images: NDArray, seen: NDArray) -> NDArray:
        """Return which images are in a span of those that are seen, (n,) bool."""
        number = np.searchsorted(self.first, images, side="right")
        return np.isin(number, np.searchsorted(self.first, seen, side="right"))


@dataclass(frozen=True)
class Looked:
    """What all parts of a CCD have in common.

    Attributes
    ----------
    spans : Spans
    good : (n_cadences,) bool array
    motion : (n_spans, 6) array
        Mean of the good cadences of each span, see `motion_of_images`.
    scattered : (n_spans,) array
        What fraction of the background is light that quiet images lack.
    """

    spans: Spans
    good: NDArray
    motion: NDArray
    scattered: NDArray

    @classmethod
    def of(cls, cube: PixelCube) -> Self:
        """Collect it."""
        spans, good, motion = Spans.of(cube), cube.is_good(), motion_of_images(cube)
        means = [
            motion[first:stop][good[first:stop]].mean(axis=0)
            for first, stop in zip(spans.first, spans.stop, strict=True)
        ]
        scattered = _scattered_fraction(cube)[spans.image]
        return cls(spans, good, np.array(means).reshape(-1, 6), scattered)

    def compared(
        self, scene: "Expected", seen: NDArray, noise: NDArray, sky: NDArray, numbers: NDArray
    ) -> tuple[NDArray, NDArray]:
        """What spans show beyond the average image, and its error.

        Parameters
        ----------
        scene : Expected
        seen, noise : (n_spans, n_rows, n_columns) arrays
            Light without background, and its error [e-/s].
        sky : (n_spans, n_rows, n_columns) array
            Background [e-/s per pixel].
        numbers : (n_spans,) int array
            Which spans.

        Returns
        -------
        residual, sigma : (n_spans, n_rows, n_columns) arrays
            ``sigma`` with what stars change and move by, and scattered light is off by; NaN
            where it is not needed, as nothing nearby stands out of the noise alone.
        """
        motion = self.motion[numbers].T[:, :, None, None]
        d_row, d_column = displacement_in(motion, scene.window)
        residual = seen - scene.shifted(d_row, d_column)
        with np.errstate(invalid="ignore"):
            at = np.flatnonzero(_around(residual > PIXEL_SIGMA * noise, HALF))
        span, pixel = np.divmod(at, scene.average.size)
        scattered = SCATTERED_ERROR * self.scattered[numbers]
        shift = SECOND_ORDER * (d_row.take(at) ** 2 + d_column.take(at) ** 2)
        sigma = np.full(residual.shape, np.nan)
        sigma.ravel()[at] = np.sqrt(
            noise.take(at).astype(float) ** 2
            + scene.change.take(pixel) ** 2
            + (STAR_MOTION**2 + shift**2) * scene.steepest.take(pixel)
            + (scattered.take(span) * sky.take(at)) ** 2
        )
        return residual, sigma


def _light(
    cube: PixelCube, window: Window, looked: Looked
) -> Iterator[tuple[NDArray, NDArray, NDArray, NDArray]]:
    """Go through the spans in a window.

    Yields the numbers of some spans, their light without background, its error, NaN where either
    is not known, and the background, (n_spans, n_rows, n_columns) each.
    """
    spans = looked.spans
    for cadences, numbers in spans.slices(cube, window):
        if not numbers.size:
            continue
        if spans.size > 1:
            good, starts = looked.good[cadences], spans.first[numbers] - cadences.start
            flux, error = cube.read_means(window, cadences, starts, good)
            sky = cube.mean_background_in(window, cadences, starts, good)
            yield numbers, flux - sky, error, sky
            continue
        every, errors = cube.read_with_errors(window, cadences)
        background = cube.background_in(window, cadences)
        for number in numbers:  # images are large, and looked at one by one
            first = int(spans.image[number]) - cadences.start
            image = slice(first, first + 1)
            light, error, sky = every[image] - background[image], errors[image], background[image]
            known = np.isfinite(light) & np.isfinite(error)
            if not known.all():
                light, error = np.where(known, light, np.nan), np.where(known, error, np.nan)
            yield np.array([number]), light, error, sky


def _around(mask: NDArray, reach: int) -> NDArray:
    """Widen what is True of masks (n, n_rows, n_columns) by some pixels on all sides."""
    rows = mask.copy()
    for step in range(1, reach + 1):
        rows[:, step:] |= mask[:, :-step]
        rows[:, :-step] |= mask[:, step:]
    wide = rows.copy()
    for step in range(1, reach + 1):
        wide[..., step:] |= rows[..., :-step]
        wide[..., :-step] |= rows[..., step:]
    return wide


@dataclass(frozen=True)
class Expected:
    """What the average image says that a window shows in each image.

    Attributes
    ----------
    window : Window
    average : (n_rows, n_columns) array
        [e-/s]; NaN without data.
    slopes : (2, n_rows, n_columns) array
        Its derivatives by row and column [e-/s/pixel].
    """

    window: Window
    average: NDArray
    slopes: NDArray

    @classmethod
    def of(cls, cube: PixelCube, window: Window) -> Self:
        """Read it."""
        average = cube.average_image(window).astype(float)
        return cls(window, average, image_slopes(np.maximum(average, 0.0)))

    @cached_property
    def change(self) -> NDArray:
        """By how much stars may be brighter or fainter, (n_rows, n_columns) [e-/s]."""
        return STAR_CHANGE * np.maximum(np.nan_to_num(self.average), 0.0)

    @cached_property
    def steepest(self) -> NDArray:
        """Square of the slope in any direction, (n_rows, n_columns)."""
        return np.asarray((self.slopes**2).sum(axis=0))

    def moved(self, motion: NDArray) -> NDArray:
        """Return it with an affine motion (6,) against the average image, to first order."""
        return self.shifted(*displacement_in(motion, self.window))

    def shifted(self, d_row: NDArray, d_column: NDArray) -> NDArray:
        """Return it displaced by so many pixels, to first order."""
        return self.average - d_row * self.slopes[0] - d_column * self.slopes[1]


def motion_of_images(cube: PixelCube) -> NDArray:
    """Affine motions (n_cadences, 6) against the average image, 0 where they are not known."""
    return np.nan_to_num(cube.motion - mean_motion(cube))


def detect(cube: PixelCube) -> Detections:
    """Find what stands out of the good images anywhere; positions are those in the images.

    Of cadences shorter than half an hour, out of the means of `Spans`.
    """
    parts: list[Detections] = []
    looked = Looked.of(cube)
    for box in cube.grid.windows:
        for row in range(box.row0, box.row1, CELL):
            for column in range(box.column0, box.column1, CELL):
                last = min(row + CELL, box.row1), min(column + CELL, box.column1)
                cell = Window(row, last[0], column, last[1])
                parts += _detections_in(cube, cell, cell.widened(OVERLAP).intersect(box), looked)
    return Detections.join(parts)


def _scattered_fraction(cube: PixelCube) -> NDArray:
    """What fraction of the background of each image is light that quiet images lack, (n,)."""
    level = cube.background_level
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = 1.0 - medians_of_known(level[cube.is_good()]) / level
    return np.clip(np.nan_to_num(fraction), 0.0, 1.0)


def _detections_in(
    cube: PixelCube, cell: Window, window: Window, looked: Looked
) -> list[Detections]:
    """What stands out of a part of the CCD; it is looked at with what is around it."""
    if min(window.shape) < 3:
        return []
    scene, parts = Expected.of(cube, window), []
    for numbers, light, error, sky in _light(cube, window, looked):
        residual, sigma = looked.compared(scene, light, error, sky, numbers)
        images = looked.spans.image[numbers]
        found = find_detections(residual, sigma, images, window.row0, window.column0)
        inside = cell.contains(found.row, found.column)
        parts.append(Detections(*(values[inside] for values in vars(found).values())))
    return parts
