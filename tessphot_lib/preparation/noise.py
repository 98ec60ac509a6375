"""The noise of a CCD's pixels, measured from some of them when all blocks are known."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.bins import Bins
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.medians import median_of_known, medians_of_known
from tessphot_lib.core.noise_model import N_OUTPUTS, NoiseModel, is_sane, output_of
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.io.products.block_hdf5 import CHUNK_SIDE
from tessphot_lib.io.products.foreign_light_hdf5 import read_foreign_bins
from tessphot_lib.preparation.window_pixels import WindowPixels, in_runs
from tessphot_lib.quality.pixel_noise import (
    MIN_IMAGES,
    PixelScatter,
    SkyScatter,
    background_factor,
    fit_noise,
    scatter_variance,
    sky_scatter,
    without_motion,
)

log = logging.getLogger(__name__)

PIXELS_PER_OUTPUT = 10_240  # in pieces of at most `CHUNK_SIDE` x `CHUNK_SIDE`
MAX_DIFFERENCES = 600  # second differences of each pixel
MAX_LIT_DIFFERENCES = 160  # more of these, in scattered light, of very many images
EVERY = 3  # of consecutive second differences do not overlap
REGULAR = 0.2  # by which the distance of images may differ from the usual one, relative
QUIET_FACTOR = 1.5  # times the median background: brighter images have scattered light
FOREIGN_FRACTION = 0.1  # of a piece in foreign light, from which an image shows no noise there
MIN_FACTOR, MAX_FACTOR = 0.3, 20.0  # of the errors of backgrounds
MOSTLY_BROKEN = 0.5  # of the stated errors: none of them is believed


@dataclass
class NoiseScatter:
    """What the pieces of a CCD show.

    ``quiet`` and ``lit`` are of images without and with scattered light.
    """

    pixels: list[PixelScatter] = field(default_factory=list)
    quiet: list[SkyScatter] = field(default_factory=list)
    lit: list[SkyScatter] = field(default_factory=list)
    n_broken: int = 0
    n_errors: int = 0


def measure_noise(
    blocks: list[Path],
    images: dict[str, NDArray],
    average: NDArray,
    grid: BackgroundGrid,
    ccd_id: CcdId,
    *,
    expected: NoiseModel,
    is_good: NDArray,
    choice: str,
    foreign_light: Path | None = None,
) -> tuple[NoiseModel, NDArray, float]:
    """Find the noise model of a CCD, and what the errors of backgrounds and motion are worth.

    Parameters
    ----------
    blocks : list of Path
        In time order.
    images : dict
        ``time``, ``background``, ``background_error``, ``background_own``,
        ``background_level``, ``motion``, ``motion_error`` of all.
    average : (n_rows, n_columns) array
        Average image [e-/s].
    grid : BackgroundGrid
        What the backgrounds are of.
    ccd_id : CcdId
        For messages.
    expected : NoiseModel
        As the instrument should be.
    is_good : (n_images,) bool array
    choice : {'auto', 'images', 'pixels'}
        ``prepare.flux_errors``.
    foreign_light : Path, optional
        ``foreign_light.hdf5``: where it covers a piece, it changes from image to image and hides
        the sky, neither of which is noise.

    Returns
    -------
    model : NoiseModel
    factor : (n_images,) array
        For the errors of the backgrounds of each image; 1 where nothing is known.
    motion_factor : float
        For the errors of the motion, at most 1: they are no larger than the changes of the
        motion from image to image.
    """
    middle = middle_images(images["time"], is_good, _is_lit(images, is_good))
    seen = NoiseScatter()
    around, n_images = images_around(middle), len(images["time"])
    # Of few images all show whether errors make sense.
    chosen = around if 2 * len(around) < n_images and len(middle) >= MIN_IMAGES else None
    changes = second_difference(images["background"], middle)
    foreign = np.zeros(0) if foreign_light is None else read_foreign_bins(foreign_light)
    with WindowPixels(blocks, images["background"], average, grid) as pixels:
        for piece in _pieces(grid):
            flux, stated = (pixels.read(name, piece, chosen) for name in ("flux", "flux_err"))
            _count_broken(flux, stated, piece, expected, seen)
            clean = _without_foreign_light(foreign, piece, grid.window, middle)
            some = middle[clean]
            at = some if chosen is None else np.searchsorted(chosen, some)
            given = some, second_difference(flux, at), flux[at], stated[at]
            _look_at(piece, *given, images, changes[clean], average, grid, seen)
    fitted = fit_noise(PixelScatter.joined(seen.pixels), expected)
    broken = seen.n_broken / max(seen.n_errors, 1)
    motion_scatter = _motion_scatter(images, middle, grid.window)
    stated_error = np.nan_to_num(median_of_known(images["motion_error"][middle]))
    motion_error = min(stated_error, motion_scatter)
    model = replace(
        _chosen(fitted, expected, broken, choice),
        broken=broken,
        motion_seen=max(motion_scatter**2 - motion_error**2, 0.0) ** 0.5,
    )
    log.info(
        "%s: noise of pixels by %s: %.4f + %.3g F; stated / measured %.2f (sky), %.2f (bright); "
        "%.2g %% of the stated ones are none",
        *(ccd_id, model.source, float(np.mean(model.read)), model.photon),
        *(model.faint, model.bright, 100 * broken),
    )
    motion_factor = motion_error / stated_error if stated_error > 0 and motion_error > 0 else 1.0
    return model, _background_factors(images, is_good, seen), motion_factor


def _without_foreign_light(
    packed: NDArray, piece: Window, window: Window, middle: NDArray
) -> NDArray:
    """Return which images have none in a piece, nor do those before and after, (n_middle,) bool.

    ``packed`` (n_images, n_bin_rows, n_bytes): as of `read_foreign_bins`.
    """
    if not packed.size or not middle.size:
        return np.ones(middle.shape, dtype=bool)
    bins = Bins.over(window)
    edges = (
        (bins.row_edges, piece.row0, piece.row1),
        (bins.column_edges, piece.column0, piece.column1),
    )
    rows, columns = (
        slice(int(np.searchsorted(one, first, "right")) - 1, int(np.searchsorted(one, last)))
        for one, first, last in edges
    )
    foreign = np.unpackbits(packed[:, rows], axis=-1, count=bins.shape[1])[:, :, columns]
    clean = foreign.mean(axis=(1, 2)) < FOREIGN_FRACTION
    return clean[middle - 1] & clean[middle] & clean[middle + 1]


def _chosen(
    fitted: NoiseModel | None, expected: NoiseModel, broken: float, choice: str
) -> NoiseModel:
    """The model, with whose errors count in ``source``."""
    if choice == "images":
        return replace(fitted or expected, source="images")
    if fitted is not None:
        return replace(fitted, source="pixels") if choice == "pixels" else fitted
    is_believed = choice == "auto" and broken < MOSTLY_BROKEN
    return replace(expected, source="images" if is_believed else "formula")


def middle_images(time: NDArray, is_good: NDArray, is_lit: NDArray | None = None) -> NDArray:
    """Good images with good ones right before and after them, as many as are looked at, (n,) int.

    Of very many those with scattered light (``is_lit``) are chosen by themselves: they may be few.
    """
    if len(time) < 3:
        return np.zeros(0, dtype=int)
    steps = np.diff(time)
    regular = np.abs(steps - np.median(steps)) <= REGULAR * np.median(steps)
    three = is_good[:-2] & is_good[1:-1] & is_good[2:] & regular[:-1] & regular[1:]
    middle = np.flatnonzero(three) + 1
    if is_lit is None or len(middle) <= EVERY * MAX_DIFFERENCES:
        return in_runs(middle, MAX_DIFFERENCES, EVERY)
    quiet, lit = middle[~is_lit[middle]], middle[is_lit[middle]]
    return np.union1d(
        in_runs(quiet, MAX_DIFFERENCES, EVERY), in_runs(lit, MAX_LIT_DIFFERENCES, EVERY)
    )


def images_around(middle: NDArray) -> NDArray:
    """Images that the second differences of some are made of, (n,) int."""
    return np.unique(np.concatenate([middle - 1, middle, middle + 1]))


def _pieces(grid: BackgroundGrid) -> list[Window]:
    """Some pieces of the CCD, as many of each output, evenly spread."""
    by_output: list[list[Window]] = [[] for _ in range(N_OUTPUTS)]
    whole = grid.window
    for part in grid.windows:
        for row in range(_aligned(part.row0, whole.row0), part.row1, CHUNK_SIDE):
            for column in range(_aligned(part.column0, whole.column0), part.column1, CHUNK_SIDE):
                # A chunk may begin before the part, and end beyond the CCD.
                piece = Window(
                    max(row, part.row0),
                    min(row + CHUNK_SIDE, part.row1),
                    max(column, part.column0),
                    min(column + CHUNK_SIDE, part.column1),
                )
                by_output[int(output_of(piece)[0])].append(piece)
    chosen = []
    for pieces in by_output:
        if not pieces:
            continue
        n_pixels = np.mean([piece.shape[0] * piece.shape[1] for piece in pieces])
        n_kept = min(len(pieces), max(1, int(PIXELS_PER_OUTPUT / n_pixels)))
        # Golden-section steps: evenly spread over rows and columns, the same ones each time.
        order = (np.arange(n_kept) * 0.6180339887 + 0.5) % 1.0 * len(pieces)
        chosen += [pieces[number] for number in np.unique(order.astype(int))]
    return chosen


def _aligned(start: int, origin: int) -> int:
    """The last multiple of `CHUNK_SIDE` from the origin that is not after the start."""
    return start - (start - origin) % CHUNK_SIDE


def _count_broken(
    flux: NDArray, stated: NDArray, piece: Window, expected: NoiseModel, seen: NoiseScatter
) -> None:
    """Add how many pixels of a piece there are, and how many of their errors are none."""
    is_there = np.isfinite(flux)
    seen.n_errors += int(is_there.sum())
    seen.n_broken += int((is_there & ~is_sane(stated, expected.sigma(flux, piece))).sum())


def _look_at(
    piece: Window,
    middle: NDArray,
    second: NDArray,
    flux: NDArray,
    stated: NDArray,
    images: dict[str, NDArray],
    changes: NDArray,
    average: NDArray,
    grid: BackgroundGrid,
    seen: NoiseScatter,
) -> None:
    """Measure the scatter of the pixels of a piece, and add it to what is known.

    ``second`` and ``changes`` are the second differences of the pixels and of the backgrounds
    of the images ``middle``, ``flux`` and ``stated`` their pixels, and the stated errors.
    """
    if middle.size < MIN_IMAGES:
        return
    # Backgrounds are linear in their models, but for the light that all of them have.
    second = second - grid.without_static().evaluate(changes, piece)
    second, flux, stated = (one.reshape(len(middle), -1) for one in (second, flux, stated))
    light = average[piece.slices_in(grid.window)].ravel().astype(float)
    there = np.flatnonzero(np.isfinite(light))
    if not there.size:
        return
    # A pixel that is there: a patch need not hold the middle of the window around it.
    row, column = np.unravel_index(there[[len(there) // 2]], piece.shape)
    at = row + piece.row0, column + piece.column0
    quiet, sky = _see_sky(second, light, middle, at, images, grid, seen)
    if quiet.sum() < MIN_IMAGES:
        return
    d_row, d_column = displacement(second_difference(images["motion"], middle[quiet]), *at)
    whole = np.isfinite(second[quiet]).all(axis=0)
    rest = np.where(whole, second[quiet], np.nan)
    rest[:, whole], gain = without_motion(rest[:, whole], d_row[:, 0], d_column[:, 0])
    around = piece.widened(2, grid.window)
    # Extended light moves with the stars, but is not in the average image.
    static = grid.evaluate(np.zeros_like(images["background"][:1]), around)[0]
    slopes = np.hypot(*image_slopes(average[around.slices_in(grid.window)] + static))
    shared = max(sky.covariance, 0.0) if sky is not None else 0.0
    seen.pixels.append(
        PixelScatter(
            medians_of_known(flux[quiet].astype(float)),
            scatter_variance(rest) / gain - shared,
            slopes[piece.slices_in(around)].ravel(),
            np.broadcast_to(output_of(piece), piece.shape).ravel(),
            medians_of_known(stated[quiet].astype(float)),
            np.full(light.shape, int(quiet.sum())),
        )
    )


def _see_sky(
    second: NDArray,
    light: NDArray,
    middle: NDArray,
    at: tuple[NDArray, NDArray],
    images: dict[str, NDArray],
    grid: BackgroundGrid,
    seen: NoiseScatter,
) -> tuple[NDArray, SkyScatter | None]:
    """Add what the sky of a piece scatters by.

    Returns which of the images are quiet, bool, and what these show, if the piece has any sky.
    """
    level = images["background_level"][middle]
    with np.errstate(invalid="ignore"):
        quiet = level <= QUIET_FACTOR * median_of_known(level)
    error, own = (
        grid.error_at(images[f"background_{name}"][middle], *at) for name in ("error", "own")
    )
    shown: list[SkyScatter | None] = []
    for chosen, sky in ((quiet, seen.quiet), (~quiet, seen.lit)):
        found = None
        if chosen.sum() >= MIN_IMAGES:
            typical = (median_of_known(one[chosen]) for one in (error, own))
            found = sky_scatter(second[chosen], light, *typical)
        if found is not None:
            sky.append(found)
        shown.append(found)
    return quiet, shown[0]


def _motion_scatter(images: dict[str, NDArray], middle: NDArray, window: Window) -> float:
    """By how much the measured motion changes from image to image, per axis [pixels]; 0: unknown.

    Its errors are in it, which thus are no larger.
    """
    if middle.size < MIN_IMAGES:
        return 0.0
    moved = second_difference(images["motion"], middle)
    axes = displacement(moved, *np.array(window.middle).reshape(2, 1))
    variance = float(np.mean([scatter_variance(one)[0] for one in axes]))
    return variance**0.5 if np.isfinite(variance) else 0.0


def second_difference(values: NDArray, middle: NDArray) -> NDArray:
    """What images have less than their neighbors, along the first axis, twice."""
    before, here, after = (values[middle + step].astype(float) for step in (-1, 0, 1))
    return before - 2 * here + after


def _background_factors(
    images: dict[str, NDArray], is_good: NDArray, seen: NoiseScatter
) -> NDArray:
    """Factors for the errors of the backgrounds; those of scattered light are not lowered."""
    lit = _is_lit(images, is_good)
    quiet_factor, lit_factor = background_factor(seen.quiet), background_factor(seen.lit)
    quiet_factor = 1.0 if np.isnan(quiet_factor) else np.clip(quiet_factor, MIN_FACTOR, MAX_FACTOR)
    lit_factor = 1.0 if np.isnan(lit_factor) else np.clip(lit_factor, 1.0, MAX_FACTOR)
    return np.where(lit, max(lit_factor, quiet_factor), quiet_factor)


def _is_lit(images: dict[str, NDArray], is_good: NDArray) -> NDArray:
    """Return which images have scattered light, (n_images,) bool."""
    level = images["background_level"]
    with np.errstate(invalid="ignore"):
        lit: NDArray = level > QUIET_FACTOR * median_of_known(level[is_good])
    return lit
