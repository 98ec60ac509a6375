"""Step: the cutouts of a CCD -> its pixel cube, backgrounds and star positions.

What `backgrounds` is for full-frame images. Cutouts that overlap or touch
are joined to patches, and patches are read one after the other, so that
memory and disk follow the pixels that there are.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.aperture.assignment import expected_image
from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.catalog.saturation import FULL_WELL_RATE, saturation_flags
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.flags import CadenceFlag, PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.isolation import is_isolated
from tessphot_lib.core.manual_excludes import excluded_columns
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import MotionSettings, PrepareSettings
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.images.tesscut import read_cutout, read_cutout_pixels
from tessphot_lib.io.products.block_hdf5 import CubePiece, quantize, write_block
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.motion.star_light import StarMeasures, measure_star_stamps
from tessphot_lib.motion.star_positions import FAINTER, HALF_STAMP, bright_enough
from tessphot_lib.quality.missing_pixels import without_missing

if TYPE_CHECKING:
    from astropy.table import Table

log = logging.getLogger(__name__)

NEIGHBOR_REACH = 30.0  # [pixels] from a patch: stars farther away give it no light
STAR_COLUMNS = ("row", "column", "tmag")
COPIED = ("time", "time_start", "time_stop", "timecorr", "exposure_time", "cadenceno")
AT_ONCE = 4_000_000  # pixels of all images that are looked at together
CORE = 2.5  # [pixels] around a star that must be there to measure its position
CORE_CORNERS = [(d_row, d_column) for d_row in (-2, 0, 2) for d_column in (-2, 0, 2)]
BLEND = {"radius": 3.0, "tmag_difference": 1.0}  # such neighbors move with a star's brightness
MIN_STARS = 3  # for a motion; if there are not as many without neighbors, those with them


@dataclass
class CutoutCubes:
    """The pixels of all patches, made while they are written; see `Cubes`.

    Collects on the way what is known of the images: the sum of the good ones,
    their backgrounds taken off, and, complete after the last patch, ``images``
    and ``motion_stars``.
    """

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
    _wanted: NDArray = field(init=False)
    _chosen: list[int] = field(default_factory=list)
    _measures: list[StarMeasures] = field(default_factory=list)

    def __post_init__(self) -> None:
        n_patches = len(self.patches.windows)
        self.background = np.full((self.n_images, n_patches, N_TERMS), np.nan)
        self.background_error = np.full((self.n_images, n_patches), np.nan)
        widest = max(window.shape[1] for window in self.patches.windows)
        self.straps = np.zeros((n_patches, widest))
        self.flux_sum = np.zeros(self.window.shape)
        self.flux_count = np.zeros(self.window.shape, dtype=np.int32)
        self._wanted = self._motion_stars()

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
        length = np.asarray(self.table["time_stop"]) - np.asarray(self.table["time_start"])
        noise = NoiseModel.expected(float(np.median(length)) * SECONDS_PER_DAY)
        for number, window in enumerate(self.patches.windows):
            members = [one for one in self.cutouts if window.intersect(one["window"])]
            flux, flux_err = self._read(members, window)
            self._measure(number, window, flux)
            flags = np.stack([saturation_flags(image, FULL_WELL_RATE) for image in flux])
            flags[self._is_excluded(window)] |= np.uint8(PixelFlag.MANUAL_EXCLUDE)
            for index, image in enumerate(flux):
                allowed = noise.for_rounding(flux_err[index], image, window)
                flux[index] = quantize(image, allowed, self.compression_error)
            log.info("%s: patch %d of %d", self.ccd_id, number + 1, len(self.patches.windows))
            yield CubePiece(window, flux, flux_err, flags)
        self._complete()

    def _motion_stars(self) -> NDArray:
        """Rows of the catalog whose positions tell the motion, (n,) int, increasing."""
        row, column, tmag = (self.stars[name].to_numpy() for name in STAR_COLUMNS)
        part = self.patches.part_at(row, column)
        usable = part >= 0
        for d_row, d_column in CORE_CORNERS:
            usable &= self.patches.part_at(row + d_row, column + d_column) == part
        faintest = self.motion.faint_limit + FAINTER
        usable &= (tmag >= self.motion.bright_limit) & (tmag <= faintest)
        candidates = np.flatnonzero(usable)
        alone = is_isolated(row, column, tmag, candidates, **BLEND)
        if alone.sum() >= MIN_STARS:
            candidates = candidates[alone]
        return np.sort(bright_enough(candidates, tmag, self.motion.faint_limit))

    def _read(self, members: list[dict], window: Window) -> tuple[NDArray, NDArray]:
        """Pixels of a patch from its cutouts, which agree where they overlap."""
        shape = (self.n_images, *window.shape)
        flux, flux_err = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        for member in members:
            number = read_cutout(member["path"], self.ccd_id).cadenceno
            _, here, there = np.intersect1d(self.cadenceno, number, return_indices=True)
            common = window.intersect(member["window"])
            target = (slice(None), *common.slices_in(window))
            source = (slice(None), *common.slices_in(member["window"]))
            new_flux, new_err = read_cutout_pixels(member["path"])
            old = flux[target][here]
            is_new = np.isnan(old) & np.isfinite(new_flux[source][there])
            flux[target][here] = np.where(is_new, new_flux[source][there], old)
            flux_err[target][here] = np.where(
                is_new, new_err[source][there], flux_err[target][here]
            )
        return without_missing(flux), flux_err

    def _is_excluded(self, window: Window) -> NDArray:
        """Pixels that are known to be unusable, (n_images, n_rows, n_columns) bool."""
        columns = np.arange(window.column0, window.column1)
        out = [excluded_columns(self.ccd_id, number, columns) for number in self.cadenceno]
        return np.repeat(np.array(out)[:, None, :], window.shape[0], axis=1)

    def _measure(self, number: int, window: Window, flux: NDArray) -> None:
        """Background of a patch, positions of its stars, its share of the average image."""
        near = _near(self.stars, window)
        starlight = expected_image(window, *(near[name].to_numpy() for name in STAR_COLUMNS))
        model, error, straps = fit_patch_background(flux, window, starlight, self.is_good)
        self.background[:, number], self.background_error[:, number] = model, error
        self.straps[number, : len(straps)] = straps
        whole = Patches(window, [window], np.zeros(window.shape, dtype=np.int32), straps[None])
        self._sum(number, window, flux, model, whole)
        row, column = (near[name].to_numpy() for name in ("row", "column"))
        wanted = self.patches.part_at(row, column) == number
        wanted &= near.index.isin(self.stars.index[self._wanted])
        for star in near[wanted].itertuples():
            stamp = Window.around(round(star.row), round(star.column), HALF_STAMP, window)
            light = flux[(slice(None), *stamp.slices_in(window))]
            light = light - whole.evaluate(model[:, None], stamp)
            self._chosen.append(star.Index)
            self._measures.append(_measure_star(light, stamp, star.row, star.column))

    def _sum(
        self, number: int, window: Window, flux: NDArray, model: NDArray, whole: Patches
    ) -> None:
        """Add the good images of a patch up, some at a time, without their backgrounds."""
        rows, columns = window.slices_in(self.window)
        mine = self.patches.index[rows, columns] == number
        used = np.flatnonzero(
            self.is_good & (np.nan_to_num(model[:, 0], nan=np.inf) < self.max_background)
        )
        at_once = max(1, AT_ONCE // mine.size)
        excluded = self._is_excluded(window)
        for first in range(0, len(used), at_once):
            some = used[first : first + at_once]
            light = flux[some] - whole.evaluate(model[some, None], window)
            finite = np.isfinite(light) & mine & ~excluded[some]
            self.flux_sum[rows, columns] += np.where(finite, light, 0).sum(axis=0, dtype=float)
            self.flux_count[rows, columns] += finite.sum(axis=0)

    def _complete(self) -> None:
        """Fill the tables of the images and of the stars that tell the motion."""
        shape = len(self._chosen), self.n_images
        of_stars = {
            f"star_{name}": np.array([getattr(one, name) for one in self._measures])
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
            "is_averaged": self.is_good
            & (np.nan_to_num(typical, nan=np.inf) < self.max_background),
            "background_level": typical,
            "background": self.background,
            "background_error": self.background_error,
            "column_excess": np.zeros((self.n_images, 0)),
            "header_motion": np.full((self.n_images, 6), np.nan),
            **of_stars,
        }
        chosen = self.stars.loc[self._chosen]
        self.motion_stars |= {name: chosen[name].to_numpy() for name in ("tic_id", "row", "column")}


def run_cutouts(
    cutout_table: Path,
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: PrepareSettings,
) -> None:
    """Join the cutouts of a CCD to one block of all their images.

    Parameters
    ----------
    cutout_table, ffi_table, catalog : Path
        ``cutouts.ecsv``, ``ffis.ecsv``, ``catalog.sqlite``.
    output : Path
        The block.
    settings : PrepareSettings
        ``bad_quality``, ``compression_error``, ``average`` and ``motion`` of them.
    """
    cutouts = read_cutout_table(cutout_table)
    table = read_ffi_table(ffi_table)
    stars, _ = read_catalog(catalog)
    quality = np.asarray(table["quality"], dtype=np.int64)
    cubes = CutoutCubes(
        ccd_id=ccd_id,
        cutouts=cutouts,
        patches=Patches.of([cutout["window"] for cutout in cutouts]),
        table=table,
        is_good=quality & settings.bad_quality == 0,
        stars=stars,
        compression_error=float(settings.compression_error),
        max_background=settings.average.max_background,
        motion=settings.motion,
    )
    write_block(
        output,
        cubes,
        ccd_id,
        images=cubes.images,
        flux_sum=cubes.flux_sum,
        flux_count=cubes.flux_count,
        motion_stars=cubes.motion_stars,
        attributes=provenance(settings.as_mapping(), [cutout_table, ffi_table, catalog]),
        patches=replace(cubes.patches, straps=cubes.straps).arrays(),
    )
    log.info(
        "%s: %d cutouts, %d patches, %d images",
        ccd_id,
        len(cutouts),
        len(cubes.patches.windows),
        cubes.n_images,
    )


def _near(stars: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Stars that may give light to a patch."""
    row, column = stars["row"].to_numpy(), stars["column"].to_numpy()
    return stars[
        (row > window.row0 - NEIGHBOR_REACH)
        & (row < window.row1 + NEIGHBOR_REACH)
        & (column > window.column0 - NEIGHBOR_REACH)
        & (column < window.column1 + NEIGHBOR_REACH)
        & np.isfinite(stars["tmag"].to_numpy())
    ]


def _measure_star(flux: NDArray, stamp: Window, row: float, column: float) -> StarMeasures:
    """What the images show of a star, (n_images,) each; NaN where its core is not there.

    ``flux`` are the pixels of ``stamp``, background-subtracted; those around it count as sky.
    """
    side = 2 * HALF_STAMP + 1
    first_row, first_column = round(row) - HALF_STAMP, round(column) - HALF_STAMP
    stamps = np.full((len(flux), side, side), np.nan)
    rows = slice(stamp.row0 - first_row, stamp.row1 - first_row)
    columns = slice(stamp.column0 - first_column, stamp.column1 - first_column)
    stamps[(slice(None), rows, columns)] = flux
    offsets = np.arange(side)
    distance = np.hypot(offsets[:, None] - (row - first_row), offsets - (column - first_column))
    far = np.broadcast_to(distance > CORE, stamps.shape)
    stamps[far & np.isnan(stamps)] = 0.0
    at = np.full(len(flux), row - first_row), np.full(len(flux), column - first_column)
    found = measure_star_stamps(stamps, *at)
    return found._replace(row=found.row + first_row, column=found.column + first_column)
