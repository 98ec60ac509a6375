"""Outlines of apertures in a picture."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window


def outlines(owner: NDArray, window: Window) -> NDArray:
    """Borders between pixels of different owners (0: none), (n, 2, 2) as (column, row)."""
    padded = np.pad(owner, 1)
    row, column = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    level = np.stack([[column, row], [column + 1, row]])
    row, column = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    upright = np.stack([[column, row], [column, row + 1]])
    lines = np.concatenate([level, upright], axis=2).transpose(2, 0, 1)
    return lines + np.array([window.column0, window.row0]) - 0.5
