"""Step: blocks, average image and motion of a CCD -> pixels.hdf5."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.background.smoothing import keep_changes, smooth_in_time
from tessphot_lib.catalog.crowding import star_density
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.clock import TIME_SHIFT, cadence_seconds, stamp_shift, timestamp_shifts
from tessphot_lib.core.constants import HOURS_PER_DAY, REFERENCE_SPAN, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import OWN_BAD_CADENCE, CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import FlagSettings, PrepareSettings
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.io.images.ffi_table import TIME_ERROR
from tessphot_lib.io.products.average_fits import (
    read_average_image,
    read_averaged,
    read_catalog_shift,
    read_sky_offset,
    read_static_light,
    read_straps,
)
from tessphot_lib.io.products.background_grid import block_grid
from tessphot_lib.io.products.block_hdf5 import (
    IMAGE_COLUMNS,
    read_all_images,
    read_identity,
    read_motion_stars,
)
from tessphot_lib.io.products.foreign_light_hdf5 import read_foreign_light
from tessphot_lib.io.products.jitter_ecsv import read_jitter
from tessphot_lib.io.products.pixels_hdf5 import PER_IMAGE
from tessphot_lib.io.products.pixels_writer import BlockIdentity, write_pixels
from tessphot_lib.io.products.spacecraft_ecsv import SpacecraftPath, read_spacecraft
from tessphot_lib.io.stars.catalog_sqlite import read_catalog, read_catalog_settings
from tessphot_lib.motion.own_influence import own_influence
from tessphot_lib.preparation.blur import blurred_images
from tessphot_lib.preparation.common_noise import measure_common_noise
from tessphot_lib.preparation.noise import measure_noise
from tessphot_lib.preparation.pixel_flags import pixel_flags
from tessphot_lib.preparation.pixel_motion import errors_of_structure, motion_from_pixels
from tessphot_lib.quality.straylight import brightest_level, has_straylight
from tessphot_lib.times.spacecraft import error_along

log = logging.getLogger(__name__)

MAX_STARS = 200  # that measure the motion: of more, no single one matters
FROM_BLOCKS = [name for name in PER_IMAGE if name in IMAGE_COLUMNS]
READ_NOISE_RANGE = 3.0, 30.0  # [e-] what it may be
SKY_ATTRIBUTES = ("wcs", "centre_ra", "centre_dec", "image_header", "ticver")  # of the catalog


def run_hdf5(
    blocks: list[Path],
    ccd_id: CcdId,
    *,
    average_image: Path,
    foreign_light: Path,
    jitter: Path,
    catalog: Path,
    spacecraft: Path,
    output: Path,
    settings: PrepareSettings,
) -> None:
    """Join the blocks of a CCD, smooth their backgrounds in time, and set the last flags.

    Parameters
    ----------
    blocks : list of Path
        In time order, in the folder of ``output`` or below it.
    average_image, foreign_light : Path
        What the step `average_image` made.
    spacecraft : Path
        Where TESS was.
    settings : PrepareSettings

    Raises
    ------
    InputDataError
        If the blocks do not belong together or the motion is not of their images.
    """
    background = settings.background
    identities, window = _identities(blocks, ccd_id)
    # The background of target pixel files is not smoothed: SPOC has already taken it off.
    hours = 0.0 if ccd_id.has_stamps else settings.smoothing.hours
    images, motion, pointing = _images_and_motion(blocks, jitter)
    grid = block_grid(blocks[0], window, background.box_size)
    if isinstance(grid, Mesh):
        grid = _with_details(grid, average_image)
        _add_changes(images, foreign_light)
    _finish_backgrounds(images, motion, settings, hours, read_sky_offset(average_image), grid)
    path = read_spacecraft(spacecraft)
    images["observatory_position"] = path.at(images["time"] - images["timecorr"])
    average, count, _ = read_average_image(average_image)
    is_averaged = read_averaged(average_image)
    if len(is_averaged) != len(images["time"]):
        raise InputDataError(f"{average_image}: its images are not those of the blocks")
    shift = CatalogShift.from_array(read_catalog_shift(average_image))
    about = read_catalog_settings(catalog)
    images["motion"] = pointing.without_whole(images["motion"])
    given = blocks, images, average, grid, foreign_light
    stars, _ = read_catalog(catalog, ("tic_id", "row", "column", "tmag"))
    expected = _expected_noise(images, about)
    noise, seen = _look_at_pixels(*given, stars, expected, ccd_id, settings, pointing)
    own_motion = _own_motion(blocks, motion) if seen is None else seen
    flagged = int((images["quality"] != 0).sum())
    n_images, lengths = len(images["time"]), [one.n_images for one in identities]
    log.info("%s: %d images in %d blocks, %d flagged", ccd_id, n_images, len(blocks), flagged)
    write_pixels(
        output,
        ccd_id,
        window,
        blocks=blocks,
        identities=identities,
        # Motion is against the catalog: where that is off, all images are displaced against it.
        images={name: images[name] for name in PER_IMAGE}
        | {"motion": pointing.with_whole(images["motion"]) + shift.motion},
        names=images["name"],
        average_image=average,
        average_count=count,
        is_averaged=is_averaged,
        grid=grid,
        own_motion=own_motion,
        pointing=pointing,
        pixel_flags=pixel_flags(blocks, lengths, grid, foreign_light, pointing),
        attributes={
            **provenance(
                settings.as_mapping(), [average_image, foreign_light, jitter, catalog, spacecraft]
            ),
            **_constants(images, settings),
            "noise": noise.to_json(),
            "catalog_shift": shift.to_array(),
            "star_density": star_density(grid.windows, *_of_stars(stars)),
            **_about_sky_and_times(about, path, ccd_id),
        },
    )


def _of_stars(stars: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Rows, columns and magnitudes."""
    return tuple(stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))


