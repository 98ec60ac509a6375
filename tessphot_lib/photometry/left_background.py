"""What the background of target pixel files leaves over, or takes too much, at a star.

It is SPOC's: early releases subtract some electrons too many. The mean image without the
light of known stars tells, in the pixels where these give hardly any; in crowds in those
where they give least. With ``photometry.tpf_residual_background`` it is subtracted, for each
patch of pixels that hang together as one level, and where it is clear.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.core.star_warnings import BACKGROUND_LEFT
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.photometry.targets import neighbors_around
from tessphot_lib.prf.scene import scene_image, wing_image

AROUND = 8  # [pixels] around a stamp that are looked at, too, in the same patch
REACH = 30.0  # [pixels] from where stars may give light
REACH_OF_STAMPS = 45  # [pixels] around a stamp that photometry may read, with the widest halo
FAINT = 4.0  # [e-/s] pixels in which the known stars give less
WING_ERROR = 0.2  # of that light, which the PRF is wrong by
FAINTEST = 0.25  # of the pixels, where too few are so faint
# Of the light of many stars: what the zero point and all magnitudes are wrong by together. What
# single ones are wrong by is different in each pixel: it is seen in the scatter.
CORE_ERROR = 0.05
MIN_PIXELS = 8
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): error of a median in units of that of the mean
CLEARLY, MATTERS = 3.0, 0.01  # [sigma], and part of the star's flux, from which it is told


@dataclass(frozen=True)
class LeftBackground:
    """Light between the stars, per pixel, and its error [e-/s]; NaN where no pixel shows it.

    ``subtracted`` is how much of it is not in the fluxes any more.
    """

    level: float
    error: float
    subtracted: float = 0.0

    @property
    def is_clear(self) -> bool:
        """Whether it is measured with some certainty."""
        return abs(self.level) > CLEARLY * self.error

    def cards(self) -> Cards:
        """Header cards; none if it is not known."""
        if not np.isfinite(self.level):
            return {}
        return {
            "BKGLEFT": (round(self.level, 3), "[e-/s/pixel] left by SPOC's background"),
            "BKGLFERR": (round(self.error, 3), "[e-/s/pixel] its 1-sigma error"),
            "BKGLFOFF": (round(self.subtracted, 3), "[e-/s/pixel] of it that is subtracted"),
        }

    def warning(self, n_pixels: int, flux: float) -> str | None:
        """Say so if it is clear, and matters for a flux [e-/s] in some pixels."""
        matters = abs(self.level - self.subtracted) * n_pixels > MATTERS * abs(flux)
        if matters and self.is_clear:
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
    part = _part_of(cube, stamp)
    window = stamp.widened(AROUND, cube.grid.windows[part]) if part >= 0 else stamp
    return _left_in(cube, window, stars, prf)


def subtract_left_background(
    cube: PixelCube, stamps: Iterable[Window], stars: pd.DataFrame, prf: Prf
) -> dict[int, LeftBackground]:
    """Subtract what is left in the patches that some stamps reach, where it is clear.

    All that is read from the cube from then on is without it, and its background has it.

    Parameters
    ----------
    cube : PixelCube
        Of target pixel files; it is changed.
    stamps : iterable of Window
    stars : DataFrame
        Known stars in and around the patches: row, column, tmag.
    prf : Prf

    Returns
    -------
    dict
        What was found in each of the patches, by their numbers. It depends on nothing but
        the patch and the stars in and around it.
    """
    near = [stamp.widened(REACH_OF_STAMPS, cube.window) for stamp in stamps]
    parts = np.unique(np.concatenate([np.zeros(0, int), *map(cube.grid.parts_in, near)]))
    levels, found = np.zeros(len(cube.grid.windows)), {}
    for part in parts.tolist():
        left = _left_in(cube, cube.grid.windows[part], stars, prf, part=part)
        levels[part] = left.level if left.is_clear else 0.0
        found[part] = replace(left, subtracted=float(levels[part]))
    cube.subtract_residual(levels)
    return found


def subtract_as_in_run(
    cube: PixelCube, stamp: Window, files: CcdFiles, settings: PhotometrySettings
) -> None:
    """Subtract what the light curves of a run are without, if it is one of target pixel files."""
    if settings.tpf_residual_background and cube.ccd_id.has_stamps:
        stars = neighbors_around([stamp], files)
        subtract_left_background(cube, [stamp], stars, read_prf(files.prf))


def left_background_of(
    found: dict[int, LeftBackground], cube: PixelCube, stamp: Window
) -> LeftBackground:
    """Pick what `subtract_left_background` found for a stamp; NaN off the patches."""
    return found.get(_part_of(cube, stamp), LeftBackground(np.nan, np.nan))


def _part_of(cube: PixelCube, stamp: Window) -> int:
    """Patch of the middle of a stamp, -1 for none."""
    return int(cube.grid.part_at(*np.array(stamp.middle).reshape(2, 1))[0])


def _left_in(
    cube: PixelCube, window: Window, stars: pd.DataFrame, prf: Prf, part: int | None = None
) -> LeftBackground:
    """Look between the stars in a window, in all of it or in the pixels of one patch."""
    place = stars["row"].to_numpy(), stars["column"].to_numpy()
    known = np.isfinite(stars["tmag"].to_numpy(dtype=float))
    near = stars[known & window.contains(*place, margin=REACH)]
    light = *average_places(cube, near), flux_of(near["tmag"].to_numpy(dtype=float), prf.zeropoint)
    scene = scene_image(prf, window, *light)
    average = cube.average_image(window)
    if part is not None:
        pixels = [axis.ravel() for axis in np.indices(window.shape)]
        of_pixels = cube.grid.part_at(pixels[0] + window.row0, pixels[1] + window.column0)
        average = np.where(of_pixels.reshape(window.shape) == part, average, np.nan)
    return between_stars(average, scene, _doubt(prf, window, light, scene))


def _doubt(prf: Prf, window: Window, light: tuple[NDArray, ...], scene: NDArray) -> NDArray:
    """What the light of many stars is wrong by in all pixels together [e-/s]."""
    brightest = light[2] == np.max(light[2], initial=0.0)
    alone = scene_image(prf, window, *(values[brightest] for values in light))
    wings = wing_image(prf, window, *light) if len(prf.wing_share) else 0.0
    return np.hypot(WING_ERROR * np.maximum(wings, alone), CORE_ERROR * scene)


def between_stars(average: NDArray, scene: NDArray, doubt: NDArray) -> LeftBackground:
    """Median of a mean image without its stars, where these are faint, or faintest.

    Parameters
    ----------
    average, scene, doubt : (n_rows, n_columns) arrays
        Background-subtracted image, NaN without data, light of the known stars, and its error
        where these are everywhere [e-/s].
    """
    known = np.isfinite(average)
    usable, error_of_light = known & (scene < FAINT), WING_ERROR * scene
    if usable.sum() < MIN_PIXELS and known.any():
        usable = known & (scene <= np.quantile(scene[known], FAINTEST))
        error_of_light = doubt
    if usable.sum() < MIN_PIXELS:
        return LeftBackground(np.nan, np.nan)
    rest = (average - scene)[usable].astype(float)
    level = float(np.median(rest))
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(rest - level)))
    error = MEDIAN_ERROR * scatter / np.sqrt(rest.size)
    error = float(np.hypot(error, np.median(error_of_light[usable])))
    return LeftBackground(level, error)
