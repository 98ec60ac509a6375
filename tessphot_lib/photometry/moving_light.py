"""Light curves of moving objects: circular apertures that follow their tracks.

The average image is taken off, moved as the image is, so that the stars on the way do not
count; what they vary is in the errors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.aperture.circles import circle_weights, is_whole
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarFluxes
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.detections import STAR_CHANGE, STAR_MOTION, Expected, motion_of_images
from tessphot_lib.photometry.track_steps import SMEAR, steps_along
from tessphot_lib.prf.evaluate import prf_stamps

RADIUS = 2.0  # [pixels] of the aperture of an object that hardly moves
MAX_RADIUS = 8.0  # [pixels]
AT_ONCE = 64  # [pixels] side of the region that is read at once
OWN_REACH = 3.0  # [pixels] beyond two radii, from where it gives light in other images
OWN_ERROR = 0.3  # of that: some pixels of some images are not averaged
MAX_OWN = 0.75  # of its light that the average image may hold: errors are as large as fluxes then
SHAPE_ERROR = 0.003  # of the light in the aperture: position and PRF
MARGIN = 2  # [pixels] around the aperture, of which slopes are known


@dataclass(frozen=True)
class ObjectTrack:
    """Where an object is in which images; (n,) arrays.

    Attributes
    ----------
    name, source : str
        See `tessphot_lib.io.products.moving_ecsv`.
    image : int array
        Increasing.
    row, column : arrays
        [science pixels]
    step_row, step_column : arrays
        From one image to the next [pixels].
    """

    name: str
    source: str
    image: NDArray
    row: NDArray
    column: NDArray
    step_row: NDArray
    step_column: NDArray

    @property
    def speed(self) -> float:
        """Median way from one image to the next [pixels]."""
        return float(np.median(np.hypot(self.step_row, self.step_column)))

    @property
    def radius(self) -> float:
        """Radius of its aperture, wider for a fast object [pixels]."""
        return min(RADIUS + 0.5 * self.speed, MAX_RADIUS)


def object_tracks(cube: PixelCube, moving: pd.DataFrame) -> list[ObjectTrack]:
    """Split the table of moving objects into tracks, in the order of their names."""
    tracks = []
    for name, rows in moving.groupby("object", sort=True):
        rows = rows.drop_duplicates("cadenceno").sort_values("cadenceno")
        image = np.searchsorted(cube.cadenceno, rows["cadenceno"].to_numpy())
        at = [rows[axis].to_numpy(dtype=float) for axis in ("row", "column")]
        steps = steps_along(rows["cadenceno"].to_numpy(), *at)
        source = "found" if (rows["source"] == "found").any() else "predicted"
        tracks.append(ObjectTrack(str(name), source, image, *at, *steps))
    return tracks


def aperture_window(track: ObjectTrack, number: int, margin: int = 0) -> Window:
    """Pixels of the aperture in one image of a track, and some around."""
    reach = int(np.ceil(track.radius)) + margin
    row, column = round(float(track.row[number])), round(float(track.column[number]))
    return Window(row - reach, row + reach + 1, column - reach, column + reach + 1)


def follow(cube: PixelCube, track: ObjectTrack, prf: Prf) -> tuple[StarFluxes, float]:
    """Measure an object along its track.

    Parameters
    ----------
    cube : PixelCube
    track : ObjectTrack
    prf : Prf
        Says which fraction of the light is in the aperture.

    Returns
    -------
    fluxes : StarFluxes
        Of one "star"; NaN off the track, where the aperture lacks a pixel, and where an object
        stays so long that most of its light is in the average image. The centroids
        are the positions of the track. Reflections are not among the flags: in the pixels of
        a moving object they are its own light.
    captured : float
        Fraction of the object's light in the aperture, to which all images are brought; NaN
        if there is no such image.
    """
    result = StarFluxes.unknown(1, cube.n_cadences)
    motion = motion_of_images(cube)
    result.centroid_row[0, track.image] = track.row
    result.centroid_column[0, track.image] = track.column
    for numbers, region in _regions(cube, track):
        scene = Expected.of(cube, region)
        first, last = int(track.image[numbers[0]]), int(track.image[numbers[-1]]) + 1
        cadences = slice(first, last)
        flux, error = cube.read_with_errors(region, cadences)
        sky = cube.background_in(region, cadences)
        flags = cube.flags(region, cadences)
        for number in numbers:
            image = int(track.image[number])
            here = image - first
            light = flux[here] - sky[here] - scene.moved(motion[image])
            pixels = light, error[here], sky[here], flags[here]
            _sum(result, image, _aperture(track, number, region), scene, pixels)
    is_foreign = result.pixel_flags[0] & int(PixelFlag.BACKGROUND_ANOMALY) != 0
    result.pixel_flags[...] &= np.uint8(0xFF ^ int(PixelFlag.BACKGROUND_ANOMALY))
    in_average = cube.is_averaged() & ~is_foreign
    measured = np.flatnonzero(np.isfinite(result.flux[0, track.image]))
    parts = np.array([_captured(prf, track, number, in_average) for number in measured])
    parts = parts.reshape(-1, 2)
    is_own = parts[:, 1] > MAX_OWN * parts[:, 0]
    lost = track.image[measured[is_own]]
    result.flux[0, lost] = result.flux_err[0, lost] = np.nan
    known, parts = measured[~is_own], parts[~is_own]
    if not known.size:
        return result, np.nan
    captured = parts[:, 0] - parts[:, 1]
    usual, image = float(np.median(captured)), track.image[known]
    result.flux[0, image] *= usual / captured
    shape = np.hypot(SHAPE_ERROR, OWN_ERROR * parts[:, 1] / captured) * result.flux[0, image]
    result.flux_err[0, image] = np.hypot(result.flux_err[0, image] * usual / captured, shape)
    return result, usual


class _Circle(NamedTuple):
    """Pixels of an aperture that a region has, their weights, and whether it has all of it."""

    window: Window
    weights: NDArray
    is_whole: bool


def _aperture(track: ObjectTrack, number: int, region: Window) -> _Circle:
    window = aperture_window(track, number).intersect(region)
    weights = circle_weights(window, track.row[number], track.column[number], track.radius)
    return _Circle(window, weights, is_whole(weights, track.radius))


def _sum(
    result: StarFluxes,
    image: int,
    aperture: _Circle,
    scene: Expected,
    pixels: tuple[NDArray, NDArray, NDArray, NDArray],
) -> None:
    """Sum an aperture; ``pixels`` are light, its error, sky and flags over the scene's window."""
    cut, used = aperture.window.slices_in(scene.window), aperture.weights > 0
    light, error, sky, flags = (values[cut][used] for values in pixels)
    weights = aperture.weights[used]
    result.pixel_flags[0, image] = np.bitwise_or.reduce(flags, initial=0)
    if not aperture.is_whole or not np.isfinite(light).all():
        return
    changes = (STAR_CHANGE * np.maximum(scene.average[cut][used], 0.0)) ** 2
    changes += STAR_MOTION**2 * (scene.slopes[:, *cut] ** 2).sum(axis=0)[used]
    # Stars vary as a whole, photons pixel by pixel.
    stars = np.sum(weights * np.sqrt(changes))
    result.flux[0, image] = np.sum(weights * light)
    result.flux_err[0, image] = np.sqrt(np.sum((weights * error.astype(float)) ** 2) + stars**2)
    result.background[0, image] = np.sum(weights * sky)


