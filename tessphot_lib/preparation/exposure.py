"""What is made of one image of a CCD: background, flags, positions of stars."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.mesh_fit import SkySampler, fit_background
from tessphot_lib.background.straps import column_excess, sky_rows, strap_excess
from tessphot_lib.catalog.saturation import FULL_WELL_RATE, saturation_flags
from tessphot_lib.catalog.sky_mask import sky_mask
from tessphot_lib.core.affine import affine_from_points, displacement
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.flags import CadenceFlag, PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.manual_excludes import excluded_columns
from tessphot_lib.core.mesh import Mesh, evaluate_background_at, evaluate_background_image
from tessphot_lib.core.pointing import displaced_pixels
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.core.wcs import ffi_wcs, has_valid_wcs, pixel_to_sky, sky_to_pixel
from tessphot_lib.io.images.ffi import header_quality
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.motion.star_light import StarMeasures, measure_stars
from tessphot_lib.motion.star_positions import select_motion_stars

log = logging.getLogger(__name__)

OWN_BAD_BITS = int(CadenceFlag.NO_DATA | CadenceFlag.BAD_BACKGROUND)
MIN_DATA_SHARE = 0.5  # of the window's pixels must be finite and not zero
MAX_HEADER_MOTION = 50.0  # [pixels] against the reference; a WCS that says more is wrong
MIN_STARS = 3  # that show that an image is displaced
FAR = 1.0  # [pixels] by the WCS, from where stars are looked for there, too
GRID_POINTS = 5  # per axis, to compare the WCS of two images


@dataclass(frozen=True)
class FieldOfStars:
    """What is known of a CCD before its images are read: masks, cells, stars, limits."""

    window: Window
    sampler: SkySampler
    mask: NDArray
    sky_rows: NDArray
    motion_stars: dict[str, NDArray]
    wcs: Any
    bad_quality: int
    saturation: float = FULL_WELL_RATE
    grid: tuple[NDArray, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = np.linspace(self.window.row0, self.window.row1 - 1, GRID_POINTS)
        columns = np.linspace(self.window.column0, self.window.column1 - 1, GRID_POINTS)
        row, column = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
        object.__setattr__(self, "grid", (row, column, *pixel_to_sky(self.wcs, row, column)))

    def displaced(self, whole: tuple[int, int]) -> Self:
        """Return it for images whose stars stand ``whole`` rows and columns from these.

        Only what the sky is fitted by moves; pixels whose stars are not known do not count.
        """
        everything = slice(0, self.mask.shape[0]), slice(0, self.mask.shape[1])
        there, here = displaced_pixels(everything, (-whole[0], -whole[1]), self.mask.shape)
        mask = np.ones_like(self.mask)
        mask[here] = self.mask[there]
        sampler = SkySampler.from_mask(self.sampler.mesh, mask)
        return replace(self, mask=mask, sampler=sampler, sky_rows=sky_rows(mask))


class Sky(NamedTuple):
    """Background of an image: nodes, their errors, its pixels, and what columns have more.

    ``image`` is None where there is none; ``has_light`` tells if the image had any data.
    """

    nodes: NDArray
    error: NDArray
    image: NDArray | None
    column_excess: NDArray
    has_light: bool = False


def field_of_stars(catalog: Path, window: Window, settings: PrepareSettings) -> FieldOfStars:
    """Make what all images of a CCD share."""
    stars, about = read_catalog(catalog, ("tic_id", "row", "column", "tmag"))
    background, motion = settings.background, settings.motion
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    mask = sky_mask(window, row, column, tmag, radius_scale=background.mask_radius_scale)
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
        bad_quality=settings.bad_quality,
    )


def fit_sky(flux: NDArray, scene: FieldOfStars) -> Sky:
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


def measure_image(
    exposure: Exposure, scene: FieldOfStars, sky: Sky, known_quality: int
) -> dict[str, Any]:
    """Everything that is derived from one image, as a row of the block's image table.

    ``known_quality`` are `CadenceFlag` bits that are known from elsewhere.
    """
    quality = header_quality(exposure.header) | exposure.quality | known_quality
    header_motion = _header_motion(exposure, scene)
    unknown = np.full(len(scene.motion_stars["row"]), np.nan)
    stars = StarMeasures(unknown, unknown, unknown, unknown)
    if not sky.has_light:
        quality |= int(CadenceFlag.NO_DATA)
    elif sky.image is None:
        quality |= int(CadenceFlag.BAD_BACKGROUND)
    else:
        at = scene.motion_stars["row"], scene.motion_stars["column"]
        at_stars = evaluate_background_at(sky.nodes[np.newaxis], scene.sampler.mesh, *at)[0]
        stars = measure_stars(exposure.flux, scene.window, *at, at_stars)
        moved = displacement(header_motion[np.newaxis], *at)
        if np.hypot(*moved).max(initial=0.0) > FAR:  # unless the WCS is wrong, they are there
            there = [position + by[0] for position, by in zip(at, moved, strict=True)]
            others = measure_stars(exposure.flux, scene.window, *there, at_stars)
            if np.isfinite(others.row).sum() > np.isfinite(stars.row).sum():
                stars = others
    return {
        "time": exposure.time,
        "time_start": exposure.time_start,
        "time_stop": exposure.time_stop,
        "timecorr": exposure.timecorr,
        "exposure_time": exposure.exposure_time,
        "cadenceno": exposure.cadenceno,
        "quality": quality,
        "is_averaged": not quality & (scene.bad_quality | OWN_BAD_BITS),
        "header_motion": header_motion,
        **sky_values(sky),
        **{f"star_{name}": values for name, values in stars._asdict().items()},
    }


def sky_values(sky: Sky) -> dict[str, Any]:
    """The columns of the image table that are of the background."""
    return {
        "background_level": float(np.median(sky.nodes)),
        "background": sky.nodes,
        "background_error": sky.error,
        "column_excess": sky.column_excess,
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


def stars_displaced(values: Mapping[str, Any], scene: FieldOfStars) -> tuple[int, int]:
    """By how many whole rows and columns the stars of an image are off the catalog; 0 unless seen.

    ``values`` are those of `measure_image`.
    """
    off = [values[f"star_{name}"] - scene.motion_stars[name] for name in ("row", "column")]
    if np.isfinite(off).all(axis=0).sum() < MIN_STARS:
        return 0, 0
    d_row, d_column = np.rint(np.nanmedian(off, axis=1)).tolist()
    return int(d_row), int(d_column)


def flag_pixels(exposure: Exposure, scene: FieldOfStars) -> NDArray:
    """Return what is wrong with the pixels of an image, as far as it shows by itself.

    Parameters
    ----------
    exposure : Exposure
    scene : FieldOfStars

    Returns
    -------
    (n_rows, n_columns) uint8 array
        Bits of `PixelFlag`.
    """
    flags = saturation_flags(exposure.flux, scene.saturation)
    columns = np.arange(scene.window.column0, scene.window.column1)
    excluded = excluded_columns(exposure.ccd_id, exposure.cadenceno, columns)
    flags[:, excluded] |= np.uint8(PixelFlag.MANUAL_EXCLUDE)
    return flags
