"""Further fluxes of all stars, in circles of some radii, beside those of their methods."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.aperture.circles import circle_light, circle_weights, is_whole
from tessphot_lib.aperture.crowding import (
    KnownLight,
    held_fraction,
    unexplained_slopes,
)
from tessphot_lib.aperture.sums import ApertureMatrix, sum_pixels
from tessphot_lib.core.aperture import ApertureLight
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.core.slopes import SLOPE_REACH
from tessphot_lib.io.files.fits_bytes import TableColumn
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.lightcurves.motion_error import with_motion_within_scatter
from tessphot_lib.photometry.average_positions import (
    average_places,
    correct_for_motion,
    motion_against_average,
)
from tessphot_lib.photometry.known_stars import KnownStars
from tessphot_lib.photometry.regions import cadence_slices, regions
from tessphot_lib.photometry.targets import StarList


@dataclass(frozen=True)
class ExtraFluxes:
    """Fluxes in circles.

    Attributes
    ----------
    radii : (n_radii,) array
        [pixels]
    flux, flux_err : (n_stars, n_radii, n_cadences) arrays
        Background subtracted [e-/s]; NaN where a pixel is missing, or the circle leaves the
        pixels that there are.
    crowdsap, flfrcsap : (n_stars, n_radii) arrays
        See `tessphot_lib.core.aperture.ApertureLight`.
    """

    radii: NDArray
    flux: NDArray
    flux_err: NDArray
    crowdsap: NDArray
    flfrcsap: NDArray

    def columns(self, index: int) -> list[tuple[TableColumn, NDArray]]:
        """Columns of the light curve of one star, with their values."""
        found = []
        for number, radius in enumerate(self.radii):
            name, where = f"FLUX_AP{number + 1}", f"within {radius:g} pixels"
            flux = TableColumn(name, "D", "e-/s", "E26.17", f"flux {where}")
            error = TableColumn(f"{name}_ERR", "D", "e-/s", "E26.17", "1-sigma error")
            found += [(flux, self.flux[index, number]), (error, self.flux_err[index, number])]
        return found

    def cards(self, index: int) -> dict[str, tuple[Any, str]]:
        """Header cards of one star."""
        cards: dict[str, tuple[Any, str]] = {}
        for number, radius in enumerate(self.radii):
            key = f"AP{number + 1}"
            crowdsap, flfrcsap = self.crowdsap[index, number], self.flfrcsap[index, number]
            cards |= {
                f"{key}_RAD": (float(radius), f"[pixels] radius of FLUX_AP{number + 1}"),
                f"{key}_CROW": (float(crowdsap), "target's fraction of the light in it"),
                f"{key}_FLFR": (float(flfrcsap), "fraction of the target's light in it"),
            }
        return cards


def measure_extra_apertures(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
) -> ExtraFluxes | None:
    """Sum the pixels in circles around all stars; None if no radii are asked for.

    The circles stand where the stars are in the average image, and do not move; with
    ``aperture.motion_correction`` the light that the motion of the image carries over their
    edges is put back, as for other apertures. What they hold does not depend on the tile.

    Parameters
    ----------
    cube, targets, tile, settings
        As of `tessphot_lib.photometry.method.Measure`.
    """
    radii = np.array(settings.extra_apertures, dtype=float)
    if not radii.size:
        return None
    shape = len(targets), len(radii)
    result = ExtraFluxes(
        radii,
        *(np.full((*shape, cube.n_cadences), np.nan) for _ in range(2)),
        *(np.full(shape, np.nan) for _ in range(2)),
    )
    row, column = average_places(cube, targets.stars)
    moved = motion_against_average(cube, targets.stars)
    half = int(np.ceil(radii.max() + 0.5)) + SLOPE_REACH
    boxes = [_box(cube, r, c, half) for r, c in zip(row, column, strict=True)]
    for region, members in regions(cube, boxes, tile):
        circles = {
            (index, number): circle_weights(boxes[index], row[index], column[index], radius)
            for index in members
            for number, radius in enumerate(radii)
        }
        circles = {key: one for key, one in circles.items() if is_whole(one, radii[key[1]])}
        if circles:
            _sum_circles(cube, region, boxes, circles, result)
            for key, light in _lights(cube, targets, region, boxes, (row, column), circles):
                result.crowdsap[key], result.flfrcsap[key] = light.crowdsap, light.flfrcsap
                is_corrected = settings.aperture.motion_correction
                _put_back(cube, key, moved, light, result, is_corrected=is_corrected)
    return result


def _box(cube: PixelCube, row: float, column: float, half: int) -> Window:
    """Pixels around a star; one at the edge of the data if it is off them."""
    window = cube.window
    row = min(max(round(row), window.row0), window.row1 - 1)
    column = min(max(round(column), window.column0), window.column1 - 1)
    box = Window.around(row, column, half, window)
    assert box is not None
    return box


def _sum_circles(
    cube: PixelCube,
    region: Window,
    boxes: list[Window],
    circles: dict[tuple[int, int], NDArray],
    result: ExtraFluxes,
) -> None:
    """Fluxes in circles of a region, and their errors."""
    windows = [boxes[index] for index, _ in circles]
    matrix = ApertureMatrix.weighted(region, windows, list(circles.values()))
    stars, numbers = (np.array(one) for one in zip(*circles, strict=True))
    area = np.pi * result.radii[numbers] ** 2
    middles = np.array([window.middle for window in windows])
    for cadences in cadence_slices(cube, region):
        sums = sum_pixels(*cube.read_used(region, matrix.used, cadences), matrix)
        of_sky = cube.grid.error_at(cube.background_error[cadences], *middles.T).T * area[:, None]
        result.flux[stars, numbers, cadences] = sums.flux
        result.flux_err[stars, numbers, cadences] = np.hypot(sums.flux_err, of_sky)


def _lights(
    cube: PixelCube,
    targets: StarList,
    region: Window,
    boxes: list[Window],
    places: tuple[NDArray, NDArray],
    circles: dict[tuple[int, int], NDArray],
) -> Iterator[tuple[tuple[int, int], ApertureLight]]:
    """Whose light each circle holds, by the catalog and the PRF."""
    known = KnownStars.around(cube, targets, region)
    members = sorted({index for index, _ in circles})
    tic_id, tmag = (targets.stars[name].to_numpy()[members] for name in ("tic_id", "tmag"))
    light = KnownLight.expected(
        targets.prf,
        region,
        known.row,
        known.column,
        known.tmag,
        targets=known.index_of(tic_id),
        stamps=[boxes[index] for index in members],
    )
    place = {index: number for number, index in enumerate(members)}
    for (index, number), weights in circles.items():
        star = place[index]
        images = light.images[(slice(None), *boxes[index].slices_in(region))]
        average = cube.average_image(boxes[index])
        held = float(np.sum((weights * average)[weights > 0]))
        is_saturated = float(tmag[star]) < SATURATION_TMAG
        target_prf, flux = light.target_prf[star], float(light.flux[star])
        found = circle_light(
            weights, target_prf, flux, images, held=held, is_saturated=is_saturated
        )
        there = 0.0 if is_saturated else held_fraction(held, float(np.sum(weights * images[0])))
        unexplained = unexplained_slopes(average, there * images[0], weights)
        yield (index, number), replace(found, unexplained=unexplained)


def _put_back(
    cube: PixelCube,
    key: tuple[int, int],
    moved: tuple[NDArray, NDArray],
    light: ApertureLight,
    result: ExtraFluxes,
    *,
    is_corrected: bool,
) -> None:
    """Put back the light that moved out of one circle, take off what moved in; add the error.

    ``moved`` are the displacements of all stars from the average image, by row and column,
    (n_cadences, n_stars) each.
    """
    flux, error = correct_for_motion(
        cube,
        result.flux[key][None],
        [one[:, [key[0]]].T for one in moved],
        light.motion[None],
        light.unexplained[None],
        is_corrected=is_corrected,
    )
    result.flux[key] = flux[0]
    result.flux_err[key] = with_motion_within_scatter(
        cube.time, flux, result.flux_err[key][None], error, cube.is_good()
    )[0]
