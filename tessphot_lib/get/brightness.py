"""How bright a star is that no catalog knows: by the pixels of a cutout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.magnitudes import magnitude_of
from tessphot_lib.get.sky import Star
from tessphot_lib.io.images.tesscut import Cutout, read_cutout, read_cutout_pixels

SKY_PERCENTILE = 20.0  # of the pixels of a cutout: most of them have light of stars
IN_BOX = 0.75  # of the light of a star in 3 x 3 pixels around it, about
FAINTEST = 18.0  # [mag] what can be told from the sky


def tmag_of_pixels(star: Star, paths: Sequence[Path], ccd_id: CcdId, year: float) -> float:
    """Estimate Tmag by the light in 3 x 3 pixels, sky subtracted; good to some 0.3 mag.

    Parameters
    ----------
    star : Star
        For its position.
    paths : sequence of Path
        Cutouts; the one in which the star is farthest from the edges counts.
    ccd_id : CcdId
    year : float
        Of the images, for the proper motion.

    Returns
    -------
    float
        At most `FAINTEST`, also if there is no light.

    Raises
    ------
    InputDataError
        If the star is not on the pixels of any cutout, or none can be read.
    """
    position = star.at(year)
    found: list[tuple[float, Path, Cutout]] = []
    unreadable: list[InputDataError] = []
    for path in paths:
        try:
            cutout = read_cutout(path, ccd_id)
        except InputDataError as error:
            unreadable.append(error)  # of several, the others may have the star
            continue
        found.append((_distance_to_edge(cutout, position), path, cutout))
    if not found:
        raise unreadable[0]
    inside, path, cutout = max(found, key=lambda one: one[0])
    if not inside > 0:
        others = f", nor on those of {len(found) - 1} other cutouts" if len(found) > 1 else ""
        raise InputDataError(f"{path}: {star.name} does not lie on its pixels{others}")
    x, y = _pixel(cutout, position)
    flux, _ = read_cutout_pixels(path)
    good = flux[cutout.quality == 0] if (cutout.quality == 0).any() else flux
    image = np.nanmedian(good, axis=0).astype(float)
    row, column = round(y), round(x)
    box = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    light = float(np.nansum(box - np.nanpercentile(image, SKY_PERCENTILE))) / IN_BOX
    return min(float(magnitude_of(light)), FAINTEST) if light > 0 else FAINTEST


def _pixel(cutout: Cutout, position: tuple[float, float]) -> tuple[float, float]:
    """(column, row) of a position in a cutout, (ra, dec) [deg]."""
    x, y = cutout.wcs.all_world2pix(*position, 0)
    return float(x), float(y)


def _distance_to_edge(cutout: Cutout, position: tuple[float, float]) -> float:
    """How far inside a cutout a position is [pixels]; negative outside."""
    x, y = _pixel(cutout, position)
    n_rows, n_columns = cutout.window.shape
    return min(y + 0.5, n_rows - 0.5 - y, x + 0.5, n_columns - 0.5 - x)