def _look_at_pixels(
    blocks: list[Path],
    images: dict[str, np.ndarray],
    average: np.ndarray,
    grid: BackgroundGrid,
    foreign_light: Path,
    stars: pd.DataFrame,
    expected: NoiseModel,
    ccd_id: CcdId,
    settings: PrepareSettings,
    pointing: Pointing,
) -> tuple[NoiseModel, dict[str, np.ndarray] | None]:
    """Measure the noise of the pixels, and set motion and errors in ``images`` by the pixels.

    Also returns what each star contributes to the motion, if that is from the pixels.
    """
    is_good = images["quality"] & (settings.bad_quality | int(OWN_BAD_CADENCE)) == 0
    given = blocks, images, average, grid
    own_motion = None
    found = motion_from_pixels(*given, stars, ccd_id, expected=expected, is_good=is_good)
    if found is not None:
        _set_motion(images, *found[:2])
        own_motion = found[2]
    blurred = blurred_images(*given, ccd_id, expected=expected, is_good=is_good)
    images["quality"][blurred] |= int(CadenceFlag.STARS_CHANGED)
    # Pixels of other images are read from elsewhere; to measure the noise these are enough.
    is_good &= ~blurred & ~pointing.whole.any(axis=1)
    noise, factor, motion_factor = measure_noise(
        *given,
        ccd_id,
        expected=expected,
        is_good=is_good,
        choice=settings.flux_errors,
        foreign_light=foreign_light,
    )
    common = measure_common_noise(
        *given, stars, ccd_id, expected=expected, is_good=is_good, seconds=_length(images)
    )
    error = images["background_error"]
    images["motion_error"] = images["motion_error"] * motion_factor
    error *= factor.reshape(-1, *[1] * (error.ndim - 1)).astype(error.dtype)
    if not grid.is_continuous:
        joined = round(REFERENCE_SPAN * SECONDS_PER_DAY / ccd_id.cadence) if ccd_id.cadence else 1
        structure = errors_of_structure(*given, expected=expected, is_good=is_good, joined=joined)
        images["background_error"] = np.hypot(error, structure).astype(error.dtype)
    return replace(noise, common=common), own_motion


def _set_motion(images: dict[str, np.ndarray], motion: np.ndarray, error: np.ndarray) -> None:
    """Replace the motion of all images, and the flag of those where it is not known."""
    images["motion"], images["motion_error"] = motion, error
    bit = np.int32(CadenceFlag.NO_MOTION)
    is_known = np.isfinite(motion).all(axis=1)
    images["quality"] = np.where(is_known, images["quality"] & ~bit, images["quality"] | bit)


