"""How far moving objects go from one image to the next: what smears them in an exposure."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SMEAR = np.linspace(-0.4, 0.4, 5)  # of the way in an exposure: middles of its fifths
MAX_STEP = 20.0  # [pixels] more is an error of a position


def steps_along(cadenceno: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Compute by how much an object moves from one cadence to the next.

    Parameters
    ----------
    cadenceno : (n,) int array
        Growing, each only once; gaps are no harm.
    row, column : (n,) float arrays
        [pixels]

    Returns
    -------
    step_row, step_column : (n,) float64 arrays
        Second-order differences [pixels per cadence], at most `MAX_STEP`; 0 for a single image.
    """
    if len(cadenceno) < 2:
        return np.zeros(len(row)), np.zeros(len(column))
    since = np.asarray(cadenceno, dtype=float)
    row_steps, column_steps = (np.gradient(axis, since) for axis in (row, column))
    return np.clip(row_steps, -MAX_STEP, MAX_STEP), np.clip(column_steps, -MAX_STEP, MAX_STEP)


def steps_of_objects(moving: pd.DataFrame) -> tuple[NDArray, NDArray]:
    """Compute the same of a table of several objects, in the order of its rows.

    Parameters
    ----------
    moving : DataFrame
        ``object``, ``cadenceno``, ``row``, ``column``; of two rows of an object in one image the
        first counts.

    Returns
    -------
    step_row, step_column : (n_rows,) float64 arrays
    """
    steps = np.zeros((2, len(moving)))
    names, cadenceno = moving["object"].to_numpy(), moving["cadenceno"].to_numpy()
    row, column = (moving[name].to_numpy(dtype=float) for name in ("row", "column"))
    for name in pd.unique(names):
        own = np.flatnonzero(names == name)
        _, first, which = np.unique(cadenceno[own], return_index=True, return_inverse=True)
        rows = own[first]
        found = steps_along(cadenceno[rows], row[rows], column[rows])
        steps[:, own] = np.array(found)[:, which]
    return steps[0], steps[1]
