"""The part of an image that has pixels at all: of cutouts, what lies around them."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window


def cropped(image: NDArray, window: Window) -> tuple[NDArray, Window]:
    """Leave out borders without pixels.

    Parameters
    ----------
    image : (n_rows, n_columns) float array
        NaN where there is no pixel.
    window : Window
        That it shows.

    Returns
    -------
    (image, Window)
        The smallest part with all known pixels; the whole where all are NaN.
    """
    known = np.isfinite(image)
    if not known.any():
        return image, window
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    part = Window(
        window.row0 + int(rows[0]),
        window.row0 + int(rows[-1]) + 1,
        window.column0 + int(columns[0]),
        window.column0 + int(columns[-1]) + 1,
    )
    return image[part.slices_in(window)], part
