"""Pixels of small windows of a CCD in its images, as all that is measured of pixels reads them.

The blocks are compressed in pieces of many consecutive images of a few pixels, see
`tessphot_lib.io.products.block_hdf5`: to read some images costs as much as to read all those of
the same pieces. Where a few images tell enough they are therefore taken in runs (`in_runs`).
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.products.block_cubes import BlockCubes
from tessphot_lib.io.products.block_hdf5 import open_block
from tessphot_lib.motion.pixel_shift import AT_ONCE

MAX_PIXELS = 40_000  # of a small window
FULL_FRACTION = 0.5  # of a full well: the charge of fuller pixels does not move as the image
KNOWN = 0.5  # of the images of a group: of fewer it has no mean
N_RUNS = 8  # over a sector of two orbits
APART = 64  # images that are not wanted, between others: not read if there are more


class LitWindow(NamedTuple):
    """A window with light, and what is expected of its pixels.

    Attributes
    ----------
    number : int
        Of the window, among those asked for.
    window : Window
    light : (n_rows, n_columns) float64 array
        Average image [e-/s].
    noise : (n_rows, n_columns) float64 array
        From `pixel_noise`.
    """

    number: int
    window: Window
    light: NDArray
    noise: NDArray


class WindowPixels:
    """Reads the pixels of a CCD from its blocks, window by window; to be used ``with``.

    Parameters
    ----------
    blocks : list of Path
        In time order.
    backgrounds : (n_images, ...) array
        Models of all images, or means of groups of them.
    average : (n_rows, n_columns) array
        Average image [e-/s].
    grid : BackgroundGrid
        What the backgrounds are of.
    joined : int
        How many images in a row make a group, which is looked at as one image, their mean.

    Raises
    ------
    InputDataError
        If a block cannot be read, or is damaged where it is read.
    """

    def __init__(
        self,
        blocks: list[Path],
        backgrounds: NDArray,
        average: NDArray,
        grid: BackgroundGrid,
        joined: int = 1,
    ) -> None:
        self._blocks = blocks
        self.backgrounds, self.average, self.grid = backgrounds, average, grid
        self.joined = joined

    def __enter__(self) -> Self:
        lengths = []
        for block in self._blocks:
            with open_block(block) as file:
                lengths.append(len(file["flux"]))
        self._n_images = sum(lengths)
        self._cubes = BlockCubes(self._blocks, lengths, Pointing.single(self._n_images))
        return self

    def __exit__(self, *_: object) -> None:
        self._cubes.close()

    def lit(self, windows: list[Window], level: float, expected: NoiseModel) -> Iterator[LitWindow]:
        """Give the small windows that have any pixel with light that is not full.

        ``level`` is that of a quiet sky [e-/s per pixel].
        """
        for number, window in enumerate(windows):
            if window.shape[0] * window.shape[1] > MAX_PIXELS:
                continue
            light = self.average[window.slices_in(self.grid.window)].astype(float)
            noise = pixel_noise(light, level, window, expected)
            if np.isfinite(noise).any():
                yield LitWindow(number, window, light, noise)

    def read(self, name: str, window: Window, chosen: NDArray | None = None) -> NDArray:
        """Read a window of all images, or of those with the numbers ``chosen``, which increase.

        ``name``: 'flux' or 'flux_err'. Returns (n_images, n_rows, n_columns) float32 [e-/s].
        """
        if chosen is None:
            return self._images(name, window, 0, self._n_images)
        found = np.empty((len(chosen), *window.shape), dtype=np.float32)
        for some in _pieces(chosen, self._n_images, APART):
            first, last = int(chosen[some.start]), int(chosen[some.stop - 1])
            found[some] = self._images(name, window, first, last + 1)[chosen[some] - first]
        return found

    def change(self, lit: LitWindow, chosen: NDArray | None = None) -> NDArray:
        """What images have more than their sky and the average image.

        Of all images, or groups of them, or of those with the numbers ``chosen``, which
        increase. Returns (n, n_rows, n_columns) float32, as in the files; in between no second
        array of all images is made.
        """
        window, joined = lit.window, self.joined
        chosen = np.arange(len(self.backgrounds)) if chosen is None else chosen
        change = np.empty((len(chosen), *window.shape), dtype=np.float32)
        at_once = max(1, AT_ONCE // lit.light.size // joined)
        for some in _pieces(chosen, at_once, max(APART // joined, 1)):
            first, last = int(chosen[some.start]), int(chosen[some.stop - 1])
            images = joined * first, min(joined * (last + 1), self._n_images)
            flux = mean_of_groups(self._images("flux", window, *images), joined)
            sky = self.grid.evaluate(self.backgrounds[chosen[some]], window)
            change[some] = flux[chosen[some] - first] - (sky + lit.light)
        return change

    def _images(self, name: str, window: Window, first: int, last: int) -> NDArray:
        """Read the images ``first`` to ``last - 1``."""
        cut = window.slices_in(self.grid.window)
        try:
            return self._cubes.read(name, first, last, cut)
        except OSError:
            for block in self._blocks:
                with open_block(block) as file:  # tells which one is damaged
                    _ = file[name][(slice(None), *cut)]
            raise


def small_windows(grid: BackgroundGrid) -> list[Window]:
    """Parts of a grid, such as cutouts, that are small enough to be fitted as a whole."""
    return [one for one in grid.windows if one.shape[0] * one.shape[1] <= MAX_PIXELS]


def pixel_noise(light: NDArray, level: float, window: Window, expected: NoiseModel) -> NDArray:
    """Errors of the pixels of a quiet image; NaN where charge does not move as the image does."""
    with np.errstate(invalid="ignore"):
        full = scipy.ndimage.binary_dilation(
            light > FULL_FRACTION * FULL_WELL_RATE, np.ones((3, 3))
        )
    noise = expected.sigma(light + level, window).astype(float)
    return np.where(full, np.nan, noise)


def in_runs(numbers: NDArray, maximum: int, step: int = 1) -> NDArray:
    """Take some of increasing numbers, in `N_RUNS` runs spread evenly if there are very many.

    Parameters
    ----------
    numbers : (n,) int array
    maximum : int
        How many are taken, at most; a multiple of `N_RUNS`.
    step : int
        Of a run every one, every second (2), every third (3) ... is taken.

    Returns
    -------
    (n_taken,) int array
        Of no more than ``step`` times ``maximum`` all, or every second, or as many as are needed.
    """
    if len(numbers) <= step * maximum:
        return numbers[:: max(1, -(-len(numbers) // maximum))]
    of_run = step * np.arange(maximum // N_RUNS)
    middles = (np.arange(N_RUNS) + 0.5) * len(numbers) / N_RUNS
    starts = (middles - step * maximum / N_RUNS / 2).astype(int)
    return numbers[(starts[:, None] + of_run).ravel()]


def mean_of_groups(values: NDArray, joined: int) -> NDArray:
    """Mean of each few values in a row, (n_groups, ...), along the first axis.

    NaN do not count; of fewer than half it is NaN.
    """
    if joined == 1:
        return values
    if not len(values):
        return values
    at_once = max(1, AT_ONCE // (joined * max(values[0].size, 1))) * joined
    whole = len(values) // joined * joined  # the last group may have fewer
    borders = sorted({*range(0, whole, at_once), whole, len(values)})
    parts = [_means(values[first:last], joined) for first, last in pairwise(borders)]
    return np.concatenate(parts).astype(values.dtype, copy=False)


def _means(values: NDArray, joined: int) -> NDArray:
    """Means of groups, (n_groups, ...) float64, where all are whole or there is only one."""
    n_groups = -(-len(values) // joined)
    groups = values.reshape(n_groups, -1, *values.shape[1:])
    known = np.isfinite(groups)
    if known.all():  # most pixels: seven times as fast
        return np.add.reduce(groups, axis=1, dtype=float) / groups.shape[1]
    total = np.add.reduce(np.where(known, groups, 0), axis=1, dtype=float)
    count = known.sum(axis=1)
    unknown = np.full(total.shape, np.nan)
    return np.divide(total, count, out=unknown, where=count >= KNOWN * groups.shape[1])


def _pieces(chosen: NDArray, at_once: int, apart: int) -> Iterator[slice]:
    """Divide increasing numbers where they are far apart, and by how many are read at once."""
    if not len(chosen):
        return
    runs = np.append(0, np.cumsum(np.diff(chosen) > apart))
    firsts = chosen[np.searchsorted(runs, runs)]
    part = (chosen - firsts) // at_once
    borders = np.flatnonzero((np.diff(runs) != 0) | (np.diff(part) != 0)) + 1
    for first, last in pairwise([0, *borders.tolist(), len(chosen)]):
        yield slice(first, last)
