"""Which pixels are summed for which star, decided once for a whole CCD.

Every pixel belongs to the catalog star that is expected to give it the most
light (`tessphot_lib.aperture.assignment`); a star's aperture is the part of its pixels
that stands out of the local sky and is connected to the star. Light that no
single star dominates is shared honestly: it goes to one of them, never to two.
Significant pixels that hang together, divided where stars are close, are the apertures
of K2P2 (Lund et al. 2015, ApJ 806, 30) and of TASOC (Handberg et al. 2021, AJ 162, 170);
those with the best signal to noise among them are the optimal apertures of Kepler
(Smith et al. 2016, PASP 128, 124501).

Arrays cover the window of the CCD; positions are science pixels.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.aperture.assignment import claim_bleeds, pixel_owners
from tessphot_lib.aperture.crowding import KnownLight, aperture_light, held_fraction
from tessphot_lib.aperture.sizes import size_limits, stamp_windows
from tessphot_lib.catalog.saturation import BLEED_SHARE, FULL_WELL_RATE
from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.sky_noise import sky_noise
from tessphot_lib.core.slopes import image_slopes

MIN_CORE = 1  # [pixels] half side of the smallest aperture, 3 x 3 pixels
NEIGHBORS = np.ones((3, 3), dtype=bool)
OPTIMAL_TMAG = 7.0  # brighter stars keep all their significant pixels: their noise is not photons
UNKNOWN_SHARE = 1.5  # of the known stars' light; 2.5 times as much is a magnitude
UNKNOWN_SKY = 5.0  # [e-/s per pixel] that the background may be wrong by
NEIGHBOR_NOISE = 0.01  # of the neighbors' light in a pixel counts as noise: motion, variability


def find_apertures(
    average_image: NDArray,
    window: Window,
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    *,
    measured: NDArray,
    sky: NDArray,
    threshold: float,
    min_pixels: int,
    max_radius: float,
    noise: NDArray | None = None,
    motion_rms: float = 0.0,
    sky_elsewhere: NDArray | None = None,
    known_light: KnownLight | None = None,
    ever_full: NDArray | None = None,
) -> list[Aperture]:
    """Find the aperture of each star that is to be measured.

    Parameters
    ----------
    average_image : (n_rows, n_columns) array
        Background-subtracted mean [e-/s]; NaN where there is no pixel.
    window : Window
        Pixels it covers.
    row, column, tmag : (n_stars,) arrays
        All known stars.
    measured : (n_measured,) int array
        Indices of the stars that get an aperture; their positions must fall
        on pixels of the window.
    sky : (n_rows, n_columns) bool array
        True outside stars, see `tessphot_lib.catalog.star_mask`.
    threshold : float
        [sigma] above the local sky for a pixel to count.
    min_pixels : int
        Smaller apertures are replaced by the 3 x 3 pixels around the star.
    max_radius : float
        See `tessphot_lib.aperture.sizes.reach`.
    noise : (n_rows, n_columns) array, optional
        1-sigma error of the pixels in one image [e-/s]. With it and
        ``known_light`` an aperture is made of those of the star's significant
        pixels that maximize the signal to noise of their sum; without it, of
        all of them.
    motion_rms : float
        How much the images move, per axis [pixels], after correction: light that
        moves over the edge of an aperture is noise, too.
    sky_elsewhere : (n,) array, optional
        Sky pixels of other parts of the CCD, for images that hardly show any.
    known_light : KnownLight, optional
        Light of the known stars in the window and of the measured ones in their
        stamps (`stamp_window`); with it apertures know whose light they hold.
    ever_full : (n_rows, n_columns) bool array, optional
        Pixels that are full in some images, as of saturated stars while they are brightest.

    Returns
    -------
    list of Aperture
        One per measured star. No pixel without data is ever in an aperture;
        apertures found by significance do not overlap, minimum apertures may.
    """
    # What is significant in the local sky, or full, and whose each pixel is.
    owner = pixel_owners(window, row, column, tmag, max_radius=max_radius)
    level, scatter = sky_noise(average_image, sky, sky_elsewhere)
    with np.errstate(invalid="ignore"):
        significant = average_image > level + threshold * scatter
        full = average_image > BLEED_SHARE * FULL_WELL_RATE
    if ever_full is not None:
        full = full | ever_full
    claim_bleeds(owner, full, window, row, column, tmag)
    finite = np.isfinite(average_image)
    scene = _Scene(window, average_image, finite, owner, significant | full, noise, motion_rms)
    if known_light:
        # Both by differences of the same pixels, whose own error then cancels.
        known = np.where(finite, known_light.images[0], np.nan)
        slopes = image_slopes(average_image), image_slopes(known)
    stars = (values[measured] for values in (row, column, tmag))
    stamps = stamp_windows(*stars, window, max_radius)
    apertures = []
    for index, (star, stamp) in enumerate(zip(measured, stamps, strict=True)):
        position = float(row[star]), float(column[star]), float(tmag[star])
        aperture = _pixels_of(scene, star, stamp, position, known_light, index, min_pixels)
        if known_light:
            is_saturated = bool(tmag[star] < SATURATION_TMAG)
            cut, mask = stamp.slices_in(window), aperture.mask
            seen = average_image[cut]
            steep = [of_image[(slice(None), *cut)] for of_image in slopes]
            aperture = replace(
                aperture,
                light=_light_in(
                    known_light, index, mask, cut, seen, steep, is_saturated=is_saturated
                ),
                has_unknown_light=_has_unknown_light(seen[mask], known_light.images[0][cut][mask]),
            )
        apertures.append(aperture)
    return apertures


class _Scene(NamedTuple):
    """The pixels of a window, as `find_apertures` has them: all (n_rows, n_columns) arrays."""

    window: Window
    image: NDArray
    finite: NDArray
    owner: NDArray  # index of the star that each pixel is assigned to
    bright: NDArray  # True where a pixel stands out of the sky, or is full
    noise: NDArray | None
    motion_rms: float


def _pixels_of(
    scene: _Scene,
    star: int,
    stamp: Window,
    position: tuple[float, float, float],
    known_light: KnownLight | None,
    index: int,
    min_pixels: int,
) -> Aperture:
    """Choose the pixels of a star at ``position`` (row, column, tmag); ``index`` in known_light."""
    row, column, tmag = position
    cut = stamp.slices_in(scene.window)
    centre = round(row) - stamp.row0, round(column) - stamp.column0
    is_own, finite = scene.owner[cut] == star, scene.finite[cut]
    # The star's pixels that stand out and hang together with its position ...
    mask = _connected(is_own & scene.bright[cut], *centre)
    # ... or, of these, the ones that give the best signal to noise, still in one piece ...
    if scene.noise is not None and known_light and tmag > OPTIMAL_TMAG and mask.any():
        images = known_light.images[(slice(None), *cut)]
        mask = _best_pixels(
            mask,
            known_light.flux[index] * known_light.target_prf[index],
            images[0],
            scene.noise[cut],
            scene.motion_rms * images[1:3],
            *size_limits(tmag),
        )
        mask = _connected(mask, *centre)
    # ... without holes; or else the pixels around it, if that is too little.
    mask = _without_holes(mask) & is_own & finite
    is_minimum = bool(mask.sum() < min_pixels)
    if is_minimum:
        mask = _core(stamp, row, column) & finite
    # Light that goes on beyond missing pixels, or the edge of the stamp, is lost.
    at_edge, is_limited = _where_cut(mask, stamp, scene.finite, scene.window)
    cut_flux = float(scene.image[cut][at_edge].sum())
    return Aperture(stamp, mask, is_minimum=is_minimum, is_limited=is_limited, cut_flux=cut_flux)


def _light_in(
    known: KnownLight,
    index: int,
    mask: NDArray,
    cut: tuple[slice, slice],
    seen: NDArray,
    slopes: list[NDArray],
    *,
    is_saturated: bool,
) -> ApertureLight:
    """Whose light a mask of a stamp holds.

    The stamp is the part ``cut`` out of the images of ``known``; ``seen`` is the average image
    in it, ``slopes`` are those of the average image and of the known light, (2, ...) each.
    """
    images = known.images[(slice(None), *cut)]
    held = float(seen[mask].sum())
    light = aperture_light(
        mask,
        known.target_prf[index],
        known.flux[index],
        images,
        held=held,
        is_saturated=is_saturated,
    )
    # The correction for motion takes as much of the known light into account as there is.
    there = 0.0 if is_saturated else held_fraction(held, float(images[0][mask].sum()))
    of_average, of_known = (of_image[:, mask].sum(axis=1) for of_image in slopes)
    return replace(light, unexplained=there * of_known - of_average)


def _has_unknown_light(found: NDArray, expected: NDArray) -> bool:
    """Compare the light in the pixels of an aperture with that of all known stars [e-/s]."""
    unknown = float(found.sum() - expected.sum())
    return unknown > max(UNKNOWN_SHARE * float(expected.sum()), UNKNOWN_SKY * found.size)


def aperture_flags(aperture: Aperture, average_image: NDArray, sky: NDArray) -> NDArray:
    """Image of `ApertureFlag` bits of a stamp.

    Parameters
    ----------
    aperture : Aperture
    average_image, sky : (n_rows, n_columns) arrays
        Of the stamp.

    Returns
    -------
    (n_rows, n_columns) int32 array
    """
    collected = np.isfinite(average_image)
    flags = np.where(collected, int(ApertureFlag.COLLECTED), 0).astype(np.int32)
    flags[aperture.mask] |= int(ApertureFlag.IN_APERTURE | ApertureFlag.IN_CENTROID)
    flags[sky & collected] |= int(ApertureFlag.USED_FOR_BACKGROUND)
    columns = np.arange(aperture.window.column0, aperture.window.column1)
    outputs = np.array(
        [ApertureFlag.OUTPUT_A, ApertureFlag.OUTPUT_B, ApertureFlag.OUTPUT_C, ApertureFlag.OUTPUT_D]
    )
    return flags | outputs[columns // 512].astype(np.int32)


def edge_flux(aperture: Aperture, average_image: NDArray) -> float:
    """Average-image flux of the aperture's pixels on the edge of the stamp [e-/s]."""
    return float(np.nansum(average_image[_border(aperture.mask.shape) & aperture.mask]))


