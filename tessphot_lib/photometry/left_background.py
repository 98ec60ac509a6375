"""What the background of target pixel files leaves over, or takes too much, at a star.

It is SPOC's: early releases subtract some electrons too many. The mean image without the
light of known stars tells, in the pixels where these give hardly any.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.star_warnings import BACKGROUND_LEFT
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.prf.scene import scene_image

AROUND = 8  # [pixels] around a stamp that are looked at, too, in the same patch
REACH = 30.0  # [pixels] from where stars may give light
FAINT = 4.0  # [e-/s] pixels in which the known stars give less
WING_ERROR = 0.2  # of that light, which the PRF is wrong by
MIN_PIXELS = 8
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): error of a median in units of that of the mean
CLEARLY, MATTERS = 3.0, 0.01  # [sigma], and part of the star's flux, from which it is told


@dataclass(frozen=True)
class LeftBackground:
    """Light between the stars, per pixel, and its error [e-/s]; NaN where no pixel shows it."""

    level: float
    error: float

    def cards(self) -> Cards:
        """Header cards; none if it is not known."""
        if not np.isfinite(self.level):
            return {}
        return {
            "BKGLEFT": (round(self.level, 3), "[e-/s/pixel] left of the background, not off"),
            "BKGLFERR": (round(self.error, 3), "[e-/s/pixel] its 1-sigma error"),
        }

    def warning(self, n_pixels: int, flux: float) -> str | None:
        """Say so if it is clear, and matters for a flux [e-/s] in some pixels."""
        matters = abs(self.level) * n_pixels > MATTERS * abs(flux)
        if matters and abs(self.level) > CLEARLY * self.error:
            return BACKGROUND_LEFT.format(f"{self.level:.2g}")
        return None


def left_background(
    cube: PixelCube, stamp: Window, stars: pd.DataFrame, prf: Prf
) -> LeftBackground:
    """Look between the stars around a stamp.

    Parameters
    ----------
    cube : PixelCube
        Of target pixel files.
    stamp : Window
    stars : DataFrame
        Known stars in and around it: row, column, tmag.
    prf : Prf
    """
    part = cube.grid.part_at(*np.array(stamp.middle).reshape(2, 1))[0]
    window = stamp.widened(AROUND, cube.grid.windows[part]) if part >= 0 else stamp
    place = stars["row"].to_numpy(), stars["column"].to_numpy()
    near = stars[window.contains(*place, margin=REACH)]
    near = near[np.isfinite(near["tmag"].to_numpy(dtype=float))]
    flux = flux_of(near["tmag"].to_numpy(dtype=float), prf.zeropoint)
    scene = scene_image(prf, window, *average_places(cube, near), flux)
    return between_stars(cube.average_image(window), scene)


def between_stars(average: NDArray, scene: NDArray) -> LeftBackground:
    """Median of a mean image without its stars, where these are faint.

    Parameters
    ----------
    average, scene : (n_rows, n_columns) arrays
        Background-subtracted image, NaN without data, and light of the known stars [e-/s].
    """
    usable = np.isfinite(average) & (scene < FAINT)
    if usable.sum() < MIN_PIXELS:
        return LeftBackground(np.nan, np.nan)
    rest = (average - scene)[usable].astype(float)
    level = float(np.median(rest))
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(rest - level)))
    of_wings = WING_ERROR * float(np.median(scene[usable]))
    return LeftBackground(
        level, float(np.hypot(MEDIAN_ERROR * scatter / np.sqrt(rest.size), of_wings))
    )
