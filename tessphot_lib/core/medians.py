"""Medians of what is known."""

import numpy as np
from numpy.typing import NDArray


def medians_of_known(values: NDArray) -> NDArray:
    """Median of the finite values along the first axis.

    Parameters
    ----------
    values : (n, ...) float array

    Returns
    -------
    (...) array
        Of the same type; NaN where no value is finite.
    """
    finite = np.isfinite(values)
    known = finite.any(axis=0)
    result = np.full(values.shape[1:], np.nan, dtype=values.dtype)
    if known.any():
        some = np.where(finite, values, np.nan)[:, known]
        result[known] = np.nanmedian(some, axis=0)
    return result
