"""Affine motion of an image: how it is kept, and what it is at a star.

It is six numbers: ``(a0, a1, a2, b0, b1, b2)`` with ``d_row = a0 + a1 u + a2 v``
and ``d_column = b0 + b1 u + b2 v``, in pixels, where
``u, v = (row - 1023.5) / 1024, (column - 1023.5) / 1024``.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.geometry import Window

CENTRE_ROW, CENTRE_COLUMN = (SCIENCE_ROWS - 1) / 2, (SCIENCE_COLUMNS - 1) / 2  # [pixels]
HALF_ROWS, HALF_COLUMNS = SCIENCE_ROWS / 2, SCIENCE_COLUMNS / 2  # [pixels] unit of u and v


def affine_design(row: NDArray, column: NDArray) -> NDArray:
    """(n, 3) matrix of ``1, u, v`` at positions [science pixels]."""
    row, column = np.asarray(row, dtype=float), np.asarray(column, dtype=float)
    return np.stack(
        [
            np.ones_like(row),
            (row - CENTRE_ROW) / HALF_ROWS,
            (column - CENTRE_COLUMN) / HALF_COLUMNS,
        ],
        axis=-1,
    )


def displacement(motion: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Evaluate affine motions at positions.

    Parameters
    ----------
    motion : (n_images, 6) array
    row, column : (n_stars,) arrays [science pixels]

    Returns
    -------
    d_row, d_column : (n_images, n_stars) arrays
        [pixels]; NaN where the motion is.
    """
    design = affine_design(row, column)
    return motion[:, :3] @ design.T, motion[:, 3:] @ design.T


def displacement_in(
    motion: NDArray, region: Window, dtype: type[np.floating] = np.float64
) -> tuple[NDArray, NDArray]:
    """Evaluate one affine motion (6,) in all pixels of a region.

    Returns
    -------
    d_row, d_column : (n_rows, n_columns) arrays of ``dtype``
        [pixels]
    """
    down = (np.arange(region.row0, region.row1)[:, None] - CENTRE_ROW) / HALF_ROWS
    along = (np.arange(region.column0, region.column1) - CENTRE_COLUMN) / HALF_COLUMNS
    d_row, d_column = (
        (motion[first] + motion[first + 1] * down).astype(dtype, copy=False)
        + (motion[first + 2] * along).astype(dtype, copy=False)
        for first in (0, 3)
    )
    return d_row, d_column


def affine_from_points(
    row: NDArray, column: NDArray, moved_row: NDArray, moved_column: NDArray
) -> NDArray:
    """Least-squares affine motion (6,) that takes points to their moved positions."""
    design = affine_design(row, column)
    shift = np.column_stack([moved_row - row, moved_column - column])
    solution, *_ = np.linalg.lstsq(design, shift, rcond=None)
    return solution.T.ravel()


def against_mean(motion: NDArray, chosen: NDArray) -> NDArray:
    """Give motions (n_images, 6) against the mean of those of chosen images; NaN do not count.

    ``chosen`` are indices, or (n_images,) bool; without any, all stays as it is.
    """
    used = motion[chosen]
    used = used[np.isfinite(used).all(axis=1)]
    return motion - used.mean(axis=0) if len(used) else motion
