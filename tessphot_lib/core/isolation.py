"""Stars that stand alone."""

import numpy as np
import scipy
from numpy.typing import NDArray


def is_isolated(
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    candidates: NDArray,
    *,
    radius: float,
    tmag_difference: float,
) -> NDArray:
    """Return which stars have no neighbor that disturbs them.

    Parameters
    ----------
    row, column, tmag : (n,) arrays
        The catalog; stars with NaN disturb none.
    candidates : (n_candidates,) int array
        Indices of the stars that are asked about; all is known of them.
    radius : float
        [pixels] within which neighbors count.
    tmag_difference : float
        Neighbors fainter by as much, or more, disturb none.

    Returns
    -------
    (n_candidates,) bool array
    """
    if candidates.size == 0:
        return np.zeros(0, dtype=bool)
    faintest = tmag[candidates].max() + tmag_difference
    with np.errstate(invalid="ignore"):
        counted = np.isfinite(row) & np.isfinite(column) & (tmag < faintest)
    index = np.flatnonzero(counted)
    tree = scipy.spatial.cKDTree(np.column_stack([row[index], column[index]]))
    near = tree.query_ball_point(np.column_stack([row[candidates], column[candidates]]), radius)
    # Each finds itself.
    return np.array(
        [
            np.sum(tmag[index[found]] < tmag[star] + tmag_difference) == 1
            for star, found in zip(candidates, near, strict=True)
        ],
        dtype=bool,
    )
