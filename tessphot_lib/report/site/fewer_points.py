"""Fewer points than were measured, so that a browser can draw a page: nothing else is lost."""

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 5000  # of a line; a screen has some 2000 columns


def points_per_mean(n_points: int) -> int:
    """Return of how many consecutive points a mean is drawn: 1 for up to `MOST_POINTS`."""
    return max(1, -(-n_points // MOST_POINTS))


def means(cadenceno: NDArray, n_each: int, values: NDArray) -> NDArray:
    """Average values over intervals of so many cadences.

    Parameters
    ----------
    cadenceno : (n,) integer array
        In any order, with gaps; an interval begins at each multiple of ``n_each``.
    n_each : int
        1: the values themselves are returned.
    values : (n,) array
        NaN does not count.

    Returns
    -------
    (m,) float64 array
        For each interval that has a cadence, in order; NaN where no value is known.
    """
    if n_each == 1:
        return np.asarray(values, dtype=float)
    intervals, which = np.unique(cadenceno // n_each, return_inverse=True)
    known = np.isfinite(values)
    count = np.bincount(which[known], minlength=len(intervals))
    total = np.bincount(which[known], np.asarray(values)[known], minlength=len(intervals))
    return np.divide(total, count, out=np.full(len(intervals), np.nan), where=count > 0)


def some_of_each(kind: NDArray) -> NDArray:
    """Choose at most about `MOST_POINTS` points: all of rare kinds, and of others every so many.

    Parameters
    ----------
    kind : (n,) integer array

    Returns
    -------
    (m,) integer array
        Indices, in order.
    """
    kinds, counts = np.unique(kind, return_counts=True)
    most, left = MOST_POINTS, len(kinds)
    chosen = [np.empty(0, dtype=int)]
    for number in np.argsort(counts, kind="stable"):  # what rare kinds leave, the others get
        at = np.flatnonzero(kind == kinds[number])
        chosen.append(at[:: max(1, -(-len(at) // max(1, most // left)))])
        most, left = most - len(chosen[-1]), left - 1
    return np.sort(np.concatenate(chosen))


def extremes_kept(values: NDArray) -> NDArray:
    """Choose points of a spectrum: the first `MOST_POINTS`, then the extremes of groups.

    A line through them looks like that through all, and each high peak is where it was.

    Parameters
    ----------
    values : (n,) array
        Without NaN.

    Returns
    -------
    (m,) integer array
        Indices, in order; at most three times `MOST_POINTS`.
    """
    first = np.arange(min(len(values), MOST_POINTS))
    rest = np.asarray(values)[len(first) :]
    if len(rest) <= 2 * MOST_POINTS:
        return np.arange(len(values))
    n_each = points_per_mean(len(rest))
    missing = -len(rest) % n_each
    groups = np.pad(rest, (0, missing), mode="edge").reshape(-1, n_each)
    starts = len(first) + n_each * np.arange(len(groups))
    extremes = np.concatenate([starts + groups.argmin(axis=1), starts + groups.argmax(axis=1)])
    return np.concatenate([first, np.unique(np.minimum(extremes, len(values) - 1))])
