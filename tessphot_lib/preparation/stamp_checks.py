"""Whether target pixel files go together: where they are on the CCD, and when their cadences are.

The headers and tables of a file cannot be checked by themselves; others of the same CCD tell
which one is wrong.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import PIXEL_SCALE_DEG, SECONDS_PER_DAY
from tessphot_lib.core.sphere import separation

SCALE_RANGE = 0.06  # of a distance on the CCD by `PIXEL_SCALE_DEG`, and ...
FARTHEST = 15.0  # [pixels] ... what comes on top: a WCS of no certain cadence
LATE = 0.5  # of a cadence: times that differ by more are of other cadences


def is_misplaced(row: NDArray, column: NDArray, ra: NDArray, dec: NDArray) -> NDArray:
    """Return which stamps are not where the others are, by their distances on CCD and sky.

    Parameters
    ----------
    row, column : (n,) arrays
        Positions on the CCD [pixels].
    ra, dec : (n,) arrays
        The same on the sky [deg].

    Returns
    -------
    (n,) bool array
        Those that disagree with more than half of the others: of two that do not go together
        both.
    """
    n_off = np.zeros(len(row), dtype=int)
    for index in range(len(row)):
        on_ccd = np.hypot(row - row[index], column - column[index])
        on_sky = separation(ra[index], dec[index], ra, dec) / PIXEL_SCALE_DEG
        n_off[index] = (np.abs(on_ccd - on_sky) > FARTHEST + SCALE_RANGE * on_ccd).sum()
    return 2 * n_off > len(row) - 1


def is_off_the_clock(
    cadenceno: Sequence[NDArray], moment: Sequence[NDArray], *, cadence: float
) -> NDArray:
    """Return which files have other times for the numbers of their cadences than most.

    Parameters
    ----------
    cadenceno, moment : sequences of (n_file,) arrays
        Numbers of the cadences of each file, and their times at the spacecraft [d]; NaN
        where a file has none, each file having some.
    cadence : float
        Sampling interval [s].

    Returns
    -------
    (n_files,) bool array
    """
    zero = np.array(
        [
            np.nanmedian(times - number * (cadence / SECONDS_PER_DAY))
            for number, times in zip(cadenceno, moment, strict=True)
        ]
    )
    typical = np.median(zero) if len(zero) else 0.0
    return np.abs(zero - typical) > LATE * cadence / SECONDS_PER_DAY