def _best_pixels(
    mask: NDArray,
    target: NDArray,
    light: NDArray,
    noise: NDArray,
    moved: NDArray,
    smallest: int,
    largest: int,
) -> NDArray:
    """Keep those pixels of a mask whose sum has the best signal to noise.

    ``target`` is the target's light and ``light`` that of all stars [e-/s]; of the
    neighbors' `NEIGHBOR_NOISE` counts as noise. ``moved`` is what a motion along
    rows and columns changes in each pixel: these changes add up with their
    signs, and cancel where an aperture holds the whole star.
    """
    chosen = np.flatnonzero(mask)
    neighbors = np.maximum((light - target).ravel()[chosen], 0.0)
    target = target.ravel()[chosen]
    variance = noise.ravel()[chosen] ** 2 + (NEIGHBOR_NOISE * neighbors) ** 2
    usable = np.isfinite(variance) & (variance > 0) & (target > 0)
    chosen, target, variance = chosen[usable], target[usable], variance[usable]
    if chosen.size == 0:
        return mask
    order = np.argsort(-target / variance, kind="stable")
    change = [np.cumsum(part.ravel()[chosen[order]]) for part in moved]
    total = np.cumsum(variance[order]) + change[0] ** 2 + change[1] ** 2
    signal = np.cumsum(target[order]) / np.sqrt(total)
    count = min(max(int(np.argmax(signal)) + 1, smallest), largest)
    best = np.zeros_like(mask)
    best.ravel()[chosen[order[:count]]] = True
    return best


