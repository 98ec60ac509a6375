"""What is known to be unusable and is not seen in the data by itself: one table.

Images that are zero everywhere need no entry: they are found
(`tessphot_lib.core.flags.CadenceFlag.NO_DATA`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SCIENCE_COLUMNS
from tessphot_lib.core.geometry import CcdId


@dataclass(frozen=True)
class ManualExclude:
    """Some columns of some CCDs in some images.

    Attributes
    ----------
    sectors, cameras, ccds : tuple of int
    cadences : (first, last)
        Numbers of the images, both included; only images of 1800 s are counted so.
    columns : (first, last + 1)
        Science columns. All of them: the image as a whole is excluded.
    reason : str
    """

    sectors: tuple[int, ...]
    cameras: tuple[int, ...]
    ccds: tuple[int, ...]
    cadences: tuple[int, int]
    columns: tuple[int, int]
    reason: str

    @property
    def is_whole(self) -> bool:
        """Return whether whole images are excluded."""
        return self.columns == (0, SCIENCE_COLUMNS)

    def holds(self, ccd_id: CcdId, cadenceno: int) -> bool:
        """Return whether an image is one of them; a cadence of target pixel files never is."""
        return (
            not ccd_id.has_stamps
            and ccd_id.sector in self.sectors
            and ccd_id.camera in self.cameras
            and ccd_id.ccd in self.ccds
            and self.cadences[0] <= cadenceno <= self.cadences[1]
        )


ALL_CCDS, ALL_COLUMNS = (1, 2, 3, 4), (0, SCIENCE_COLUMNS)
# Cadence 4697 is the first of sector 1 (TSTART 1325.3170).
MANUAL_EXCLUDES = (
    ManualExclude((1,), (1,), (4,), (0, 4724), (1536, SCIENCE_COLUMNS), "Mars"),
    ManualExclude((5, 6), (1,), ALL_CCDS, (11354, 11366), ALL_COLUMNS, "Earthshine"),
)


def is_excluded(ccd_id: CcdId, cadenceno: int) -> bool:
    """Return whether an image is excluded as a whole."""
    return any(one.is_whole and one.holds(ccd_id, cadenceno) for one in MANUAL_EXCLUDES)


def excluded_columns(ccd_id: CcdId, cadenceno: int, columns: NDArray) -> NDArray:
    """Return which columns of an image that is not excluded as a whole are.

    Parameters
    ----------
    ccd_id : CcdId
    cadenceno : int
    columns : (n,) int array
        Science columns.

    Returns
    -------
    (n,) bool array
    """
    result = np.zeros(len(columns), dtype=bool)
    for one in MANUAL_EXCLUDES:
        if not one.is_whole and one.holds(ccd_id, cadenceno):
            result |= (columns >= one.columns[0]) & (columns < one.columns[1])
    return result
