"""Step: the images of a block of time -> its pixel cube, backgrounds and star positions."""

import logging
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.flags import CadenceFlag, PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.images.ffi import read_ffi
from tessphot_lib.io.images.ffi_table import quality_by_name, start_by_name, unused_images
from tessphot_lib.io.images.refusal import SKIPPED
from tessphot_lib.io.products.block_hdf5 import CubeBuffer, write_block
from tessphot_lib.preparation.exposure import (
    OWN_BAD_BITS,
    FieldOfStars,
    field_of_stars,
    fit_sky,
    flag_pixels,
    measure_image,
    sky_values,
    stars_displaced,
)
from tessphot_lib.quality.missing_pixels import without_missing

log = logging.getLogger(__name__)

SAME_TIME = 1e-5  # [d] times that differ by less are of the same exposure


@dataclass
class Block:
    """The images of a block as far as they have been read.

    Attributes
    ----------
    scene : FieldOfStars
    cubes : CubeBuffer
        With a slot for each image that may come.
    columns : dict
        A list for each column of the table of images.
    used : int
        Number of images.
    displaced : dict
        The scene for images that are displaced, by rows and columns.
    """

    scene: FieldOfStars
    cubes: CubeBuffer
    columns: dict[str, list] = field(default_factory=dict)
    used: int = 0
    displaced: dict[tuple[int, int], FieldOfStars] = field(default_factory=dict)

    def put(self, exposure: Exposure, name: str, known_quality: int) -> dict[str, Any]:
        """Measure the next image and keep it; returns its row of the table."""
        exposure = replace(exposure, flux=without_missing(exposure.flux))
        if self.cubes.noise is None:
            length = (exposure.time_stop - exposure.time_start) * SECONDS_PER_DAY
            self.cubes.noise = NoiseModel.expected(length)
        sky = fit_sky(exposure.flux, self.scene)
        values = measure_image(exposure, self.scene, sky, known_quality) | {"name": name}
        whole = stars_displaced(values, self.scene)
        if any(whole):  # the wings of bright stars are beside their mask
            if whole not in self.displaced:
                self.displaced[whole] = self.scene.displaced(whole)
            there = fit_sky(exposure.flux, self.displaced[whole])
            values |= sky_values(sky if there.image is None else there)
        self.cubes.put(self.used, exposure.flux, exposure.flux_err)
        if values["quality"] & int(CadenceFlag.NO_DATA):
            self.cubes.flux[self.used] = np.nan
        if not values["quality"] & OWN_BAD_BITS:
            self.cubes.pixel_flags[self.used] = flag_pixels(exposure, self.scene)
        for key, value in values.items():
            self.columns.setdefault(key, []).append(value)
        self.used += 1
        return values

    def trim(self) -> None:
        """Drop the slots at the end that no image came to fill."""
        self.cubes.n_images = self.used
        for name in ("flux", "_err", "pixel_flags"):
            setattr(self.cubes, name, getattr(self.cubes, name)[: self.used])


def run_backgrounds(
    images: list[Path],
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    window: Window,
    settings: PrepareSettings,
    on_bad_image: str,
) -> None:
    """Read each image once: keep its pixels, fit its background, measure its stars.

    Parameters
    ----------
    images : list of Path
        In time order, one per cadence.
    ffi_table : Path
        ``ffis.ecsv``, for the quality that it has from target pixel files; that it
        is there means that the headers have been checked.
    catalog : Path
        Stars with their positions, and the WCS they are from.
    output : Path
        The block.
    window : Window
        Science pixels to keep.
    settings : PrepareSettings
        Without ``block_size``, ``smoothing`` and ``flags``.
    on_bad_image : {'error', 'skip'}
        Whether an image that cannot be read is an error, or is left out.

    Raises
    ------
    InputDataError
        If an image is bad, or none can be read.
    """
    start = clock.perf_counter()
    scene = field_of_stars(catalog, window, settings)
    quality = quality_by_name(ffi_table)
    cubes = CubeBuffer(window, len(images), float(settings.compression_error))
    block = Block(scene, cubes)
    for path, exposure in _exposures(images, ffi_table, ccd_id, window, on_bad_image):
        values = block.put(exposure, path.name, quality.get(path.name, 0))
        log.info(
            "%s: image %d of %d, %.1f per second, background %.1f e-/s/pixel",
            path.name,
            block.used,
            len(images),
            block.used / (clock.perf_counter() - start),
            values["background_level"],
        )
    if not block.used:
        raise InputDataError(
            f"{output.name}: none of its {counted(len(images), 'image')} can be read"
        )
    block.trim()
    write_block(
        output,
        cubes,
        ccd_id,
        images={name: np.array(values) for name, values in block.columns.items()},
        motion_stars=scene.motion_stars,
        attributes=provenance(settings.as_mapping(), [ffi_table, catalog]),
        common_flags=np.where(scene.mask, int(PixelFlag.NOT_USED_FOR_BACKGROUND), 0),
    )


def _exposures(
    images: list[Path], ffi_table: Path, ccd_id: CcdId, window: Window, on_bad_image: str
) -> Iterator[tuple[Path, Exposure]]:
    """Read the images one after the other; those that are not to be used are left out."""
    unused, starts = unused_images(ffi_table), start_by_name(ffi_table)
    for path in images:
        if str(path) in unused:
            log.warning("left out, see %s: %s", ffi_table.name, path)
            continue
        try:
            exposure = read_ffi(path, ccd_id, window)
        except InputDataError as err:
            if on_bad_image == "error":
                raise InputDataError(f"{err} ({SKIPPED})") from err
            log.warning("left out: %s", err)
            continue
        if abs(exposure.time_start - starts.get(path.name, exposure.time_start)) > SAME_TIME:
            raise InputDataError(
                f"{path}: begins at {exposure.time_start:.6f}, but {ffi_table} has "
                f"{starts[path.name]:.6f}: it has changed since; run the workflow again"
            )
        yield path, exposure
