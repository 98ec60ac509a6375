"""Method ``halo``: weighted sums of pixels around saturated stars, see `tessphot_lib.halo`."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tessphot_lib.aperture.assignment import expected_image
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.errors import NoPixelsError
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards, StarFluxes, StarNotes
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import HaloSettings, PhotometrySettings
from tessphot_lib.core.star_warnings import NO_HALO, NO_PIXELS, TOO_FEW_IMAGES, TOO_FEW_PIXELS
from tessphot_lib.halo.motion import without_motion
from tessphot_lib.halo.pixels import (
    LEAST_SIGNAL,
    MISSING_SHARE,
    halo_mask,
    without_bright_sky,
    without_reflections,
)
from tessphot_lib.halo.weights import HaloWeights, fit_halo, weighted_sum
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.aperture import measure_instead
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.photometry.failures import attempt
from tessphot_lib.photometry.known_stars import KnownStars
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.regions import cadence_slices
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.scene import scene_image

log = logging.getLogger(__name__)

MIN_SEGMENT = 48  # good images that a segment with weights of its own needs
MIN_IMAGES = 2
# By which backgrounds around saturated stars are off from image to image [e-/s]; simulated
# stars were as quiet with 0.08 and 0.16, and noisier with less and more.
SKY_ERROR = 0.1


@dataclass(frozen=True)
class _Halo:
    """Pixels of one star's halo.

    ``mask`` is of ``box``. ``target`` and ``neighbors``, (n_pixels,), are the expected
    light of the star and of all others [e-/s]; the cubes are (n_cadences, n_pixels),
    the light of others taken off ``light``.
    """

    box: Window
    mask: NDArray
    target: NDArray
    neighbors: NDArray
    light: NDArray
    error: NDArray
    background: NDArray
    flags: NDArray


def measure_halos(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
) -> StarFluxes:
    """Measure stars by their halos, each by itself; see `tessphot_lib.photometry.method`.

    A star around which there is no halo to speak of is measured by its
    aperture, with a warning.
    """
    result = StarFluxes.unknown(len(targets), cube.n_cadences)
    notes: list[StarNotes] = []
    halo_settings = settings.halo
    for index, tic_id in enumerate(targets.stars["tic_id"]):
        found, failure = attempt(
            int(tic_id), lambda index=index: _measure(cube, targets, index, halo_settings)
        )
        if isinstance(found, str):
            log.info("%s: TIC %d: %s", cube.ccd_id, tic_id, found)
            warning = NO_HALO.format(found)
            found = measure_instead(cube, targets.take([index]), tile, settings, warning)
        if found is None:
            notes.append(StarNotes(failure=failure))
            continue
        for name in StarFluxes.array_names():
            getattr(result, name)[index] = getattr(found, name)[0]
        notes += found.notes
    arrays = {name: getattr(result, name) for name in StarFluxes.array_names()}
    return StarFluxes(**arrays, notes=tuple(notes))


def _measure(
    cube: PixelCube, targets: StarList, index: int, settings: HaloSettings
) -> StarFluxes | str:
    """Measure one star; or say why it cannot be done."""
    star = targets.stars.iloc[index]
    row, column = (float(place[0]) for place in average_places(cube, targets.stars.iloc[[index]]))
    # The pixels within the radius, and one more all around.
    half = int(np.ceil(settings.radius)) + 1
    box = Window.around(round(row), round(column), half, cube.window)
    if box is None:
        raise NoPixelsError(NO_PIXELS)
    target, neighbors = _expected(targets, star, cube, box)
    mask = halo_mask(
        box,
        cube.average_image(box),
        row,
        column,
        radius=settings.radius,
        target=target,
        known=target + neighbors,
        often_full=_often_full(cube, box),
    )
    halo, good = _usable(_read(cube, box, mask, target, neighbors), cube.is_good())
    sky, sky_error = cube.background_at(row, column)
    good = without_bright_sky(sky, good)
    n_pixels, n_good = int(halo.mask.sum()), int(good.sum())
    if n_pixels < settings.min_pixels:
        return TOO_FEW_PIXELS.format(n_pixels, settings.min_pixels)
    if n_good < MIN_IMAGES:
        return TOO_FEW_IMAGES.format(n_good, MIN_IMAGES)
    level, noise = _typical(halo.light, good), _typical(halo.error, good)
    rows, columns = np.nonzero(halo.mask)
    position = rows + box.row0 - row, columns + box.column0 - column
    with threadpool_limits(1):  # the same sums on any machine
        if settings.motion_correction:
            motion = cube.motion_at(row, column)
            halo = replace(halo, light=without_motion(halo.light, level, noise, good, *motion))
        weights = fit_halo(
            halo.light,
            cube.time,
            good,
            level,
            noise,
            position,
            gap=settings.gap,
            min_length=MIN_SEGMENT,
            sky_error=SKY_ERROR,
        )
    expected = flux_of(float(star["tmag"]), targets.prf.zeropoint)
    scale = expected / float(np.median(weighted_sum(weights, halo.light)[good]))
    return replace(
        _fluxes(halo, weights, scale, sky_error),
        notes=(_note(halo, weights, scale, expected),),
    )


def _expected(
    targets: StarList, star: Mapping[str, Any], cube: PixelCube, box: Window
) -> tuple[NDArray, NDArray]:
    """Light that the star, and all other known stars, are expected to give to pixels [e-/s].

    From the PRF; where that has no wing, from a Moffat profile.
    """
    known = KnownStars.around(cube, targets, box)
    is_star = known.tic_id == star["tic_id"]
    images = []
    for chosen in (is_star, ~is_star):
        if len(targets.prf.wing_share):
            images.append(scene_image(targets.prf, box, *known.at(chosen)))
        else:
            row, column, _ = known.at(chosen)
            images.append(expected_image(box, row, column, known.tmag[chosen]))
    return images[0], images[1]


def _read(
    cube: PixelCube, box: Window, mask: NDArray, target: NDArray, neighbors: NDArray
) -> _Halo:
    """Read the pixels of a halo in all images."""
    shape = cube.n_cadences, int(mask.sum())
    light, error, background = (np.empty(shape, dtype=np.float32) for _ in range(3))
    flags = np.empty(shape, dtype=np.uint8)
    for cadences in cadence_slices(cube, box):
        sky = cube.background_in(box, cadences)[:, mask]
        flux, flux_err = (one[:, mask] for one in cube.read_with_errors(box, cadences))
        light[cadences] = flux - sky - neighbors[mask]
        error[cadences] = flux_err
        background[cadences] = sky
        flags[cadences] = cube.read("pixel_flags", box, cadences)[:, mask]
    return _Halo(box, mask, target[mask], neighbors[mask], light, error, background, flags)


def _often_full(cube: PixelCube, box: Window) -> NDArray:
    """Pixels that are saturated in more good images than single ones, bool."""
    good = cube.is_good()
    count = np.zeros(box.shape, dtype=np.int64)
    for cadences in cadence_slices(cube, box):
        flags = cube.read("pixel_flags", box, cadences)[good[cadences]]
        count += (flags & int(PixelFlag.SATURATED) != 0).sum(axis=0)
    return count > MISSING_SHARE * max(int(good.sum()), 1)


def _usable(halo: _Halo, good: NDArray) -> tuple[_Halo, NDArray]:
    """Leave out pixels that are often missing or drown in noise, and images that lack others.

    The same with reflections on them, see `tessphot_lib.halo.pixels.without_reflections`.

    Returns
    -------
    halo : _Halo
    good : (n_cadences,) bool array
        Images that have all of the pixels.
    """
    if not good.any():
        return halo, good
    finite = np.isfinite(halo.light) & np.isfinite(halo.error)
    kept = finite[good].sum(axis=0) >= (1 - MISSING_SHARE) * max(int(good.sum()), 1)
    signal, noise = (_typical(values[:, kept], good) for values in (halo.light, halo.error))
    with np.errstate(invalid="ignore"):
        kept[kept] = signal > LEAST_SIGNAL * noise
    good = good & finite[:, kept].all(axis=1)
    halo = _of_pixels(halo, kept)
    if not kept.any() or not good.any():
        return halo, good
    affected = halo.flags & int(PixelFlag.BACKGROUND_ANOMALY) != 0
    information = (_typical(halo.light, good) / _typical(halo.error, good)) ** 2
    kept, good = without_reflections(affected, information, good)
    return _of_pixels(halo, kept), good


def _of_pixels(halo: _Halo, kept: NDArray) -> _Halo:
    """Some of a halo's pixels, (n_pixels,) bool."""
    mask = halo.mask.copy()
    mask[mask] = kept
    arrays = (halo.target, halo.neighbors, halo.light, halo.error, halo.background, halo.flags)
    return _Halo(halo.box, mask, *(values[..., kept] for values in arrays))


