"""What stands out of the images of a CCD against its average image: detections.

Asteroids, transients and variable stars; `tessphot_lib.photometry.moving_objects` and
`tessphot_lib.photometry.transients` tell them apart.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement_in
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import mean_motion
from tessphot_lib.photometry.regions import cadence_slices
from tessphot_lib.quality.moving_objects import Detections, find_detections

CELL, OVERLAP = 256, 4  # [pixels] parts of the CCD that are read together, and beyond
STAR_CHANGE = 0.03  # of the light of the average image, by which stars vary
STAR_MOTION = 0.03  # [pixels] by which the measured motion of the images is off ...
SECOND_ORDER = 0.6  # [1/pixels] ... and this times its square: the average image moves linearly
SCATTERED_ERROR = 0.05  # of scattered light, that its background is off at most


@dataclass(frozen=True)
class Expected:
    """What the average image says that a window shows in each image.

    Attributes
    ----------
    window : Window
    average : (n_rows, n_columns) array
        [e-/s]; NaN without data.
    slopes : (2, n_rows, n_columns) array
        Its derivatives by row and column [e-/s/pixel].
    """

    window: Window
    average: NDArray
    slopes: NDArray

    @classmethod
    def of(cls, cube: PixelCube, window: Window) -> Self:
        """Read it."""
        average = cube.average_image(window).astype(float)
        return cls(window, average, image_slopes(np.maximum(average, 0.0)))

    def moved(self, motion: NDArray) -> NDArray:
        """Return it with an affine motion (6,) against the average image, to first order."""
        return self.shifted(*displacement_in(motion, self.window))

    def shifted(self, d_row: NDArray, d_column: NDArray) -> NDArray:
        """Return it displaced by so many pixels, to first order."""
        return self.average - d_row * self.slopes[0] - d_column * self.slopes[1]


def motion_of_images(cube: PixelCube) -> NDArray:
    """Affine motions (n_cadences, 6) against the average image, 0 where they are not known."""
    return np.nan_to_num(cube.motion - mean_motion(cube))


def detect(cube: PixelCube) -> Detections:
    """Find what stands out of the good images anywhere; positions are those in the images."""
    parts = []
    for box in cube.grid.windows:
        for row in range(box.row0, box.row1, CELL):
            for column in range(box.column0, box.column1, CELL):
                last = min(row + CELL, box.row1), min(column + CELL, box.column1)
                cell = Window(row, last[0], column, last[1])
                parts += _detections_in(cube, cell, cell.widened(OVERLAP).intersect(box))
    return Detections.join(parts)


def _scattered_fraction(cube: PixelCube) -> NDArray:
    """What fraction of the background of each image is light that quiet images lack, (n,)."""
    level = cube.background_level
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = 1.0 - np.nanmedian(level[cube.is_good()]) / level
    return np.clip(np.nan_to_num(fraction), 0.0, 1.0)


def _detections_in(cube: PixelCube, cell: Window, window: Window) -> list[Detections]:
    """What stands out of a part of the CCD; it is looked at with what is around it."""
    if min(window.shape) < 3:
        return []
    scene, motion, good = Expected.of(cube, window), motion_of_images(cube), cube.is_good()
    light = np.maximum(np.nan_to_num(scene.average), 0.0)
    steepest = (scene.slopes**2).sum(axis=0)
    scattered = _scattered_fraction(cube)
    parts = []
    for cadences in cadence_slices(cube, window):
        images = np.arange(cube.n_cadences)[cadences]
        chosen = np.flatnonzero(good[images])
        if not chosen.size:
            continue
        flux, error = cube.read_with_errors(window, cadences)
        sky = cube.background_in(window, cadences)
        for index in chosen:
            image = images[index]
            moved = displacement_in(motion[image], window)
            shift = STAR_MOTION**2 + (SECOND_ORDER * (moved[0] ** 2 + moved[1] ** 2)) ** 2
            sigma = np.sqrt(
                error[index].astype(float) ** 2
                + (STAR_CHANGE * light) ** 2
                + shift * steepest
                + (SCATTERED_ERROR * scattered[image] * sky[index]) ** 2
            )
            residual = flux[index] - sky[index] - scene.shifted(*moved)
            found = find_detections(residual, sigma, int(image), window.row0, window.column0)
            inside = cell.contains(found.row, found.column)
            parts.append(Detections(*(values[inside] for values in vars(found).values())))
    return parts