def _captured(
    prf: Prf, track: ObjectTrack, number: int, in_average: NDArray
) -> tuple[float, float]:
    """Fraction of an object's light in its aperture, and what the average image has of it there."""
    window = aperture_window(track, number)
    weights = circle_weights(window, track.row[number], track.column[number], track.radius)
    row = track.row[number] + SMEAR * track.step_row[number]
    column = track.column[number] + SMEAR * track.step_column[number]
    distance = np.hypot(track.row - track.row[number], track.column - track.column[number])
    near = (distance < 2 * track.radius + OWN_REACH) & in_average[track.image]
    row, column = np.append(row, track.row[near]), np.append(column, track.column[near])
    corner = np.full(len(row), window.row0), np.full(len(row), window.column0)
    parts = (prf_stamps(prf, row, column, *corner, window.shape) * weights).sum(axis=(1, 2))
    here, elsewhere = parts[: len(SMEAR)].mean(), parts[len(SMEAR) :].sum()
    return float(here), float(elsewhere / max(int(in_average.sum()), 1))


def _regions(cube: PixelCube, track: ObjectTrack) -> Iterator[tuple[list[int], Window]]:
    """Images of a track, numbers in it, that are read together, and the pixels of them."""
    part = cube.grid.part_at(track.row, track.column)
    numbers: list[int] = []
    box = None
    for number in np.flatnonzero(part >= 0).tolist():
        here = aperture_window(track, number, MARGIN)
        together = here if box is None else _around(box, here)
        same = not numbers or (
            part[number] == part[numbers[0]]
            and max(together.shape) <= AT_ONCE
            and track.image[number] - track.image[numbers[0]] < AT_ONCE
        )
        if not same and box is not None:
            yield numbers, box.intersect(cube.grid.windows[part[numbers[0]]])
            numbers, together = [], here
        numbers.append(number)
        box = together
    if box is not None:
        yield numbers, box.intersect(cube.grid.windows[part[numbers[0]]])


def _around(one: Window, other: Window) -> Window:
    """Smallest window that has both."""
    return Window(
        min(one.row0, other.row0),
        max(one.row1, other.row1),
        min(one.column0, other.column0),
        max(one.column1, other.column1),
    )


def middle_aperture(cube: PixelCube, track: ObjectTrack) -> Aperture:
    """The aperture in the middle of the track, in a stamp that is cut at the pixels' edge."""
    known = np.flatnonzero(cube.grid.part_at(track.row, track.column) >= 0)
    middle = int(known[len(known) // 2])
    window = aperture_window(track, middle, MARGIN).intersect(cube.window)
    at = track.row[middle], track.column[middle], track.radius
    return Aperture(window, circle_weights(window, *at) > 0.5)
