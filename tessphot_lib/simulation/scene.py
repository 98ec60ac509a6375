"""A simulated scene: everything that is true about one CCD, and functions to ask for it.

`build_scene` makes it from the settings alone, so the truth need not be read
from a file; `tessphot_lib.simulation.truth_file` keeps a copy beside the
images. Images are counted from 0 in the order of time (``index``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation import detector, diffuse, prf
from tessphot_lib.simulation.asteroids import Asteroids, draw_asteroids
from tessphot_lib.simulation.motion import displacement, image_motion
from tessphot_lib.simulation.orbit import spacecraft_position
from tessphot_lib.simulation.pointing import TanSip, reference_wcs, to_vectors
from tessphot_lib.simulation.schedule import SECTOR_DAYS, cadence_numbers, image_kind, image_starts
from tessphot_lib.simulation.stars import (
    Stars,
    draw_stars,
    relative_flux,
    with_outbursts,
    with_showcase,
)

SPEED_OF_LIGHT = 173.1446326846693  # [au/d]
WING_REACH = 96  # [pixels] farther from a star its light does not matter
TRAIL_TMAG = 7.5  # stars brighter than this can bleed


@dataclass(frozen=True)
class Scene:
    """What is true about one CCD, or a window of it.

    Attributes
    ----------
    ccd_id, settings, faint_limit
        What the scene was built from.
    window : Window
        The pixels of the images.
    region : Window
        The pixels that have to be rendered for them: more rows where charge
        bleeds in from outside.
    stars : Stars
        All stars that shine into the region.
    wcs : TanSip
        True WCS of an unmoved image at the sector's epoch.
    epoch : float
        Time of the star positions [BTJD].
    starts : (n_images,) float64 array
        Start of each image at the spacecraft [BTJD].
    cadencenos : (n_images,) int array
    """

    ccd_id: CcdId
    window: Window
    region: Window
    settings: SimulationSettings
    faint_limit: float
    stars: Stars
    wcs: TanSip
    epoch: float
    starts: NDArray
    cadencenos: NDArray

    @property
    def n_images(self) -> int:
        """Number of images of the run."""
        return len(self.starts)

    @property
    def exposure_days(self) -> float:
        """From start to stop of an image [d]."""
        return self.settings.cadence_seconds / SECONDS_PER_DAY

    @cached_property
    def middles(self) -> NDArray:
        """Middle of each image at the spacecraft, (n_images,) [BTJD]."""
        return self.starts + 0.5 * self.exposure_days

    @cached_property
    def spacecraft(self) -> NDArray:
        """Place of the spacecraft in the middle of each image, (n_images, 3) [au]."""
        return spacecraft_position(self.middles)

    @cached_property
    def asteroids(self) -> Asteroids:
        """Objects that cross the window."""
        days = self.elapsed(self.n_images - 1)
        return draw_asteroids(self.ccd_id, self.settings, self.window, days)

    def elapsed(self, index: int) -> float:
        """Return the time since the first image [d]."""
        return float(self.starts[index] - self.starts[0])

    def image_of(self, index: int) -> int:
        """Return the number of the full-frame image that befell what befell this one: itself."""
        return index

    def kind(self, index: int) -> str:
        """Return what befell an image: one of `schedule.KINDS`."""
        return image_kind(self.ccd_id, index, self.settings)

    def motion(self, index: int) -> NDArray:
        """Return the true motion of an image, (2, 3) coefficients as in `motion`."""
        return image_motion(self.ccd_id, index, self.elapsed(index), self.settings)

    def star_index(self, tic_id: int) -> int:
        """Return the place of a star in ``stars``; an unknown one is an InputDataError."""
        found = np.flatnonzero(self.stars.tic_id == tic_id)
        if not found.size:
            raise InputDataError(f"TIC {tic_id}: not among the stars of {self.ccd_id}")
        return int(found[0])


def build_scene(
    ccd_id: CcdId,
    *,
    window: Window | None = None,
    settings: SimulationSettings | None = None,
    faint_limit: float = 18.0,
) -> Scene:
    """Build the scene of a CCD.

    Parameters
    ----------
    ccd_id : CcdId
    window : Window, optional
        The pixels of the images; by default all.
    settings : SimulationSettings, optional
    faint_limit : float
        Where the catalog ends [Tmag]; fainter stars shine, but are not known.

    Returns
    -------
    Scene
        A function of the arguments alone.
    """
    window = Window() if window is None else window
    settings = SimulationSettings() if settings is None else settings
    starts = image_starts(ccd_id, settings)
    stars = draw_stars(ccd_id, settings, faint_limit)
    if settings.showcase:
        stars = with_showcase(stars, ccd_id, window, float(starts[0]))
    if settings.outbursts:
        span = float(starts[0]), float(starts[-1])
        stars = with_outbursts(stars, ccd_id, window, settings, span, faint_limit)
    region = region_of(window, stars, settings)
    return Scene(
        ccd_id=ccd_id,
        window=window,
        region=region,
        settings=settings,
        faint_limit=faint_limit,
        stars=stars.select(is_near(stars, region)),
        wcs=reference_wcs(ccd_id),
        epoch=float(starts[0]) + 0.5 * SECTOR_DAYS,
        starts=starts,
        cadencenos=cadence_numbers(ccd_id, settings),
    )


def background_truth(scene: Scene, index: int, window: Window | None = None) -> NDArray:
    """Return the diffuse light of an image: no star in it, no noise.

    Zodiacal light, glow, scattered light, the reflection and extended light of the sky;
    what the image would have been, for those that are all zero or NaN.

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s per pixel], over ``window`` (by default that of the scene).
    """
    window = scene.window if window is None else window
    middle = np.array([scene.window.middle]).T
    d_row, d_column = displacement(scene.motion(index), *middle)
    return diffuse.diffuse_light(
        scene.ccd_id,
        scene.image_of(index),
        scene.elapsed(index),
        np.arange(window.row0, window.row1),
        np.arange(window.column0, window.column1),
        scene.settings,
        (float(d_row[0]), float(d_column[0])),
    )


def motion_truth(scene: Scene) -> Callable[[NDArray, NDArray], tuple[NDArray, NDArray]]:
    """Return a function of (row, column), arrays (n,), that gives the motion.

    Its result are (drow, dcolumn), each (n_images, n): by how much a star
    that stands at (row, column) in an unmoved image is displaced [pixels].
    """
    motions = np.stack([scene.motion(index) for index in range(scene.n_images)])

    def motion_at(row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
        return displacement(motions, np.atleast_1d(row), np.atleast_1d(column))

    return motion_at


def light_curve_truth(scene: Scene, tic_id: int) -> NDArray:
    """Return the brightness of a star in each image by that without variability, (n_images,).

    Averaged over the exposure; the light that a transit or an eclipse takes
    away is missing, everything else is 1.
    """
    star = scene.star_index(tic_id)
    return star_light(scene, scene.stars.select(np.array([star])))[:, 0]


def star_light(scene: Scene, stars: Stars, index: int | slice = slice(None)) -> NDArray:
    """Return the relative brightness of stars, (n_images, n_stars), or (n_stars,) of one image."""
    directions = to_vectors(*scene.wcs.to_sky(stars.row, stars.column))
    correction = scene.spacecraft[index] @ directions / SPEED_OF_LIGHT
    time = np.expand_dims(scene.middles[index], -1) + correction
    return relative_flux(stars, time, scene.exposure_days)


def prf_truth(
    scene: Scene, row: float, column: float, shape: tuple[int, int]
) -> tuple[NDArray, tuple[int, int]]:
    """Return the pixel-integrated PRF of a star.

    Parameters
    ----------
    scene : Scene
    row, column : float
        Position of the star [pixels], anywhere.
    shape : (n_rows, n_columns)
        Size of the stamp; odd numbers centre it on the star's pixel.

    Returns
    -------
    stamp : (n_rows, n_columns) array
        Fraction of the light that falls on each pixel; the infinite plane sums to 1.
    corner : (row, column)
        First pixel of the stamp.
    """
    corner = (round(row) - shape[0] // 2, round(column) - shape[1] // 2)
    stamp = prf.prf_stamp(
        row,
        column,
        corner[0] + np.arange(shape[0]),
        corner[1] + np.arange(shape[1]),
        scene.ccd_id.ccd,
        **prf.form_of(scene.settings),
    )
    return stamp, corner


def noise_truth(scene: Scene, light: NDArray, window: Window | None = None) -> NDArray:
    """Return the 1-sigma noise of pixels that receive ``light`` [e-/s].

    ``light`` is (n_rows, n_columns) over ``window`` (by default that of the
    scene), sky and stars together, without noise.
    """
    window = scene.window if window is None else window
    column = np.arange(window.column0, window.column1)
    return detector.noise_sigma(light, column, scene.settings)


def is_near(stars: Stars, region: Window) -> NDArray:
    """Return which stars stand where they can shine into the region."""
    reach = WING_REACH + 2
    return (
        (stars.row > region.row0 - reach)
        & (stars.row < region.row1 + reach)
        & (stars.column > region.column0 - reach)
        & (stars.column < region.column1 + reach)
    )


def region_of(window: Window, stars: Stars, settings: SimulationSettings) -> Window:
    """Add rows to the window until no bleed trail crosses the border of the region."""
    if settings.full_well == 0:
        return window
    bright = stars.select(stars.tmag < TRAIL_TMAG)
    # Even if a quarter of the light fell into one column.
    reach = 20.0 + bright.flux / detector.full_well_rate(settings)
    beside = (bright.column > window.column0 - 12) & (bright.column < window.column1 + 12)
    low, high = (bright.row - reach)[beside], (bright.row + reach)[beside]
    first, last = float(window.row0), float(window.row1)
    while True:
        touching = (high > first) & (low < last)
        new_first = min(first, low[touching].min(initial=first))
        new_last = max(last, high[touching].max(initial=last))
        if (new_first, new_last) == (first, last):
            break
        first, last = new_first, new_last
    return Window(max(int(first), 0), min(int(np.ceil(last)), 2048), window.column0, window.column1)
