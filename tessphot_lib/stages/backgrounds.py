"""Step: the images of a block of time -> its pixel cube, backgrounds and star positions."""

import logging
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.affine import affine_from_points
from tessphot_lib.anomalies import find_anomalies
from tessphot_lib.background import SkySampler, fit_background
from tessphot_lib.config import AverageSettings, BackgroundSettings, MotionSettings
from tessphot_lib.errors import InputDataError
from tessphot_lib.flags import CadenceFlag, PixelFlag
from tessphot_lib.io.block_hdf5 import CubeBuffer, saturation_flags, write_block
from tessphot_lib.io.catalog_sqlite import read_catalog
from tessphot_lib.io.ffi import (
    ffi_wcs,
    has_valid_wcs,
    header_quality,
    pixel_to_sky,
    read_ffi,
    sky_to_pixel,
)
from tessphot_lib.io.ffi_table import quality_by_name, start_by_name, unused_images
from tessphot_lib.manual_excludes import excluded_columns
from tessphot_lib.mesh import Mesh, evaluate_background_at, evaluate_background_image
from tessphot_lib.model import CcdId, Exposure, Window
from tessphot_lib.motion import measure_positions, select_motion_stars
from tessphot_lib.provenance import provenance
from tessphot_lib.starmask import FULL_WELL_RATE, star_mask
from tessphot_lib.straps import column_excess, sky_rows, strap_excess

log = logging.getLogger(__name__)

OWN_BAD_BITS = int(CadenceFlag.NO_DATA | CadenceFlag.BAD_BACKGROUND)
NOT_AVERAGED = np.uint8(PixelFlag.BACKGROUND_ANOMALY | PixelFlag.MANUAL_EXCLUDE)
SAME_TIME = 1e-5  # [d] times that differ by less are of the same exposure
MIN_DATA_SHARE = 0.5  # of the window's pixels must be finite and not zero
MAX_HEADER_MOTION = 50.0  # [pixels] against the reference; a WCS that says more is wrong
GRID_POINTS = 5  # per axis, to compare the WCS of two images


