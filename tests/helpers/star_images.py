"""Light of stars in pixels."""

import numpy as np


def gaussian_star(window, row, column, flux, sigma=0.9):
    """Light of a star in the pixels of a window [e-/s], (n_rows, n_columns).

    ``row`` and ``column`` are of the CCD, like those of the window; ``flux`` is the whole
    light [e-/s] and ``sigma`` the width in both directions [pixels].
    """
    rows = np.arange(window.row0, window.row1)[:, None]
    columns = np.arange(window.column0, window.column1)
    distance2 = (rows - row) ** 2 + (columns - column) ** 2
    return flux / (2 * np.pi * sigma**2) * np.exp(-0.5 * distance2 / sigma**2)
