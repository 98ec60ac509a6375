"""The pixels of cutouts as TESScut makes them, sky included: patch by patch, with backgrounds."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.aperture.assignment import expected_image
from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.catalog.possible_magnitudes import possible_magnitudes
from tessphot_lib.catalog.saturation import FULL_WELL_RATE, saturation_flags
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import Patches
from tessphot_lib.io.images.tesscut import read_cutout, read_cutout_pixels
from tessphot_lib.io.products.block_hdf5 import CubePiece, quantize, rounded_errors
from tessphot_lib.motion.star_series import measure_star_series
from tessphot_lib.preparation.patch_cubes import (
    AT_ONCE,
    STAR_COLUMNS,
    PatchCubes,
    star_stamp,
)
from tessphot_lib.quality.missing_pixels import without_missing

log = logging.getLogger(__name__)

IMAGES_FOR_MAGNITUDES = 16  # in whose brightest pixels a magnitude must be possible


@dataclass
class CutoutCubes(PatchCubes):
    """The pixels of cutouts; see `PatchCubes`."""

    def pieces(self) -> Iterator[CubePiece]:
        """Read patch by patch, and measure each on the way."""
        length = np.asarray(self.table["time_stop"]) - np.asarray(self.table["time_start"])
        noise = NoiseModel.expected(float(np.median(length)) * SECONDS_PER_DAY)
        for number, window in enumerate(self.patches.windows):
            flux, flux_err = self._read(self.members(window), window)
            excluded = self.is_excluded(window)
            self._measure(number, window, flux, excluded)
            flags = np.stack([saturation_flags(image, FULL_WELL_RATE) for image in flux])
            flags[excluded] |= np.uint8(PixelFlag.MANUAL_EXCLUDE)
            for index, image in enumerate(flux):
                allowed = noise.for_rounding(flux_err[index], image, window)
                flux[index] = quantize(image, allowed, self.compression_error)
            log.info("%s: patch %d of %d", self.ccd_id, number + 1, len(self.patches.windows))
            yield CubePiece(window, flux, rounded_errors(flux_err), flags)
        self.complete()

    def patch_arrays(self) -> dict[str, NDArray]:
        """Of cutouts, whose sky is seen through them, straps too."""
        return replace(self.patches, straps=self.straps).arrays()

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

    def _measure(self, number: int, window: Window, flux: NDArray, excluded: NDArray) -> None:
        """Background of a patch, positions of its stars, its part of the average image."""
        near = self.stars_near(window)
        row, column, tmag = (near[name].to_numpy(dtype=float) for name in STAR_COLUMNS)
        some = flux[:: 1 + len(flux) // IMAGES_FOR_MAGNITUDES]
        tmag = possible_magnitudes(np.fmax.reduce(some), window, row, column, tmag)
        starlight = expected_image(window, row, column, tmag)
        model, error, straps = fit_patch_background(flux, window, starlight, self.is_good)
        self.background[:, number], self.background_error[:, number] = model, error
        self.straps[number, : len(straps)] = straps
        index = np.zeros(window.shape, dtype=np.int32)
        whole = Patches(window, [window], index, straps[None])
        used = np.flatnonzero(self.is_averaged(model[:, 0]))
        at_once = max(1, AT_ONCE // index.size)
        for first in range(0, len(used), at_once):
            some = used[first : first + at_once]
            light = flux[some] - whole.evaluate(model[some, None], window)
            light[excluded[some]] = np.nan
            self.add_to_average(number, light)
        for star in self.stars_of_motion(number).itertuples():
            stamp = star_stamp(star.row, star.column, window)
            light = flux[(slice(None), *stamp.slices_in(window))]
            light = light - whole.evaluate(model[:, None], stamp)
            found = measure_star_series(light, stamp, star.row, star.column)
            self.add_star(star.Index, found)