def _expected_noise(images: dict[str, np.ndarray], about: Mapping[str, Any]) -> NoiseModel:
    """Noise by the length of the images, and the read noise in what the catalog has of headers."""
    header = json.loads(str(about["image_header"] or "{}"))
    return NoiseModel.expected(_length(images), _read_noise(header))


def _length(images: dict[str, np.ndarray]) -> float:
    """Length of a typical image, from start to end [s]."""
    return float(np.median(images["time_stop"] - images["time_start"])) * SECONDS_PER_DAY


def _read_noise(header: Mapping[str, Any]) -> list[float] | None:
    """Read noise of outputs A to D by the headers of the images [e-]; None if unknown."""
    try:
        found = [float(header[f"READNOI{output}"]) for output in "ABCD"]
    except (KeyError, TypeError, ValueError):
        return None
    low, high = READ_NOISE_RANGE
    return found if all(low < one < high for one in found) else None


def _with_details(mesh: Mesh, average_image: Path) -> Mesh:
    """Give a mesh its straps and static light, where there are any."""
    straps, static = read_straps(average_image), read_static_light(average_image)
    return replace(
        mesh,
        straps=straps if straps.any() else None,
        static_light=static if static.any() else None,
    )


def _add_changes(images: dict[str, np.ndarray], foreign_light: Path) -> None:
    """Add to the backgrounds what their images have besides stars; take the errors from there."""
    found = read_foreign_light(foreign_light)
    if len(found.sky) != len(images["time"]):
        raise InputDataError(f"{foreign_light}: its images are not those of the blocks")
    known = np.isfinite(found.error).all(axis=(1, 2))
    images["background"][known] += found.sky[known]
    images["background_error"][known] = found.error[known]


def _images_and_motion(
    blocks: list[Path], jitter: Path
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Pointing]:
    """Image tables of all blocks with the motion in them, and what ``jitter.ecsv`` says."""
    motion, pointing = read_jitter(jitter)
    images = _read_all(blocks)
    if not np.array_equal(motion["cadenceno"], images["cadenceno"]):
        raise InputDataError(f"{jitter}: its cadence numbers are not those of the blocks")
    images["motion"], images["motion_error"] = motion["motion"], motion["error"]
    return images, motion, pointing


