"""The pixels of a CCD of which only stamps are known, and what is measured while they are read.

Stamps that overlap or touch are joined to patches, and patches are read one after
the other, so that memory and disk follow the pixels that there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.isolation import is_isolated
from tessphot_lib.core.manual_excludes import excluded_columns
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.core.settings import MotionSettings
from tessphot_lib.io.products.block_hdf5 import CHUNK_SIDE, MAX_CHUNK_CADENCES, CubePiece
from tessphot_lib.motion.star_light import StarMeasures
from tessphot_lib.motion.star_positions import (
    FAINTER,
    HALF_STAMP,
    bright_enough,
    without_twins,
)

if TYPE_CHECKING:
    from astropy.table import Table

NEIGHBOR_REACH = 30.0  # [pixels] from a patch: stars farther away give it no light
STAR_COLUMNS = ("row", "column", "tmag")
COPIED = ("time", "time_start", "time_stop", "timecorr", "exposure_time", "cadenceno")
AT_ONCE = 4_000_000  # pixels of all images that are looked at together
CORE_CORNERS = [(d_row, d_column) for d_row in (-2, 0, 2) for d_column in (-2, 0, 2)]
BLEND = {"radius": 3.0, "tmag_difference": 1.0}  # such neighbors move with a star's brightness
MIN_STARS = 3  # for a motion; if there are not as many without neighbors, those with them


@dataclass
class PatchCubes:
    """The pixels of all patches, made while they are written; see `Cubes`.

    Collects on the way what is known of the images: the sum of the good ones,
    their backgrounds taken off, and, complete after the last patch, ``images``
    and ``motion_stars``.
    """

    chunk_side: ClassVar[int] = CHUNK_SIDE
    chunk_cadences: ClassVar[int] = MAX_CHUNK_CADENCES
    n_terms: ClassVar[int] = N_TERMS
    dtype: ClassVar[type] = np.float64  # of backgrounds and positions

    ccd_id: CcdId
    cutouts: list[dict]
    patches: Patches
    table: "Table"
    is_good: NDArray
    stars: pd.DataFrame
    compression_error: float
    max_background: float
    motion: MotionSettings
    background: NDArray = field(init=False)
    background_error: NDArray = field(init=False)
    straps: NDArray = field(init=False)
    flux_sum: NDArray = field(init=False)
    flux_count: NDArray = field(init=False)
    images: dict[str, NDArray] = field(default_factory=dict)
    motion_stars: dict[str, NDArray] = field(default_factory=dict)
    _wanted: NDArray = field(init=False)  # rows of the catalog
    _wanted_on: NDArray = field(init=False)  # the patches that they are on
    _bounds: NDArray = field(init=False)  # of the windows of the cutouts
    _chosen: list[int] = field(default_factory=list)
    _measures: list[StarMeasures] = field(default_factory=list)

    def __post_init__(self) -> None:
        n_patches = len(self.patches.windows)
        self.background = np.full((self.n_images, n_patches, self.n_terms), np.nan, self.dtype)
        self.background_error = np.full((self.n_images, n_patches), np.nan, self.dtype)
        widest = max(window.shape[1] for window in self.patches.windows)
        self.straps = np.zeros((n_patches, widest))
        self.flux_sum = np.zeros(self.window.shape)
        self.flux_count = np.zeros(self.window.shape, dtype=np.int32)
        self._wanted = self.motion_stars_of_all()
        chosen = self.stars.iloc[self._wanted]
        self._wanted_on = self.patches.part_at(
            *(chosen[name].to_numpy() for name in STAR_COLUMNS[:2])
        )
        self._bounds = np.array([one["window"].as_list() for one in self.cutouts]).reshape(-1, 4).T

    @property
    def window(self) -> Window:
        """Smallest window that holds all patches."""
        return self.patches.window

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.table)

    @property
    def cadenceno(self) -> NDArray:
        """Numbers of the images, (n_images,)."""
        return np.asarray(self.table["cadenceno"], dtype=np.int64)

    def pieces(self) -> Iterator[CubePiece]:
        """Read patch by patch, and measure each on the way."""
        raise NotImplementedError

    def patch_arrays(self) -> dict[str, NDArray]:
        """What is stored of the patches, see `Patches.arrays`; complete after the last piece."""
        return self.patches.arrays()

    def members(self, window: Window) -> list[dict]:
        """Cutouts with pixels in the window of a patch."""
        row0, row1, column0, column1 = self._bounds
        together = (row0 < window.row1) & (row1 > window.row0)
        together &= (column0 < window.column1) & (column1 > window.column0)
        return [self.cutouts[index] for index in np.flatnonzero(together)]

    def stars_near(self, window: Window) -> pd.DataFrame:
        """Stars that may give light to a patch."""
        stars = self.stars
        row, column = stars["row"].to_numpy(), stars["column"].to_numpy()
        return stars[
            (row > window.row0 - NEIGHBOR_REACH)
            & (row < window.row1 + NEIGHBOR_REACH)
            & (column > window.column0 - NEIGHBOR_REACH)
            & (column < window.column1 + NEIGHBOR_REACH)
            & np.isfinite(stars["tmag"].to_numpy())
        ]

    def motion_stars_of_all(self) -> NDArray:
        """Rows of the catalog whose positions tell the motion, (n,) int, increasing."""
        row, column, tmag = (self.stars[name].to_numpy() for name in STAR_COLUMNS)
        part = self.patches.part_at(row, column)
        usable = part >= 0
        for d_row, d_column in CORE_CORNERS:
            usable &= self.patches.part_at(row + d_row, column + d_column) == part
        faintest = self.motion.faint_limit + FAINTER
        usable &= (tmag >= self.motion.bright_limit) & (tmag <= faintest)
        candidates = without_twins(np.flatnonzero(usable), row, column, tmag)
        alone = is_isolated(row, column, tmag, candidates, **BLEND)
        if alone.sum() >= MIN_STARS:
            candidates = candidates[alone]
        return np.sort(bright_enough(candidates, tmag, self.motion.faint_limit))

    def stars_of_motion(self, number: int) -> pd.DataFrame:
        """Stars of a patch whose positions are measured."""
        return self.stars.iloc[self._wanted[self._wanted_on == number]]

    def add_star(self, star: int, found: StarMeasures) -> None:
        """Keep what all images show of one more star; its index in ``stars``."""
        self._chosen.append(star)
        self._measures.append(StarMeasures(*(one.astype(self.dtype) for one in found)))

    def is_excluded(self, window: Window) -> NDArray:
        """Pixels that are known to be unusable, (n_images, n_rows, n_columns) bool."""
        columns = np.arange(window.column0, window.column1)
        out = [excluded_columns(self.ccd_id, number, columns) for number in self.cadenceno]
        return np.repeat(np.array(out)[:, None, :], window.shape[0], axis=1)

    def add_to_average(self, number: int, light: NDArray) -> None:
        """Add good images of a patch up; NaN pixels, and those of other patches, do not count.

        ``light`` (n, n_rows, n_columns) is background-subtracted.
        """
        rows, columns = self.patches.windows[number].slices_in(self.window)
        if not len(light):
            return
        own = self.patches.index[rows, columns] == number
        finite = np.isfinite(light)
        if finite.all():
            total, count = light.sum(axis=0, dtype=float), len(light)
        else:
            total = np.where(finite, light, 0).sum(axis=0, dtype=float)
            count = finite.sum(axis=0)
        self.flux_sum[rows, columns] += np.where(own, total, 0)
        self.flux_count[rows, columns] += np.where(own, count, 0)

    def is_averaged(self, level: NDArray, cadences: slice = slice(None)) -> NDArray:
        """Whether some images count for the average, by their background [e-/s per pixel]."""
        return self.is_good[cadences] & (np.nan_to_num(level, nan=np.inf) < self.max_background)

    def header_motion(self) -> NDArray:
        """What the files themselves state of the motion, (n_images, 6); NaN if they do not."""
        return np.full((self.n_images, 6), np.nan)

    def complete(self) -> None:
        """Fill the tables of the images and of the stars that tell the motion."""
        shape = len(self._chosen), self.n_images
        of_stars = {
            f"star_{name}": np.array([getattr(one, name) for one in self._measures], self.dtype)
            .reshape(shape)
            .T
            for name in StarMeasures._fields
        }
        level = self.background[:, :, 0]
        known = np.isfinite(level).any(axis=1)
        typical = np.full(self.n_images, np.nan)
        typical[known] = np.nanmedian(level[known], axis=1)
        quality = np.asarray(self.table["quality"], dtype=np.int64)
        quality[~known] |= int(CadenceFlag.NO_DATA)
        self.images |= {
            **{name: np.asarray(self.table[name]) for name in COPIED},
            "name": np.asarray(self.table["path"], dtype=str),
            "quality": quality,
            "is_averaged": self.is_averaged(typical),
            "background_level": typical,
            "background": self.background,
            "background_error": self.background_error,
            "column_excess": np.zeros((self.n_images, 0)),
            "header_motion": self.header_motion(),
            **of_stars,
        }
        chosen = self.stars.loc[self._chosen]
        self.motion_stars |= {name: chosen[name].to_numpy() for name in ("tic_id", "row", "column")}


def star_stamp(row: float, column: float, window: Window) -> Window:
    """Pixels that the position of a star on a window is measured with."""
    stamp = Window.around(round(row), round(column), HALF_STAMP, window)
    if stamp is None:
        raise ValueError(f"row {row}, column {column} is off the window {window.as_list()}")
    return stamp
