"""Motion of the images of a few cutouts, where there are too few single stars to measure it."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.background.smoothing import keep_changes, smooth_in_time
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.constants import HOURS_PER_DAY, ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.stamps import values_at
from tessphot_lib.motion.pixel_shift import (
    ShiftInformation,
    joined_shift,
    residual_spread,
    shift_by_others,
    shift_information,
    star_areas,
)
from tessphot_lib.preparation.star_shapes import light_of_stars
from tessphot_lib.preparation.window_pixels import (
    KNOWN,
    LitWindow,
    WindowPixels,
    mean_of_groups,
    small_windows,
)

log = logging.getLogger(__name__)

UNKNOWN = 0.5  # of the good images without motion: then it is measured here, in all images
BETTER = 1.5  # times as exact as by the positions of stars it has to be elsewhere
MIN_IMAGES = 12
SIGNIFICANT = 2.0  # times its error that the motion has to be to be used
SMOOTHED_HOURS = 2.5
ALIKE_SIGMA = 0.1  # scale of `smooth_in_time`: what is within 3 sigma is alike
MAX_STRUCTURE = 0.03  # of the excess light of an image: more is no structure of scattered light
NOTICED = 0.2  # of an error: less adds at most 2 % to it
UNUSUAL = 1.25  # times the usual scatter of pixels about what stars can do
MAX_SHIFT = 0.5  # [pixels] to which first order is good


def motion_from_pixels(
    blocks: list[Path],
    images: dict[str, NDArray],
    average: NDArray,
    grid: BackgroundGrid,
    stars: pd.DataFrame,
    ccd_id: CcdId,
    *,
    expected: NoiseModel,
    is_good: NDArray,
) -> tuple[NDArray, NDArray, dict[str, NDArray]] | None:
    """Measure the motion of images against the average image, if it is not known as well.

    It is a translation: an affine motion, from eight stars or more, is better.

    Parameters
    ----------
    blocks, images, average, grid, ccd_id, is_good
        As of `tessphot_lib.preparation.noise.measure_noise`.
    stars : pandas.DataFrame
        ``tic_id``, ``row`` and ``column`` of the catalog.
    expected : NoiseModel

    Returns
    -------
    motion : (n_images, 6) array
        Affine, a translation; NaN where it is not known.
    error : (n_images,) array
        1-sigma per axis [pixels].
    own : dict
        ``tic_id``, ``d_row`` and ``d_column`` of the stars that it was measured with, as
        `tessphot_lib.motion.own_influence` has it: what each has contributed to the motion; NaN
        where the others alone tell nothing.

    None is returned where the motion is known, or nothing can be seen of it.
    """
    unknown = ~np.isfinite(images["motion"]).all(axis=1)
    if is_good.sum() < MIN_IMAGES or len(small_windows(grid)) < len(grid.windows):
        return None
    is_known = unknown[is_good].mean() < UNKNOWN
    is_affine = bool(np.nan_to_num(np.delete(images["motion"], [0, 3], axis=1)).any())
    if is_known and (is_affine or grid.is_continuous):
        return None
    level = float(np.nanmedian(images["background_level"][is_good]))
    parts, ids = [], []
    with WindowPixels(blocks, images["background"], average, grid) as pixels:
        for lit in pixels.lit(grid.windows, level, expected):
            areas = star_areas(lit.light, lit.noise)
            known = light_of_stars(lit.light, lit.noise, areas, lit.window)
            given = pixels.change(lit), lit.light, lit.noise, areas, known
            parts.append(shift_information(*given))
            ids += [stars_in(area, lit.window, stars) for area in (*areas, ~areas.any(axis=0))]
    if not parts:
        return None
    seen = ShiftInformation(*(np.concatenate(one, axis=1) for one in zip(*parts, strict=True)))
    time = images["time"]
    shift, error, is_seen = _used(*joined_shift(seen), time, is_good)
    by_stars = np.nanmedian(images["motion_error"][is_good]) if is_known else np.inf
    if not is_seen or by_stars < BETTER * np.nanmedian(error[is_good]):
        return None
    d_row, d_column = np.full((2, len(shift), len(ids)), np.nan)
    for star in range(len(ids)):
        others, _, is_seen = _used(*shift_by_others(seen, star), time, is_good)
        if is_seen:
            d_row[:, star], d_column[:, star] = (shift - others).T
    motion = np.full((len(shift), 6), np.nan)
    known = np.isfinite(shift).all(axis=1)
    motion[known] = 0.0
    motion[:, [0, 3]] = shift
    log.info(
        "%s: motion of %d images from the pixels of %d stars, good to %.2f mpx",
        *(ccd_id, known.sum(), len(ids), 1e3 * float(np.nanmedian(error))),
    )
    which = np.repeat(np.arange(len(ids)), [len(one) for one in ids])
    own = {"tic_id": np.concatenate(ids), "d_row": d_row[:, which], "d_column": d_column[:, which]}
    return motion, error, own


def errors_of_structure(
    blocks: list[Path],
    images: dict[str, NDArray],
    average: NDArray,
    grid: BackgroundGrid,
    *,
    expected: NoiseModel,
    is_good: NDArray,
    joined: int = 1,
) -> NDArray:
    """What light with structure, such as scattered light, makes backgrounds of cutouts err by.

    Parameters
    ----------
    As of `motion_from_pixels`.
    joined : int
        How many images in a row are looked at as one, their mean: of short exposures, in which
        scattered light hardly changes.

    Returns
    -------
    (n_images, n_patches) array
        1-sigma [e-/s per pixel]: what the pixels of an image scatter by beyond the noise and
        beyond the usual, when stars may move and change, but at most a few percent of what its
        sky is brighter than usual. 0 where nothing is seen, and of patches where so much would
        not be noticed in ``background_error`` in any image.
    """
    result = np.zeros((len(images["time"]), len(grid.windows)))
    if grid.is_continuous or is_good.sum() < MIN_IMAGES:
        return result
    of_image = images["background_level"].astype(float)
    level = mean_of_groups(of_image, joined)
    is_good = mean_of_groups(is_good.astype(float), joined) >= KNOWN
    if not is_good.any():
        return result
    quiet = float(np.nanmedian(level[is_good]))
    most = MAX_STRUCTURE * np.maximum(np.nan_to_num(of_image) - quiet, 0.0)
    is_noticed = (most[:, None] > NOTICED * images["background_error"]).any(axis=0)
    if not is_noticed.any():
        return result
    backgrounds = mean_of_groups(images["background"], joined)
    with WindowPixels(blocks, backgrounds, average, grid, joined) as pixels:
        for lit in pixels.lit(grid.windows, quiet, expected):
            if not is_noticed[lit.number]:
                continue
            noise = lit.noise / joined**0.5
            areas = star_areas(lit.light, noise)
            spread = residual_spread(pixels.change(lit), lit.light, noise, areas)
            error = _excess_error(spread, level, is_good, quiet, lit, expected) / joined**0.5
            result[:, lit.number] = np.minimum(np.repeat(error, joined)[: len(most)], most)
    return result


def _excess_error(
    spread: NDArray,
    level: NDArray,
    is_good: NDArray,
    quiet: float,
    lit: LitWindow,
    expected: NoiseModel,
) -> NDArray:
    """What the pixels of images scatter by beyond the noise and the usual [e-/s], (n_images,).

    ``spread`` is in units of the noise, ``level`` that of the sky, ``quiet`` without scattered
    light.
    """
    known = np.isfinite(spread) & np.isfinite(level)
    if not (known & is_good).any():
        return np.zeros(len(spread))
    row = np.full((1, lit.window.shape[1]), quiet)
    sky = float(np.median(expected.sigma(row, lit.window)))
    photons = np.maximum(np.nan_to_num(level) - quiet, 0.0) ** 0.5 * expected.photon**0.5
    usual = float(np.median(spread[known & is_good])) * np.hypot(1.0, photons / sky)
    excess = np.sqrt(np.maximum(spread**2 - (UNUSUAL * usual) ** 2, 0.0))
    return np.where(known, sky * excess, 0.0)


def stars_in(area: NDArray, window: Window, stars: pd.DataFrame) -> NDArray:
    """TIC numbers of the stars in some pixels of a window."""
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    inside = values_at(area, window, row, column, outside=False)
    return stars["tic_id"].to_numpy(dtype=np.int64)[inside]


def _used(
    shift: NDArray, error: NDArray, time: NDArray, is_good: NDArray
) -> tuple[NDArray, NDArray, bool]:
    """The motion, smoothed as far as it is noise, its errors, and whether it is more than these."""
    known = np.isfinite(shift).all(axis=1) & (np.abs(np.nan_to_num(shift)) < MAX_SHIFT).all(axis=1)
    shift = np.where(known[:, None], shift, np.nan)
    good = known & is_good
    if good.sum() < MIN_IMAGES:
        return shift, error, False
    off = shift[good] - np.median(shift[good], axis=0)
    size = ROUNDED_MAD_TO_SIGMA * float(np.sqrt(np.mean(np.median(np.abs(off), axis=0) ** 2)))
    typical = float(np.median(error[good]))
    if size < SIGNIFICANT * typical:
        return shift, error, False
    scale = ALIKE_SIGMA / typical
    smoothed, gain = smooth_in_time(
        shift[:, None] * scale, time, good, width=SMOOTHED_HOURS / HOURS_PER_DAY
    )
    result, kept = shift.copy(), np.ones(len(shift))
    for axis in (0, 1):
        given = shift[:, [axis]], smoothed[:, 0, [axis]] / scale
        values, own = keep_changes(*given, gain, error[:, None], good)
        result[:, axis] = values[:, 0]
        kept = np.maximum(own[:, 0], kept if axis else 0.0)
    return result, np.where(known, error * np.sqrt(kept + (1 - kept) / gain), np.nan), True
