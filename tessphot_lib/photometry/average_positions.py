"""Where stars stand in the average image, which is not quite where the reference image has them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.flags import OWN_BAD_CADENCE
from tessphot_lib.io.products.pixels_hdf5 import PixelCube


def mean_motion(cube: PixelCube) -> NDArray:
    """Affine motion (6,) of the average image against the reference, see `motion`; 0 if unknown."""
    bad = int(cube.attributes["bad_quality"]) | int(OWN_BAD_CADENCE)
    motion = cube.motion[(cube.quality & bad) == 0]
    motion = motion[np.isfinite(motion).all(axis=1)]
    return motion.mean(axis=0) if len(motion) else np.zeros(6)


def average_places(cube: PixelCube, stars: pd.DataFrame) -> tuple[NDArray, NDArray]:
    """Rows and columns of catalog stars in the average image [science pixels]."""
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    d_row, d_column = displacement(mean_motion(cube)[None], row, column)
    return row + d_row[0], column + d_column[0]
