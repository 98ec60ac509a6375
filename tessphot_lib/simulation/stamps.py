"""Target pixel files of a simulated CCD: which stars have one, and the light in their stamps.

They see the same sky as the full-frame images: the same stars, diffuse light and motion
(the jitter and whatever befalls an image is that of the image which is taken at the same
time). The noise is their own, and the same where stamps overlap.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.asteroids import Asteroids
from tessphot_lib.simulation.detector import noise_sigma
from tessphot_lib.simulation.motion import image_motion
from tessphot_lib.simulation.render import Renderer
from tessphot_lib.simulation.scene import (
    Scene,
    background_truth,
    build_scene,
    is_near,
    region_of,
)
from tessphot_lib.simulation.schedule import generator, image_kind, image_starts

HALF_STAMP = 5  # [pixels] stamps have 11 x 11
BRIGHT_LIMIT = 7.0  # [Tmag] brighter stars are saturated and have larger stamps, not simulated
FIRST_CADENCE, FIRST_TIME = 70444, 1325.29401  # of the 120-s cadences of sector 1


@dataclass(frozen=True)
class StampScene(Scene):
    """The scene in the cadences of target pixel files; ``index`` counts these.

    Attributes
    ----------
    image_index : (n_images,) int array
        Full-frame image in which each cadence lies.
    image_settings : SimulationSettings
        Those of the images, with their cadence.
    image_asteroids : Asteroids
        Objects that cross the images.
    """

    image_index: NDArray
    image_settings: SimulationSettings
    image_asteroids: Asteroids

    @property
    def asteroids(self) -> Asteroids:
        """Those of the images, whatever the stamp."""
        return self.image_asteroids

    def image_of(self, index: int) -> int:
        """Return the number of the full-frame image in which a cadence lies."""
        return int(self.image_index[index])

    def kind(self, index: int) -> str:
        """Return what befell the image in which a cadence lies; none is empty here."""
        kind = image_kind(self.ccd_id, self.image_of(index), self.image_settings)
        return "quiet" if kind in ("zero", "nan") else kind

    def motion(self, index: int) -> NDArray:
        """Return the motion: the jitter of the image, and the drift of the cadence."""
        image = self.image_of(index)
        return image_motion(self.ccd_id, image, self.elapsed(index), self.image_settings)


@dataclass(frozen=True)
class StampLight:
    """All cadences of a stamp, (n_cadences, n_rows, n_columns) float32 each [e-/s].

    Attributes
    ----------
    flux, flux_err : array
        With and of the noise, background off.
    background : array
        What is off.
    """

    flux: NDArray
    flux_err: NDArray
    background: NDArray


def build_stamp_scene(
    ccd_id: CcdId,
    *,
    window: Window,
    settings: SimulationSettings,
    faint_limit: float,
) -> StampScene:
    """Build the scene of a CCD in the cadences of target pixel files.

    Parameters
    ----------
    ccd_id : CcdId
        With the cadence.
    window, settings, faint_limit
        Of the full-frame images, as in `build_scene`.
    """
    scene = build_scene(ccd_id.of_images, window=window, settings=settings, faint_limit=faint_limit)
    starts, image_index = _cadences(ccd_id, settings)
    middles = starts + 0.5 * ccd_id.cadence / SECONDS_PER_DAY
    first = FIRST_CADENCE * 120 // ccd_id.cadence
    number = first + np.rint((middles - FIRST_TIME) * SECONDS_PER_DAY / ccd_id.cadence)
    shared = {one.name: getattr(scene, one.name) for one in fields(Scene)}
    shared["settings"] = replace(settings, cadence_seconds=float(ccd_id.cadence))
    if ccd_id.cadence < 120:  # no frames are dropped on board
        shared["settings"] = replace(shared["settings"], noise_factor=min(settings.noise_factor, 1))
    shared |= {"starts": starts, "cadencenos": number.astype(np.int64)}
    return StampScene(
        **shared,
        image_index=image_index,
        image_settings=settings,
        image_asteroids=scene.asteroids,
    )


def stamp_stars(scene: Scene, n_stars: int) -> NDArray:
    """Choose the stars with a target pixel file: the brightest that are known and not saturated.

    Returns
    -------
    (n,) int array
        Indices in ``scene.stars``; their stamps lie in the window.
    """
    stars, window = scene.stars, scene.window
    row, column = np.rint(stars.row), np.rint(stars.column)
    inside = (
        (row >= window.row0 + HALF_STAMP)
        & (row < window.row1 - HALF_STAMP)
        & (column >= window.column0 + HALF_STAMP)
        & (column < window.column1 - HALF_STAMP)
    )
    chosen = np.flatnonzero(stars.known & inside & (stars.tmag > BRIGHT_LIMIT))
    return chosen[np.argsort(stars.tmag[chosen], kind="stable")][:n_stars]


def stamp_window(scene: Scene, star: int) -> Window:
    """Return the pixels of the stamp of a star."""
    row, column = round(scene.stars.row[star]), round(scene.stars.column[star])
    return Window(
        row - HALF_STAMP, row + HALF_STAMP + 1, column - HALF_STAMP, column + HALF_STAMP + 1
    )


def render_stamp(scene: StampScene, window: Window) -> StampLight:
    """Render all cadences of a stamp."""
    region = region_of(window, scene.stars, scene.settings)
    stars = scene.stars.select(is_near(scene.stars, region))
    part = replace(scene, window=window, region=region, stars=stars)
    renderer, inside = Renderer(part), window.slices_in(region)
    shape = (scene.n_images, *window.shape)
    clean, background = np.empty(shape), np.empty(shape)
    for index in range(scene.n_images):
        clean[index] = renderer.clean_light(index)[inside]
        background[index] = background_truth(part, index)
    columns = np.arange(window.column0, window.column1)
    sigma = np.stack([noise_sigma(light, columns, scene.settings) for light in clean])
    flux = clean - background + sigma * _unit_noise(scene, window)
    return StampLight(*(values.astype(np.float32) for values in (flux, sigma, background)))


def _unit_noise(scene: StampScene, window: Window) -> NDArray:
    """Standard normal deviates, the same for a pixel in all stamps."""
    noise = np.empty((scene.n_images, *window.shape))
    cadence = int(scene.settings.cadence_seconds)
    for row in range(window.row0, window.row1):
        for column in range(window.column0, window.column1):
            rng = generator(
                scene.settings, scene.ccd_id, "stamps", cadence, row, column, per_ccd=True
            )
            pixel = rng.standard_normal(scene.n_images, dtype=np.float32)
            noise[:, row - window.row0, column - window.column0] = pixel
    return noise


def _cadences(ccd_id: CcdId, settings: SimulationSettings) -> tuple[NDArray, NDArray]:
    """Starts of the cadences during images [BTJD at the spacecraft], and the images."""
    images = image_starts(ccd_id, settings)
    length = settings.cadence_seconds / SECONDS_PER_DAY
    step = ccd_id.cadence / SECONDS_PER_DAY
    n_steps = round((images[-1] + length - images[0]) / step)
    starts = images[0] + step * np.arange(n_steps)
    middle = starts + 0.5 * step
    index = np.searchsorted(images, middle, side="right") - 1
    during = middle < images[index] + length
    return starts[during], index[during]
