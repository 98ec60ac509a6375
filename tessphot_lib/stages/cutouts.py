"""Step: the cutouts of a CCD -> its pixel cube, backgrounds and star positions.

What `backgrounds` is for full-frame images. Cutouts that overlap or touch
are joined to patches, and patches are read one after the other, so that
memory and disk follow the pixels that there are.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.table import Table
from numpy.typing import NDArray

from tessphot_lib.apertures import expected_light
from tessphot_lib.config import AverageSettings, MotionSettings
from tessphot_lib.flags import CadenceFlag
from tessphot_lib.io.block_hdf5 import CubePiece, quantize, saturation_flags, write_block
from tessphot_lib.io.catalog_sqlite import read_catalog
from tessphot_lib.io.cutout_table import read_cutout_table
from tessphot_lib.io.ffi_table import read_ffi_table
from tessphot_lib.io.tesscut import read_cutout, read_cutout_pixels
from tessphot_lib.model import CcdId, Window
from tessphot_lib.motion import HALF_STAMP, measure_stamps
from tessphot_lib.patches import N_TERMS, Patches, fit_patch_background
from tessphot_lib.provenance import provenance
from tessphot_lib.starmask import FULL_WELL_RATE

log = logging.getLogger(__name__)

NEIGHBOR_REACH = 30.0  # [pixels] from a patch: stars farther away give it no light
COPIED = ("time", "time_start", "time_stop", "timecorr", "exposure_time", "cadenceno")
SAME_PIXEL = 1e-4  # relative difference up to which overlapping cutouts agree
CORE = 2.5  # [pixels] around a star that must be there to measure its position


@dataclass
class CutoutCubes:
    """The pixels of all patches, made while they are written; see `Cubes`.

    Collects on the way what is known of the images: the sum of the good ones
    and, complete after the last patch, ``images`` and ``motion_stars``.
    """

    ccd_id: CcdId
    cutouts: list[dict]
    patches: Patches
    table: Table
    is_good: NDArray
    stars: pd.DataFrame
    compression_error: float
    max_background: float
    motion: MotionSettings
    background: NDArray = field(init=False)
    background_error: NDArray = field(init=False)
    flux_sum: NDArray = field(init=False)
    flux_count: NDArray = field(init=False)
    images: dict[str, NDArray] = field(default_factory=dict)
    motion_stars: dict[str, NDArray] = field(default_factory=dict)
    _chosen: list[int] = field(default_factory=list)
    _positions: list[tuple[NDArray, NDArray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        n_patches = len(self.patches.windows)
        self.background = np.full((self.n_images, n_patches, N_TERMS), np.nan)
        self.background_error = np.full((self.n_images, n_patches), np.nan)
        self.flux_sum = np.zeros(self.window.shape)
        self.flux_count = np.zeros(self.window.shape, dtype=np.int32)

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
        for number, window in enumerate(self.patches.windows):
            members = [one for one in self.cutouts if window.intersect(one["window"])]
            flux, flux_err = self._read(members, window)
            self._measure(number, window, flux)
            flags = np.stack([saturation_flags(image, FULL_WELL_RATE) for image in flux])
            rounded = quantize(flux, flux_err, self.compression_error)
            log.info("%s: patch %d of %d", self.ccd_id, number + 1, len(self.patches.windows))
            yield CubePiece(window, rounded, flux_err, flags)
        self._complete()

    def _read(self, members: list[dict], window: Window) -> tuple[NDArray, NDArray]:
        """Pixels of a patch from its cutouts; the first counts where two contradict each other."""
        shape = (self.n_images, *window.shape)
        flux, flux_err = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        for member in members:
            number = read_cutout(member["path"], self.ccd_id).cadenceno
            here, there = np.nonzero(self.cadenceno[:, None] == number[None, :])
            rows, columns = member["window"].slices_in(window)
            new_flux, new_err = read_cutout_pixels(member["path"])
            new_flux, new_err = new_flux[there], new_err[there]
            old = flux[here, rows, columns]
            both = np.isfinite(old) & np.isfinite(new_flux)
            if np.any(np.abs(old - new_flux)[both] > SAME_PIXEL * (1 + np.abs(old[both]))):
                names = ", ".join(str(one["path"]) for one in members if one is not member)
                log.warning("not used: %s contradicts pixels of %s", member["path"], names)
                continue
            usable = ~np.isfinite(old)
            flux[here, rows, columns] = np.where(usable, new_flux, old)
            flux_err[here, rows, columns] = np.where(usable, new_err, flux_err[here, rows, columns])
        dark = ~np.any(np.nan_to_num(flux) != 0, axis=(1, 2))
        flux[dark] = np.nan
        return flux, flux_err

    def _measure(self, number: int, window: Window, flux: NDArray) -> None:
        """Background of a patch, positions of its stars, its share of the average image."""
        near = _near(self.stars, window)
        starlight = _starlight(near, window)
        model, error = fit_patch_background(flux, window, starlight, self.is_good)
        self.background[:, number], self.background_error[:, number] = model, error
        used = self.is_good & (model[:, 0] < self.max_background)
        good = flux[used]
        rows, columns = window.slices_in(self.window)
        finite = np.isfinite(good)
        self.flux_sum[rows, columns] += np.where(finite, good, 0).sum(axis=0, dtype=float)
        self.flux_count[rows, columns] += finite.sum(axis=0)
        grid = Patches(window, [window], np.zeros(window.shape, dtype=np.int32))
        subtracted = flux - grid.evaluate(model[:, None], window)
        inside = window.contains(near["row"].to_numpy(), near["column"].to_numpy())
        tmag = near["tmag"].to_numpy()
        wanted = inside & (tmag >= self.motion.bright_limit) & (tmag <= self.motion.faint_limit)
        for star in near[wanted].itertuples():
            self._chosen.append(star.Index)
            self._positions.append(_positions(subtracted, window, star.row, star.column))

    def _complete(self) -> None:
        """Fill the tables of the images and of the stars that tell the motion."""
        n_stars = len(self._chosen)
        star_row, star_column = (
            np.array([position[axis] for position in self._positions]).reshape(n_stars, -1).T
            for axis in (0, 1)
        )
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
            "header_motion": np.full((self.n_images, 6), np.nan),
            "star_row": star_row.reshape(self.n_images, n_stars),
            "star_column": star_column.reshape(self.n_images, n_stars),
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
    settings: Mapping[str, Any],
) -> None:
    """Join the cutouts of a CCD to one block of all their images.

    Parameters
    ----------
    cutout_table, ffi_table, catalog : Path
        ``cutouts.ecsv``, ``ffis.ecsv``, ``catalog.sqlite``.
    output : Path
        The block.
    settings : mapping
        Section ``prepare`` of the configuration.
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
        is_good=quality & int(settings["bad_quality"]) == 0,
        stars=stars,
        compression_error=float(settings["compression_error"]),
        max_background=AverageSettings.from_mapping(settings["average"]).max_background,
        motion=MotionSettings.from_mapping(settings["motion"]),
    )
    write_block(
        output,
        cubes,
        ccd_id,
        images=cubes.images,
        flux_sum=cubes.flux_sum,
        flux_count=cubes.flux_count,
        motion_stars=cubes.motion_stars,
        attributes=provenance(settings),
        patches={
            "windows": np.array([window.as_list() for window in cubes.patches.windows]),
            "index": cubes.patches.index,
        },
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


def _starlight(stars: pd.DataFrame, window: Window) -> NDArray:
    """Light that known stars are expected to give to the pixels of a patch [e-/s]."""
    rows = np.arange(window.row0, window.row1)[:, None]
    columns = np.arange(window.column0, window.column1)
    light = np.zeros(window.shape)
    for star in stars.itertuples():
        light += expected_light(star.tmag, np.hypot(rows - star.row, columns - star.column))
    return light


def _positions(flux: NDArray, window: Window, row: float, column: float) -> tuple[NDArray, NDArray]:
    """Position of a star in each image, (n_images,) each; NaN where its core is not there."""
    side = 2 * HALF_STAMP + 1
    first_row, first_column = round(row) - HALF_STAMP, round(column) - HALF_STAMP
    stamps = np.full((len(flux), side, side), np.nan)
    stamp = Window(
        max(first_row, window.row0),
        min(first_row + side, window.row1),
        max(first_column, window.column0),
        min(first_column + side, window.column1),
    )
    rows = slice(stamp.row0 - first_row, stamp.row1 - first_row)
    columns = slice(stamp.column0 - first_column, stamp.column1 - first_column)
    stamps[(slice(None), rows, columns)] = flux[(slice(None), *stamp.slices_in(window))]
    offsets = np.arange(side)
    distance = np.hypot(offsets[:, None] - (row - first_row), offsets - (column - first_column))
    far = np.broadcast_to(distance > CORE, stamps.shape)
    stamps[far & np.isnan(stamps)] = 0.0
    at = np.full(len(flux), row - first_row), np.full(len(flux), column - first_column)
    found_row, found_column = measure_stamps(stamps, *at)
    return found_row + first_row, found_column + first_column
