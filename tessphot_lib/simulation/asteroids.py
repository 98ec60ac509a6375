"""Asteroids that cross the simulated images, on slightly curved tracks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import HOURS_PER_DAY
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.schedule import generator
from tessphot_lib.simulation.stars import tmag_to_flux

CURVATURE = 0.3  # of the speed, by which it changes from side to side in `CURVATURE_DAYS`
CURVATURE_DAYS = 10.0


@dataclass(frozen=True)
class Asteroids:
    """Objects; (n,) arrays: flux [e-/s], when, where and how fast they cross the window."""

    flux: NDArray
    crossing: NDArray
    row: NDArray
    column: NDArray
    speed_row: NDArray
    speed_column: NDArray

    def at(self, elapsed: NDArray | float) -> tuple[NDArray, NDArray]:
        """Rows and columns a time after the first image [d], (n,) or (..., n)."""
        days = np.asarray(elapsed)[..., None] - self.crossing
        bend = 0.5 * CURVATURE * days**2 / CURVATURE_DAYS
        row = self.row + self.speed_row * days - self.speed_column * bend
        column = self.column + self.speed_column * days + self.speed_row * bend
        return row, column


def draw_asteroids(
    ccd_id: CcdId, settings: SimulationSettings, window: Window, days: float
) -> Asteroids:
    """Draw the objects of a run that lasts some days; they meet the window during it."""
    rng = generator(settings, ccd_id, "asteroids", per_ccd=True)
    n_objects = settings.asteroids
    tmag = rng.uniform(*settings.asteroid_tmag, n_objects)
    speed = rng.uniform(*settings.asteroid_speed, n_objects) * HOURS_PER_DAY
    direction = rng.uniform(0, 2 * np.pi, n_objects)
    return Asteroids(
        flux=tmag_to_flux(tmag),
        crossing=rng.uniform(0, days, n_objects),
        row=rng.uniform(window.row0, window.row1, n_objects),
        column=rng.uniform(window.column0, window.column1, n_objects),
        speed_row=speed * np.cos(direction),
        speed_column=speed * np.sin(direction),
    )
