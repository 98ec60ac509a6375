"""The piece of the sky that a CCD, or a window of it, sees.

Everything is done with directions and distances on the sphere, so that a pole
or RA = 0 on the CCD is nothing special.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN, PIXEL_SCALE
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.sphere import separation, unit_vector
from tessphot_lib.core.wcs import pixel_to_sky

if TYPE_CHECKING:
    from astropy.wcs import WCS

GRID_STEP = 0.05  # [deg] between the points that stand for an area


@dataclass(frozen=True)
class Footprint:
    """The pixels of a window, and the WCS of the full image."""

    wcs: "WCS"
    window: Window

    @classmethod
    def of_cutout(cls, cutout: dict) -> "Footprint":
        """Build from a row of `tessphot_lib.io.images.cutout_table.read_cutout_table`."""
        window, wcs = cutout["window"], cutout["wcs"].deepcopy()
        wcs.wcs.crpix += window.column0 + FIRST_SCIENCE_COLUMN, window.row0
        return cls(wcs, window)

    def corners(self) -> tuple[NDArray, NDArray]:
        """Return ra (0 to 360) and dec [deg] of the outer corners of the four corner pixels.

        In the order of a walk around: (row0, column0), (row0, column1), ...
        """
        window = self.window
        rows = np.array([window.row0, window.row0, window.row1, window.row1]) - 0.5
        columns = np.array([window.column0, window.column1, window.column1, window.column0]) - 0.5
        ra, dec = pixel_to_sky(self.wcs, rows, columns)
        return ra % 360.0, dec

    def distance(self, ra: NDArray, dec: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Return how far stars are from the window [deg].

        Parameters
        ----------
        ra, dec : (n,) arrays
            [deg]
        row, column : (n,) arrays
            Their pixels by this WCS.

        Returns
        -------
        (n,) float64 array
            Zero (to 1e-6) on the window; the distance to its closest pixel
            outside; infinite where there are no pixels.
        """
        window = self.window
        known = np.isfinite(row) & np.isfinite(column)
        distance = np.full(np.shape(row), np.inf)
        closest = pixel_to_sky(
            self.wcs,
            np.clip(row[known], window.row0 - 0.5, window.row1 - 0.5),
            np.clip(column[known], window.column0 - 0.5, window.column1 - 0.5),
        )
        distance[known] = separation(*closest, np.asarray(ra)[known], np.asarray(dec)[known])
        return distance

    def grid(self, margin: float) -> tuple[NDArray, NDArray]:
        """Return ra, dec [deg] of points that lie `GRID_STEP` apart, on the window and around it.

        They cover everything up to ``margin`` [deg] outside, and a bit more.
        """
        step = GRID_STEP * 3600.0 / PIXEL_SCALE
        beyond = 1.05 * margin * 3600.0 / PIXEL_SCALE + step
        window = self.window
        rows, columns = (
            np.linspace(low - beyond, high + beyond, 2 + int((high - low + 2 * beyond) / step))
            for low, high in ((window.row0, window.row1), (window.column0, window.column1))
        )
        row_grid, column_grid = np.meshgrid(rows, columns, indexing="ij")
        return pixel_to_sky(self.wcs, row_grid.ravel(), column_grid.ravel())


class Surroundings:
    """The sky on and around some footprints, up to a margin [deg] and a bit more."""

    def __init__(self, footprints: Sequence[Footprint], margin: float) -> None:
        ra, dec = grid_of(footprints, 0.0)
        self._tree = scipy.spatial.cKDTree(unit_vector(ra, dec))
        self._chord = 2 * np.sin(0.5 * np.radians(margin + GRID_STEP))

    def contain(self, ra: NDArray, dec: NDArray) -> NDArray:
        """Return which directions [deg] lie there, (n,) bool."""
        towards = unit_vector(np.asarray(ra, dtype=float), np.asarray(dec, dtype=float))
        distance, _ = self._tree.query(towards, distance_upper_bound=self._chord)
        return np.isfinite(distance)


def grid_of(footprints: Sequence[Footprint], margin: float) -> tuple[NDArray, NDArray]:
    """Return ra, dec [deg] of the points of `Footprint.grid` of all footprints."""
    grids = [footprint.grid(margin) for footprint in footprints]
    return tuple(np.concatenate(axis) for axis in zip(*grids, strict=True))