def _typical(values: NDArray, good: NDArray) -> NDArray:
    """Median over good images, (n_pixels,) float64; empty pixels are for the caller to avoid."""
    return np.nanmedian(values[good], axis=0).astype(np.float64)


def _fluxes(halo: _Halo, weights: HaloWeights, scale: float, sky_error: NDArray) -> StarFluxes:
    """Apply the weights to all images; ``scale`` [e-/s] is what they call 1."""
    total = weighted_sum(weights, halo.light)
    error = np.sqrt(weighted_sum(weights, halo.error**2, power=2))
    of_sky = np.nan_to_num(sky_error) * weighted_sum(weights, np.ones_like(halo.light))
    rows, columns = np.nonzero(halo.mask)
    positive = np.where(total > 0, total, np.nan)
    used = (weights.weights > 0).any(axis=0)
    arrays = {
        "flux": scale * total,
        "flux_err": scale * np.hypot(error, of_sky),
        "background": halo.background[:, used].sum(axis=1, dtype=np.float64),
        "centroid_row": halo.box.row0 + weighted_sum(weights, halo.light * rows) / positive,
        "centroid_column": halo.box.column0
        + weighted_sum(weights, halo.light * columns) / positive,
        "pixel_flags": np.bitwise_or.reduce(halo.flags[:, used], axis=1),
    }
    return StarFluxes(**{name: one[None] for name, one in arrays.items()})


