"""Noise that the stars of a CCD have in common, from the pixels of bright ones in the blocks."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.affine import displacement
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.isolation import is_isolated
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.motion.pixel_shift import star_areas
from tessphot_lib.preparation.noise import (
    QUIET_FACTOR,
    images_around,
    middle_images,
    second_difference,
)
from tessphot_lib.preparation.window_pixels import FULL_FRACTION, WindowPixels, small_windows
from tessphot_lib.quality.common_noise import believed_noise, common_variance
from tessphot_lib.quality.pixel_noise import MIN_IMAGES, without_motion

log = logging.getLogger(__name__)

FRACTION = 0.05  # of the brightest pixel's light that others of an aperture have, about
MIN_PIXELS = 3  # of a star
# Of full-frame images the pixels around so many stars are looked at, of cutouts as many of them.
BRIGHT_LIMIT, FAINT_LIMIT, MAX_STARS = 7.5, 11.5, 48  # [Tmag]
ISOLATION, ISOLATION_TMAG = 5.0, 2.5  # [pixels], in which neighbors are fainter by as much
HALF = 4  # [pixels] 9 x 9 are looked at


def measure_common_noise(
    blocks: list[Path],
    images: dict[str, NDArray],
    average: NDArray,
    grid: BackgroundGrid,
    stars: pd.DataFrame,
    ccd_id: CcdId,
    *,
    expected: NoiseModel,
    is_good: NDArray,
    seconds: float,
) -> float:
    """Measure by how much all stars of a CCD scatter together, relative to their flux.

    Parameters
    ----------
    blocks, images, average, grid, ccd_id, is_good
        As of `tessphot_lib.preparation.noise.measure_noise`.
    stars : pandas.DataFrame
        ``row``, ``column`` and ``tmag`` of the catalog.
    expected : NoiseModel
    seconds : float
        Length of an image [s].

    Returns
    -------
    float
        1-sigma noise of an image; what is expected where the stars show nothing.
    """
    level = images["background_level"].astype(float)
    quiet = float(np.nanmedian(level[is_good])) if np.isfinite(level[is_good]).any() else np.nan
    with np.errstate(invalid="ignore"):
        middle = middle_images(images["time"], is_good & (level <= QUIET_FACTOR * quiet))
    windows = _windows(grid, average, stars) if len(middle) >= MIN_IMAGES else []
    light_curves: dict[tuple[int, int], NDArray] = {}
    patches: dict[tuple[int, int], int] = {}
    around = images_around(middle)
    with WindowPixels(blocks, images["background"], average, grid) as pixels:
        for lit in pixels.lit(windows, quiet, expected):
            chosen = _star_pixels(lit.light, lit.noise, is_single=grid.is_continuous)
            if not chosen:
                continue
            change = pixels.change(lit, around)
            for star in chosen:
                at = _brightest(lit.light, star, lit.window)  # windows may overlap: once each
                relative = change[:, star].sum(axis=1, dtype=float) / lit.light[star].sum()
                second = second_difference(relative, np.searchsorted(around, middle))
                moved = second_difference(images["motion"], middle)
                light_curves[at] = _without_motion(second, moved, at)
                patches[at] = lit.number
    second = np.array(list(light_curves.values())).reshape(len(patches), len(middle))
    seen = common_variance(second, np.array(list(patches.values())))
    believed = believed_noise(seen, seconds)
    log.info(
        "%s: stars have noise of %.0f ppm in common (%d stars; variance %.3g +- %.2g ppm^2)",
        *(ccd_id, 1e6 * believed, len(patches), 1e12 * seen.variance, 1e12 * seen.error),
    )
    return believed


def _windows(grid: BackgroundGrid, average: NDArray, stars: pd.DataFrame) -> list[Window]:
    """The pixels that are looked at: those around bright stars, of cutouts all that have some."""
    if not grid.is_continuous:
        small = small_windows(grid)
        peaks = [_peak(average[one.slices_in(grid.window)]) for one in small]
        return [small[index] for index in np.argsort(-np.array(peaks), kind="stable")[:MAX_STARS]]
    row, column, tmag = (stars[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    window = grid.window
    if min(window.shape) <= 2 * HALF:
        return []
    inside = Window(
        window.row0 + HALF, window.row1 - HALF, window.column0 + HALF, window.column1 - HALF
    )
    with np.errstate(invalid="ignore"):
        usable = (tmag >= BRIGHT_LIMIT) & (tmag <= FAINT_LIMIT)
        chosen = np.flatnonzero(usable & inside.contains(row, column))
    limits = {"radius": ISOLATION, "tmag_difference": ISOLATION_TMAG}
    chosen = chosen[is_isolated(row, column, tmag, chosen, **limits)]
    chosen = chosen[np.argsort(tmag[chosen], kind="stable")][:MAX_STARS]
    return [
        Window.around(round(float(row[star])), round(float(column[star])), HALF, window)
        for star in chosen
    ]


def _peak(light: NDArray) -> float:
    """Light of the brightest pixel that is not full [e-/s]; 0 without any."""
    not_full = light[np.isfinite(light) & (light < FULL_FRACTION * FULL_WELL_RATE)]
    return float(not_full.max(initial=0.0))


def _star_pixels(light: NDArray, noise: NDArray, *, is_single: bool) -> list[NDArray]:
    """Pixels of each star that an aperture would have, (n_rows, n_columns) bool; none is full.

    ``is_single``: only of the star in the middle.
    """
    middle = light.shape[0] // 2, light.shape[1] // 2
    result = []
    for area in star_areas(light, noise):
        if not np.isfinite(noise[area]).all() or (is_single and not area[middle]):
            continue
        pixels = area & (light >= FRACTION * light[area].max())
        if pixels.sum() >= MIN_PIXELS:
            result.append(pixels)
    return result


def _brightest(light: NDArray, pixels: NDArray, window: Window) -> tuple[int, int]:
    """Row and column of the brightest of some pixels of a window [science pixels]."""
    row, column = np.unravel_index(np.argmax(np.where(pixels, light, -np.inf)), light.shape)
    return int(row) + window.row0, int(column) + window.column0


def _without_motion(second: NDArray, moved: NDArray, at: tuple[int, int]) -> NDArray:
    """Second differences of a star's light without what goes with those of the motion."""
    known = np.isfinite(second)
    position = [np.array([one], dtype=float) for one in at]
    d_row, d_column = displacement(moved[known], *position)
    rest, gain = without_motion(second[known, None], d_row[:, 0], d_column[:, 0])
    result = second.copy()
    result[known] = rest[:, 0] / np.sqrt(gain)
    return result