def _own_motion(blocks: list[Path], motion: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """What each of a few motion stars contributes to the motion; None of many, where it is small.

    The motion from headers has nothing of the stars.
    """
    stars = read_motion_stars(blocks[0])
    if not 0 < len(stars["tic_id"]) <= MAX_STARS:
        return None
    measured = read_all_images(blocks, ("star_row", "star_column"))
    of_stars = np.where((motion["source"] == "stars")[:, None], motion["motion"], np.nan)
    d_row, d_column = own_influence(
        measured["star_row"],
        measured["star_column"],
        stars["row"],
        stars["column"],
        motion=of_stars,
        scatter=motion["star_scatter"],
    )
    return {"tic_id": stars["tic_id"], "d_row": d_row, "d_column": d_column}


def _constants(images: dict[str, np.ndarray], settings: PrepareSettings) -> dict[str, int | float]:
    """Numbers that hold for the whole CCD, for the attributes of the file."""
    background = settings.background
    return {
        "cadence_seconds": cadence_seconds(images["time"], images["exposure_time"]),
        "bad_quality": settings.bad_quality,
        "box_size": background.box_size,
        "mask_radius_scale": background.mask_radius_scale,
    }


def _identities(blocks: list[Path], ccd_id: CcdId) -> tuple[list[BlockIdentity], Window]:
    """What the blocks are, and the window that they share."""
    about = [read_identity(block) for block in blocks]
    window = about[0]["window"]
    for one in about:
        if one["window"] != window or one["ccd"] != str(ccd_id):
            raise InputDataError(
                f"{one['name']}: it is of {one['ccd']}, window {one['window'].as_list()}; "
                f"expected {ccd_id}, {window.as_list()}"
            )
    identities = [
        BlockIdentity(one["name"], one["size"], one["digest"], one["n_images"]) for one in about
    ]
    return identities, window


def _finish_backgrounds(
    images: dict[str, np.ndarray],
    motion: dict[str, np.ndarray],
    settings: PrepareSettings,
    hours: float,
    offset: np.ndarray,
    grid: BackgroundGrid,
) -> None:
    """Take off the offset of the backgrounds, set the last flags, and smooth in time."""
    if offset.size:
        images["background"] -= offset.astype(np.float32)
    brightest = brightest_level(grid.levels(images["background"]), images["background_level"])
    images["quality"] = _last_flags(images, motion, brightest, settings.flags)
    images["background_own"] = images["background_error"]
    if hours > 0:
        _smooth(images, hours, settings.bad_quality, grid)


def _about_sky_and_times(
    sky: Mapping[str, Any], path: SpacecraftPath, ccd_id: CcdId
) -> dict[str, Any]:
    """What the catalog says of the CCD; where the positions of TESS are from, and their error.

    With the shift of the times, which early data releases have wrong.
    """
    corners = unit_vector(*np.array(sky["footprint"], dtype=float).T)
    header = json.loads(str(sky["image_header"] or "{}"))
    of_images_error = float(header.get(TIME_ERROR, 0.0))
    if ccd_id.has_stamps:
        shift = header.get(TIME_SHIFT, stamp_shift(header))
    else:
        release = header.get("DATA_REL"), header.get("PROCVER")
        shift = 0.5 * sum(timestamp_shifts(*release, ccd_id))
    return {key: sky[key] for key in SKY_ATTRIBUTES} | {
        "position_source": path.description,
        "time_error": float(np.hypot(error_along(path.covariance, corners), of_images_error)),
        "time_shift": float(shift),
    }


def _read_all(blocks: list[Path]) -> dict[str, np.ndarray]:
    """Image tables of all blocks, one after the other; checks that time increases."""
    images = read_all_images(blocks, (*FROM_BLOCKS, "name"))
    backwards = np.flatnonzero(np.diff(images["time"]) <= 0)
    if backwards.size:
        first, second = images["name"][backwards[0] : backwards[0] + 2]
        raise InputDataError(f"{second}: its time is not after that of {first}")
    return images


def _last_flags(
    images: dict[str, np.ndarray],
    motion: dict[str, np.ndarray],
    brightest: np.ndarray,
    flags: FlagSettings,
) -> np.ndarray:
    """Cadence flags that need the whole sector: scattered light, motion, changed stars."""
    quality = images["quality"].astype(np.int32)
    bright = has_straylight(brightest, flags.straylight_factor)
    quality[bright] |= int(CadenceFlag.STRAYLIGHT_MEASURED)
    return quality | motion["quality"].astype(np.int32)


def _smooth(
    images: dict[str, np.ndarray], hours: float, bad_quality: int, grid: BackgroundGrid
) -> None:
    """Smooth the backgrounds in time, but for true changes; their errors shrink accordingly.

    ``background_own`` becomes the part of the errors that is from the image's own pixels.
    """
    own_bits = CadenceFlag.NO_DATA | CadenceFlag.BAD_BACKGROUND
    good = images["quality"] & (bad_quality | int(own_bits)) == 0
    models, error = images["background"], images["background_error"]
    smoothed, new_error = models.astype(np.float32), error.astype(np.float32)
    images["background_own"] = new_error.copy()
    for part in grid.groups_of_images(models):
        levels, own = models[:, part], error[:, part]
        result, gain = smooth_in_time(levels, images["time"], good, width=hours / HOURS_PER_DAY)
        # The level of each part of the CCD: a node of the mesh, or a patch's first coefficient.
        level = np.s_[...] if grid.is_continuous else np.s_[..., 0]
        shape = own.shape
        flat = [one.reshape(len(good), -1) for one in (levels[level], result[level], own)]
        kept, fraction = keep_changes(flat[0], flat[1], gain, flat[2], good)
        result[level], fraction = kept.reshape(shape), fraction.reshape(shape)
        of_average = (1 / gain).reshape(-1, *[1] * (own.ndim - 1))
        smoothed[:, part] = result
        new_error[:, part] = own * np.sqrt(fraction + (1 - fraction) * of_average)
        images["background_own"][:, part] = own * np.sqrt(fraction)
    images["background"], images["background_error"] = smoothed, new_error
