"""Method ``aperture``: the pixels of the apertures that the todo list holds are summed."""

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.aperture.sums import ApertureMatrix, sum_pixels
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.errors import NoPixelsError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards, StarFluxes, StarNotes
from tessphot_lib.core.settings import ApertureSettings, PhotometrySettings
from tessphot_lib.core.star_warnings import NO_PIXELS
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.lightcurves.motion_error import with_motion_within_scatter
from tessphot_lib.photometry.average_positions import correct_for_motion, motion_against_average
from tessphot_lib.photometry.failures import notes_of
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.regions import cadence_slices, regions
from tessphot_lib.photometry.targets import StarList

log = logging.getLogger(__name__)


def measure_apertures(
    cube: PixelCube,
    targets: StarList,
    tile: Window | None,
    settings: PhotometrySettings,
    *,
    with_stated: bool = True,
) -> StarFluxes:
    """Sum the apertures of all stars; see `tessphot_lib.photometry.method`.

    Stars near the tile are measured together, those with large apertures one
    by one. With ``aperture.motion_correction`` the light that the motion of the
    image carries over the edge of an aperture, as computed from the PRF, is put back. For
    ``with_stated`` see `PixelCube.read_used`.
    """
    apertures = targets.apertures
    result = StarFluxes.unknown(len(apertures), cube.n_cadences)
    for region, members in regions(cube, [one.bounding_window() for one in apertures], tile):
        matrix = ApertureMatrix.over(region, [apertures[index] for index in members])
        n_pixels = matrix.weights.sum(axis=1)
        for cadences in cadence_slices(cube, region):
            sums = _measure_block(cube, matrix, cadences, with_stated=with_stated)
            error = _background_error(cube, apertures, members, cadences) * n_pixels[:, None]
            for name in StarFluxes.array_names():
                getattr(result, name)[members, cadences] = getattr(sums, name)
            result.flux_err[members, cadences] = np.hypot(sums.flux_err, error)
        if len(members) > 1:
            log.info("%s: %d apertures summed", cube.ccd_id, len(members))
    _correct_for_motion(cube, targets, result, is_corrected=settings.aperture.motion_correction)
    return StarFluxes(
        **{name: getattr(result, name) for name in StarFluxes.array_names()},
        notes=tuple(
            notes_of(tic_id, lambda index=index: _notes(targets, index))
            for index, tic_id in enumerate(targets.stars["tic_id"])
        ),
    )


def measure_instead(
    cube: PixelCube,
    target: StarList,
    tile: Window | None,
    settings: PhotometrySettings,
    warning: str,
) -> StarFluxes:
    """Measure a single star by its aperture instead of by another method, and say why."""
    found = measure_apertures(cube, target, tile, settings)
    return replace(found, notes=(replace(found.notes[0], method="aperture", warning=warning),))


def _measure_block(
    cube: PixelCube, matrix: ApertureMatrix, cadences: slice, *, with_stated: bool
) -> StarFluxes:
    """Read the pixels of one block and sum them."""
    return sum_pixels(
        *cube.read_used(matrix.region, matrix.used, cadences, with_stated=with_stated), matrix
    )


def _background_error(
    cube: PixelCube, apertures: list[Aperture], members: list[int], cadences: slice
) -> NDArray:
    """Error of the background per pixel at each star, (n_members, n_cadences) [e-/s]."""
    middles = [apertures[index].bounding_window().middle for index in members]
    return cube.grid.error_at(cube.background_error[cadences], *np.array(middles).T).T


def _correct_for_motion(
    cube: PixelCube, targets: StarList, fluxes: StarFluxes, *, is_corrected: bool
) -> None:
    """Put back the light that moved out of the apertures, take off what moved in; add errors."""
    motion, unexplained = (
        np.array([getattr(one.light, name) for one in targets.apertures]).reshape(-1, size)
        for name, size in (("motion", 5), ("unexplained", 2))
    )
    moved = [one.T for one in motion_against_average(cube, targets.stars)]
    fluxes.flux[...], error = correct_for_motion(
        cube, fluxes.flux, moved, motion, unexplained, is_corrected=is_corrected
    )
    fluxes.flux_err[...] = with_motion_within_scatter(
        cube.time, fluxes.flux, fluxes.flux_err, error, cube.is_good()
    )


def _notes(targets: StarList, index: int) -> StarNotes:
    """Whose light one star's aperture holds; failure without pixels."""
    aperture = targets.apertures[index]
    if not aperture.mask.any():
        raise NoPixelsError(NO_PIXELS)
    light = aperture.light
    fraction = 1 - light.crowdsap
    return StarNotes(
        header={"AP_CONT": fraction, "CROWDSAP": light.crowdsap, "FLFRCSAP": light.flfrcsap},
        diagnostics={
            "contamination": fraction,
            "crowdsap": light.crowdsap,
            "flfrcsap": light.flfrcsap,
        },
    )


def _cards(settings: PhotometrySettings) -> Cards:
    """Header cards of the settings."""
    aperture = settings.aperture
    return {
        "AP_KIND": (aperture.kind, "aperture: optimal | significant"),
        "AP_THRES": (float(aperture.threshold), "[sigma] over the sky for a pixel to count"),
        "AP_MINPX": (aperture.min_pixels, "[pixels] smaller ones: 3 x 3 pixels"),
        "AP_RADIU": (float(aperture.max_radius), "[pixels] reach of an aperture at Tmag 5"),
        "AP_MOTCO": (aperture.motion_correction, "light moved over the edge is put back"),
    }


METHOD = Method("aperture", ApertureSettings, measure_apertures, _cards)
