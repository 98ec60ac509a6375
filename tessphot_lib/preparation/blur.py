"""Images of cutouts that are blurred, by pointing that jitters within them.

Where there are many stars their sharpness tells (`tessphot_lib.quality.image_check`). Cutouts show
a few, but in all their pixels: what an image has more than the average image is fitted by motion,
by the brightness of each star, and by the curvature of the light, which is what a blur adds. A
star that changes in brightness alone is none. It has to be seen without any one of the stars, too.
"""

import logging
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.motion.pixel_shift import (
    AT_ONCE,
    ShiftInformation,
    blur_information,
    solved,
    star_areas,
)
from tessphot_lib.preparation.pixel_motion import MIN_IMAGES
from tessphot_lib.preparation.window_pixels import LitWindow, WindowPixels

log = logging.getLogger(__name__)

# [pixels**2] of both variances: takes some 0.6 % of the light out of the aperture of a star of
# Tmag 12. In images of sectors 1 to 19 without events it scatters by 0.0005 to 0.004.
LIMIT = 0.02
MAX_BLUR = 0.2  # [pixels**2] what looks like more is light that no star is known to have
SIGNIFICANT, BY_OTHERS = 8.0, 5.0  # [sigma], by all stars and without each of them
# The images right before and after blurred ones need less to be so, too.
BESIDE_LIMIT, BESIDE_SIGNIFICANT, BESIDE_BY_OTHERS = 0.005, 5.0, 3.0
AROUND = 12  # good images on each side that an image is compared with
TESTED_STARS = 20  # those that tell most are left out one by one
MIN_AT_ONCE = 200  # images that are fitted together, at least


def blurred_images(
    blocks: list[Path],
    images: dict[str, NDArray],
    average: NDArray,
    grid: BackgroundGrid,
    ccd_id: CcdId,
    *,
    expected: NoiseModel,
    is_good: NDArray,
) -> NDArray:
    """Return which images of cutouts are blurred.

    Parameters
    ----------
    As of `tessphot_lib.preparation.pixel_motion.motion_from_pixels`.

    Returns
    -------
    (n_images,) bool array
        False where it is not known: of full-frame images, of target pixel files, whose flags
        are the mission's, and where a single star tells.
    """
    nothing = np.zeros(len(is_good), dtype=bool)
    if grid.is_continuous or ccd_id.has_stamps or is_good.sum() < MIN_IMAGES:
        return nothing
    level = float(np.nanmedian(images["background_level"][is_good]))
    with WindowPixels(blocks, images["background"], average, grid) as pixels:
        seen_ones = pixels.lit(grid.windows, level, expected)
        parts = [_seen_in(lit, pixels.change(lit)) for lit in seen_ones]
    if not parts:
        return nothing
    seen = ShiftInformation(*(np.concatenate(one, axis=1) for one in zip(*parts, strict=True)))
    result = blurred_by(seen, is_good)
    if result.any():
        log.info("%s: %d of %d images are blurred", ccd_id, result.sum(), len(result))
    return result


def _seen_in(lit: LitWindow, change: NDArray) -> ShiftInformation:
    """What a window tells, some images at a time."""
    light, noise = lit.light, lit.noise
    areas = star_areas(light, noise)
    at_once = max(MIN_AT_ONCE, AT_ONCE // light.size)
    firsts = range(0, len(change), at_once)
    pieces = [blur_information(change[i : i + at_once], light, noise, areas) for i in firsts]
    return ShiftInformation(*(np.concatenate(one) for one in zip(*pieces, strict=True)))


def blurred_by(seen: ShiftInformation, is_good: NDArray) -> NDArray:
    """Return which images are blurred, by all stars and without any one of them.

    Parameters
    ----------
    seen : ShiftInformation
        Of the blur.
    is_good : (n_images,) bool array
        Images that others are compared with, and that are asked about.

    Returns
    -------
    (n_images,) bool array
    """
    normal, right = (one.sum(axis=1) for one in seen)
    result = _is_blurred(normal, right, is_good, LIMIT, SIGNIFICANT)
    if not result.any():
        return result
    beside = _is_blurred(normal, right, is_good, BESIDE_LIMIT, BESIDE_SIGNIFICANT)
    told = np.median(np.trace(seen.normal[result], axis1=2, axis2=3), axis=0)
    for star in np.argsort(-told)[:TESTED_STARS]:
        others = normal - seen.normal[:, star], right - seen.right[:, star]
        result &= _is_blurred(*others, is_good, LIMIT / 2, BY_OTHERS)
        beside &= _is_blurred(*others, is_good, BESIDE_LIMIT / 2, BESIDE_BY_OTHERS)
    return result | (beside & scipy.ndimage.binary_dilation(result))


def _is_blurred(
    normal: NDArray, right: NDArray, is_good: NDArray, limit: float, significant: float
) -> NDArray:
    """Return which good images are wider than those around them, by so much and so many sigma."""
    blur, variance = solved(normal, right)
    width, error = blur[:, 0] + blur[:, 2], np.sqrt(variance[:, 0] + variance[:, 2])
    known = np.flatnonzero(is_good & np.isfinite(width))
    result = np.zeros(len(width), dtype=bool)
    if len(known) < MIN_IMAGES:
        return result
    some = width[known]
    usual = [np.median(some[max(i - AROUND, 0) : i + AROUND + 1]) for i in range(len(some))]
    more = some - np.array(usual)
    scatter = ROUNDED_MAD_TO_SIGMA * float(np.median(np.abs(more)))
    least = np.maximum(limit, significant * np.maximum(error[known], scatter))
    result[known] = (more > least) & (more < MAX_BLUR)
    return result