@dataclass(frozen=True)
class FieldOfStars:
    """What is known of a CCD before its images are read: masks, cells, stars."""

    window: Window
    sampler: SkySampler
    mask: NDArray
    sky_rows: NDArray
    motion_stars: dict[str, NDArray]
    wcs: Any
    anomaly_limit: float
    saturation: float = FULL_WELL_RATE
    grid: tuple[NDArray, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = np.linspace(self.window.row0, self.window.row1 - 1, GRID_POINTS)
        columns = np.linspace(self.window.column0, self.window.column1 - 1, GRID_POINTS)
        row, column = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
        object.__setattr__(self, "grid", (row, column, *pixel_to_sky(self.wcs, row, column)))


class Sky(NamedTuple):
    """Background of an image: nodes, their errors, its pixels, and what columns have more.

    ``image`` is None where there is none; ``has_light`` tells if the image had any data.
    """

    nodes: NDArray
    error: NDArray
    image: NDArray | None
    column_excess: NDArray
    has_light: bool = False


def run_backgrounds(
    images: list[Path],
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    window: Window,
    settings: Mapping[str, Any],
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
    settings : mapping
        Section ``prepare`` of the configuration.
    on_bad_image : {'error', 'skip'}
        Whether an image that cannot be read is an error, or is left out.

    Raises
    ------
    InputDataError
        If an image is bad, or none can be read.
    """
    start = clock.perf_counter()
    scene = _prepare(catalog, window, settings)
    table_quality = quality_by_name(ffi_table)
    starts = start_by_name(ffi_table)
    exposures = len(images)
    cubes = CubeBuffer(window, exposures, float(settings["compression_error"]))
    columns: dict[str, list] = {}
    sums = np.zeros(window.shape), np.zeros(window.shape, dtype=np.int32)
    used = 0
    max_background = AverageSettings.from_mapping(settings["average"]).max_background
    unused = unused_images(ffi_table)
    for path in images:
        if str(path) in unused:
            log.warning("left out, see %s: %s", ffi_table.name, path)
            continue
        exposure = _read(path, ccd_id, window, on_bad_image)
        if exposure is None:
            continue
        if abs(exposure.time_start - starts.get(path.name, exposure.time_start)) > SAME_TIME:
            raise InputDataError(
                f"{path}: begins at {exposure.time_start:.6f}, but {ffi_table} has "
                f"{starts[path.name]:.6f}: it has changed since; run the workflow again"
            )
        known = table_quality.get(path.name, 0)
        sky = _fit_sky(exposure.flux, scene)
        values = _measure(exposure, scene, sky, known, int(settings["bad_quality"]), max_background)
        values["name"] = path.name
        cubes.put(used, exposure.flux, exposure.flux_err)
        if values["quality"] & int(CadenceFlag.NO_DATA):
            cubes.flux[used] = np.nan
        if not values["quality"] & OWN_BAD_BITS:
            # A strap is no reflection.
            flags = _pixel_flags(exposure, sky.image + sky.column_excess, scene)
            cubes.pixel_flags[used] = flags
            if values["is_averaged"]:
                _add(sums, exposure.flux - sky.image, flags)
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
        used += 1
        log.info(
            "%s: image %d of %d, %.1f per second, background %.1f e-/s/pixel",
            path.name,
            used,
            len(images),
            used / (clock.perf_counter() - start),
            values["background_level"],
        )
    if not used:
        raise InputDataError(f"{output.name}: none of its {len(images)} images can be read")
    _trim(cubes, used)
    write_block(
        output,
        cubes,
        ccd_id,
        images={name: np.array(values) for name, values in columns.items()},
        flux_sum=sums[0],
        flux_count=sums[1],
        motion_stars=scene.motion_stars,
        attributes=provenance(settings),
        common_flags=np.where(scene.mask, int(PixelFlag.NOT_USED_FOR_BACKGROUND), 0),
    )


def _prepare(catalog: Path, window: Window, settings: Mapping[str, Any]) -> FieldOfStars:
    """Make what all images of a CCD share."""
    stars, about = read_catalog(catalog, ("tic_id", "row", "column", "tmag"))
    background = BackgroundSettings.from_mapping(settings["background"])
    motion = MotionSettings.from_mapping(settings["motion"])
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    mask = star_mask(window, row, column, tmag, radius_scale=background.mask_radius_scale)
    mesh = Mesh.over(window, background.box_size)
    sampler = SkySampler.from_mask(mesh, mask)
    chosen = select_motion_stars(
        row,
        column,
        tmag,
        window,
        n_stars=motion.n_stars,
        bright_limit=motion.bright_limit,
        faint_limit=motion.faint_limit,
    )
    log.info(
        "%d catalog stars mask %.0f %% of the pixels, %d stars measure the motion",
        len(stars),
        100 * mask.mean(),
        len(chosen),
    )
    motion_stars = {
        "tic_id": stars["tic_id"].to_numpy(dtype=np.int64)[chosen],
        "row": row[chosen],
        "column": column[chosen],
    }
    return FieldOfStars(
        window=window,
        sampler=sampler,
        mask=mask,
        sky_rows=sky_rows(mask),
        motion_stars=motion_stars,
        wcs=ffi_wcs(str(about["wcs"])),
        anomaly_limit=background.anomaly_limit,
    )


def _read(path: Path, ccd_id: CcdId, window: Window, on_bad_image: str) -> Exposure | None:
    """Read an image; None if it cannot be, and may be left out."""
    try:
        return read_ffi(path, ccd_id, window)
    except InputDataError as err:
        if on_bad_image == "error":
            raise
        log.warning("left out: %s", err)
        return None


def _fit_sky(flux: NDArray, scene: FieldOfStars) -> Sky:
    """Fit the background of an image, again without the straps that stand out of it."""
    mesh = scene.sampler.mesh
    none = np.zeros(flux.shape[1], dtype=np.float32)
    with_light = np.isfinite(flux) & (flux != 0)
    if with_light.mean() < MIN_DATA_SHARE:
        return Sky(np.full(mesh.shape, np.nan), np.full(mesh.shape, np.nan), None, none)
    nodes, error = fit_background(flux, scene.sampler)
    if np.isnan(nodes).any():
        return Sky(nodes, error, None, none, has_light=True)
    image = evaluate_background_image(nodes, mesh)
    excess = column_excess(flux, image, scene.sky_rows)
    straps = strap_excess(excess)
    if straps.any():
        nodes, error = fit_background(flux - straps, scene.sampler)
        image = evaluate_background_image(nodes, mesh)
        excess = column_excess(flux, image, scene.sky_rows)
    return Sky(nodes, error, image, excess, has_light=True)


def _measure(
    exposure: Exposure,
    scene: FieldOfStars,
    sky: Sky,
    known_quality: int,
    bad_quality: int,
    max_background: float,
) -> dict[str, Any]:
    """Everything that is derived from one image, as a row of the block's image table."""
    quality = header_quality(exposure.header) | exposure.quality | known_quality
    n_stars = len(scene.motion_stars["row"])
    star_row, star_column = np.full(n_stars, np.nan), np.full(n_stars, np.nan)
    if not sky.has_light:
        quality |= int(CadenceFlag.NO_DATA)
    elif sky.image is None:
        quality |= int(CadenceFlag.BAD_BACKGROUND)
    else:
        at = scene.motion_stars["row"], scene.motion_stars["column"]
        at_stars = evaluate_background_at(sky.nodes[np.newaxis], scene.sampler.mesh, *at)[0]
        star_row, star_column = measure_positions(exposure.flux, scene.window, *at, at_stars)
    level = float(np.median(sky.nodes))
    rejected = bool(quality & (bad_quality | OWN_BAD_BITS)) or not level < max_background
    return {
        "time": exposure.time,
        "time_start": exposure.time_start,
        "time_stop": exposure.time_stop,
        "timecorr": exposure.timecorr,
        "exposure_time": exposure.exposure_time,
        "cadenceno": exposure.cadenceno,
        "quality": quality,
        "is_averaged": not rejected,
        "background_level": level,
        "background": sky.nodes,
        "background_error": sky.error,
        "column_excess": sky.column_excess,
        "header_motion": _header_motion(exposure, scene),
        "star_row": star_row,
        "star_column": star_column,
    }


def _header_motion(exposure: Exposure, scene: FieldOfStars) -> NDArray:
    """Affine motion (6,) of this image's WCS against the reference's; NaN without a WCS."""
    if not has_valid_wcs(exposure.header):
        return np.full(6, np.nan)
    row, column, ra, dec = scene.grid
    moved_row, moved_column = sky_to_pixel(ffi_wcs(exposure.header), ra, dec)
    off = np.hypot(moved_row - row, moved_column - column)
    if not (off < MAX_HEADER_MOTION).all():  # a WCS gone astray, or none at all
        return np.full(6, np.nan)
    return affine_from_points(row, column, moved_row, moved_column)


def _pixel_flags(exposure: Exposure, background: NDArray, scene: FieldOfStars) -> NDArray:
    """Bits of `PixelFlag` of one image, (n_rows, n_columns) uint8."""
    flags = saturation_flags(exposure.flux, scene.saturation)
    anomalies = find_anomalies(exposure.flux, background, scene.mask, limit=scene.anomaly_limit)
    flags[anomalies] |= np.uint8(PixelFlag.BACKGROUND_ANOMALY)
    columns = np.arange(scene.window.column0, scene.window.column1)
    excluded = excluded_columns(exposure.ccd_id, exposure.cadenceno, columns)
    flags[:, excluded] |= np.uint8(PixelFlag.MANUAL_EXCLUDE)
    return flags


def _add(sums: tuple[NDArray, NDArray], light: NDArray, flags: NDArray) -> None:
    """Add the finite pixels of an image, foreign light excepted, to the sum and the count."""
    finite = np.isfinite(light)
    if flags.any():
        finite &= (flags & NOT_AVERAGED) == 0
    np.add(sums[0], light, out=sums[0], where=finite)
    sums[1][...] += finite


def _trim(cubes: CubeBuffer, n_images: int) -> None:
    """Drop the slots at the end that no image came to fill."""
    cubes.n_images = n_images
    for name in ("flux", "_err", "pixel_flags"):
        setattr(cubes, name, getattr(cubes, name)[:n_images])
