"""How bright a star is that no catalog knows: by the pixels of a cutout."""

from pathlib import Path

import numpy as np

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.magnitudes import magnitude_of
from tessphot_lib.get.sky import Star
from tessphot_lib.io.images.tesscut import read_cutout, read_cutout_pixels

SKY_PERCENTILE = 20.0  # of the pixels of a cutout: most of them have light of stars
IN_BOX = 0.75  # of the light of a star in 3 x 3 pixels around it, about
FAINTEST = 18.0  # [mag] what can be told from the sky


def tmag_of_pixels(star: Star, path: Path, ccd_id: CcdId, year: float) -> float:
    """Estimate Tmag by the light in 3 x 3 pixels, sky subtracted; good to some 0.3 mag.

    Parameters
    ----------
    star : Star
        For its position.
    path : Path
        A cutout.
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
        If the star is not on the pixels, or these cannot be read.
    """
    cutout = read_cutout(path, ccd_id)
    x, y = (float(value) for value in cutout.wcs.all_world2pix(*star.at(year), 0))
    n_rows, n_columns = cutout.window.shape
    if not (-0.5 <= y < n_rows - 0.5 and -0.5 <= x < n_columns - 0.5):
        raise InputDataError(f"{path}: {star.name} does not lie on its pixels")
    flux, _ = read_cutout_pixels(path)
    good = flux[cutout.quality == 0] if (cutout.quality == 0).any() else flux
    image = np.nanmedian(good, axis=0).astype(float)
    row, column = round(y), round(x)
    box = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    light = float(np.nansum(box - np.nanpercentile(image, SKY_PERCENTILE))) / IN_BOX
    return min(float(magnitude_of(light)), FAINTEST) if light > 0 else FAINTEST