def _border(shape: tuple[int, int]) -> NDArray:
    """Pixels on the edge of a stamp, bool."""
    border = np.ones(shape, dtype=bool)
    border[1:-1, 1:-1] = False
    return border


def _where_cut(
    mask: NDArray, stamp: Window, finite: NDArray, window: Window
) -> tuple[NDArray, bool]:
    """Pixels of a mask beside which it may go on, bool; whether pixels are missing there."""
    at_edge = mask & _border(mask.shape)
    is_inside = stamp.row0 > window.row0 and stamp.row1 < window.row1
    is_inside &= stamp.column0 > window.column0 and stamp.column1 < window.column1
    if is_inside and finite[stamp.widened(1).slices_in(window)].all():
        return at_edge, False
    beyond = _pixels_beyond(mask, stamp, finite, window)
    if not beyond.any():
        return at_edge, False
    beside = scipy.ndimage.binary_dilation(beyond, structure=NEIGHBORS)
    return at_edge | (mask & beside[1:-1, 1:-1]), True


def _pixels_beyond(mask: NDArray, stamp: Window, finite: NDArray, window: Window) -> NDArray:
    """Pixels beside a mask that are missing or off the window; bool, a pixel more on all sides."""
    around = [stamp.row0 - 1, stamp.row1 + 1, stamp.column0 - 1, stamp.column1 + 1]
    known = np.zeros((around[1] - around[0], around[3] - around[2]), dtype=bool)
    common = [
        max(around[0], window.row0),
        min(around[1], window.row1),
        max(around[2], window.column0),
        min(around[3], window.column1),
    ]
    known[
        common[0] - around[0] : common[1] - around[0], common[2] - around[2] : common[3] - around[2]
    ] = finite[Window(*common).slices_in(window)]
    beside = scipy.ndimage.binary_dilation(np.pad(mask, 1), structure=NEIGHBORS)
    return beside & ~known


def _without_holes(mask: NDArray) -> NDArray:
    """The mask with its holes filled: pixels that are not connected with the edge by their sides.

    A hole lies between two pixels of its row: most masks have no row with a gap.
    """
    begins = mask[:, 1:] & ~mask[:, :-1]
    if (begins.sum(axis=1) + mask[:, 0]).max(initial=0) < 2:
        return mask
    return np.asarray(scipy.ndimage.binary_fill_holes(mask))


def _connected(mask: NDArray, row: int, column: int) -> NDArray:
    """Part of a mask that holds a position or else, the parts that touch the 3 x 3 pixels around.

    All False if none does.
    """
    labels, n_labels = scipy.ndimage.label(mask, structure=NEIGHBORS)
    if n_labels == 0:
        return mask
    around = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    centre = labels[min(max(row, 0), mask.shape[0] - 1), min(max(column, 0), mask.shape[1] - 1)]
    if centre:
        return labels == centre
    found = np.unique(around[around > 0])
    return np.isin(labels, found) if found.size else np.zeros_like(mask)


def _core(stamp: Window, row: float, column: float) -> NDArray:
    """The 3 x 3 pixels around a position, as far as they lie in the stamp."""
    rows = np.abs(np.arange(stamp.row0, stamp.row1) - round(float(row))) <= MIN_CORE
    columns = np.abs(np.arange(stamp.column0, stamp.column1) - round(float(column))) <= MIN_CORE
    return rows[:, None] & columns