def _note(halo: _Halo, weights: HaloWeights, scale: float, expected: float) -> StarNotes:
    """What the file says of the halo."""
    weight_map = np.zeros((len(weights.segments), *halo.mask.shape), dtype=np.float32)
    weight_map[:, halo.mask] = scale * weights.weights
    used = (weights.weights > 0).any(axis=0)
    mask = halo.mask.copy()
    mask[mask] = used
    mean = weights.weights.mean(axis=0)
    star, rest = float(mean @ halo.target), float(mean @ halo.neighbors)
    crowdsap, fraction = star / (star + rest), float(halo.target[used].sum()) / expected
    variation = round(1e6 * float(weights.objective.mean()), 3)
    header = {
        "HALO_OBJ": ("tv", "what the weights minimize: total variation"),
        "HALO_TV": (variation, "[ppm] mean change between images"),
        "HALO_NPX": (int(used.sum()), "number of pixels with weight"),
        "HALO_SEG": (len(weights.segments), "number of segments with weights of their own"),
        "AP_CONT": 1 - crowdsap,
        "CROWDSAP": crowdsap,
        "FLFRCSAP": fraction,
    }
    return StarNotes(
        header=header,
        images={"WEIGHTMAP": weight_map},
        diagnostics={"contamination": 1 - crowdsap, "crowdsap": crowdsap, "flfrcsap": fraction},
        pixels=Aperture(halo.box, mask),
    )


def _cards(settings: PhotometrySettings) -> Cards:
    """Header cards of the settings."""
    halo = settings.halo
    return {
        "HALO_RAD": (float(halo.radius), "[pixels] radius of the halo"),
        "HALO_GAP": (float(halo.gap), "[d] gap between segments"),
        "HALO_MIN": (halo.min_pixels, "[pixels] with fewer: by aperture"),
        "HALO_MOT": (halo.motion_correction, "motion is taken off each pixel"),
    }


METHOD = Method("halo", HaloSettings, measure_halos, _cards)
