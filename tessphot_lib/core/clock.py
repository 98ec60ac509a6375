"""Times of a full-frame image, with the corrections that the mission found later.

Early data releases have times that are 2 s late, and leave out when in the
2-s frame each CCD is read (release notes of sector 18; revised notes of
sectors 20 and 21).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_OFFSET, SECONDS_PER_DAY
from tessphot_lib.core.geometry import CcdId

START_SHIFT, STOP_SHIFT = -1.969, -1.989  # [s] to be added
CAMERA_STAGGER = {1: 0.0, 2: 1.5, 3: 0.5, 4: 1.0}  # [s]
CCD_STAGGER = {1: 0.0, 2: 0.02, 3: 0.04, 4: 0.06}  # [s]
ALL_AFFECTED_UP_TO = 26  # data release
# Later releases in which the data of some versions of SPOC's pipeline are affected.
AFFECTED_VERSIONS: dict[float, tuple[str, ...]] = {
    27: ("spoc-4.0.14-20200108", "spoc-4.0.15-20200114", "spoc-4.0.17-20200130"),
    29: ("spoc-4.0.17-20200130", "spoc-4.0.20-20200220", "spoc-4.0.21-20200227"),
}
WITHOUT_STAGGER_UP_TO = 27
TIME_SHIFT = "TIMESHFT"  # keyword of files that this package wrote: what is added already [s]
EXPOSED_FRACTION = 0.792  # of the interval between images, with cosmic-ray mitigation


class ImageTimes(NamedTuple):
    """Times of one image.

    Start and stop [BTJD] are barycentric for the centre of the CCD, with
    ``timecorr`` [d] in them; ``shift_start`` and ``shift_stop`` [s] have been
    added to what the header says.
    """

    start: float
    stop: float
    timecorr: float
    shift_start: float
    shift_stop: float

    @property
    def shift(self) -> float:
        """What has been added to the middle [s]."""
        return 0.5 * (self.shift_start + self.shift_stop)


def image_times(header: Any, ccd_id: CcdId) -> ImageTimes:
    """Read the times of a full-frame image, and correct them where its release needs it."""
    shifts = timestamp_shifts(header.get("DATA_REL"), header.get("PROCVER"), ccd_id)
    return ImageTimes(
        float(header["TSTART"]) + shifts[0] / SECONDS_PER_DAY,
        float(header["TSTOP"]) + shifts[1] / SECONDS_PER_DAY,
        float(header["BARYCORR"]),
        *shifts,
    )


def timestamp_shifts(
    data_rel: Any, procver: Any, ccd_id: CcdId | None = None
) -> tuple[float, float]:
    """Return what must be added to the times of a data release [s].

    Parameters
    ----------
    data_rel, procver
        Keywords DATA_REL and PROCVER. An image without a release number is
        taken as it is.
    ccd_id : CcdId, optional
        Given for full-frame images, which also miss the stagger of the read-out.

    Returns
    -------
    start, stop : float
    """
    if isinstance(data_rel, bool) or not isinstance(data_rel, int | float):
        return 0.0, 0.0
    version = str(procver).strip()
    affected = 0 <= data_rel <= ALL_AFFECTED_UP_TO or version in AFFECTED_VERSIONS.get(data_rel, ())
    if not affected:
        return 0.0, 0.0
    stagger = 0.0
    if ccd_id is not None and data_rel <= WITHOUT_STAGGER_UP_TO:
        stagger = CAMERA_STAGGER[ccd_id.camera] + CCD_STAGGER[ccd_id.ccd]
    return START_SHIFT + stagger, STOP_SHIFT + stagger


def stamp_shift(header: Any) -> float:
    """Return what must be added to the times of a target pixel file [s].

    Nothing to those that `tessphot pixels` has written: it is in them, and `TIME_SHIFT` in
    their header says how much.
    """
    if header.get(TIME_SHIFT) is not None:
        return 0.0
    return 0.5 * sum(timestamp_shifts(header.get("DATA_REL"), header.get("PROCVER")))


# The cadence number of early images (before sector 6, 1800 s) follows from their
# uncorrected mid-time: number 4697 at this one (sector 1).
ANCHOR_CADENCENO = 4697
ANCHOR_TIME = 0.5 * (1325.317007851970 + 1325.337841177751) - 3.9072474e-3  # [d]
ANCHOR_CADENCE = 1800.0 / SECONDS_PER_DAY  # [d]


def julian_date(btjd: float) -> float:
    """Convert BTJD to a Julian date."""
    return btjd + BTJD_OFFSET


SPARSE = 1.5  # times their own length apart, images are some of many


def cadence_seconds(time: NDArray, exposure_time: NDArray) -> int:
    """Return the sampling interval: the median difference of the mid-times [s].

    A single image, and a few of many, give their own length, rounded to what TESS has used:
    the exposure is 0.792 of the interval, or 0.99 of it without cosmic-ray mitigation.

    Parameters
    ----------
    time : (n_images,) array
        Increasing [d].
    exposure_time : (n_images,) array
        [s]
    """
    own = round(float(np.median(exposure_time)) / EXPOSED_FRACTION / 10.0) * 10
    if len(time) < 2:
        return own
    between = round(float(np.median(np.diff(time))) * SECONDS_PER_DAY)
    return own if 0 < own < between / SPARSE else between
