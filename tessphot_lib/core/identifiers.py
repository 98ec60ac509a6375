"""Numbers of what has no TIC number, which stand where TIC numbers stand.

TIC numbers have at most 11 digits. Transients have twelve, 9SSSSCDNNNNN: sector, camera, CCD,
and a number on this CCD that begins with 1; moving objects begin with 8 instead of 9.
Sources of the average image that the star list lacks have numbers below 0; stars that were asked
for by their coordinates and that no list has, numbers from `FIRST_MADE_UP` on.
"""

from tessphot_lib.core.geometry import CcdId

TRANSIENT, MOVING = 9, 8  # first digits
FIRST_MADE_UP = 90_000_000_000  # numbers of stars that are not in the TIC, which ends at 1e10
_KIND, _SECTOR, _CAMERA, _CCD = 10**11, 10**7, 10**6, 10**5
MAX_NUMBER = _CCD - 1  # of a kind on a CCD
_NAMES = {TRANSIENT: "Transient", MOVING: "Moving object"}


def identifier(kind: int, ccd_id: CcdId, number: int) -> int:
    """Return the identifier of a transient or a moving object.

    Parameters
    ----------
    kind : int
        `TRANSIENT` or `MOVING`.
    ccd_id : CcdId
    number : int
        Its number on the CCD, from 1 on.

    Raises
    ------
    ValueError
        If there is no such number.
    """
    if not 1 <= number <= MAX_NUMBER:
        raise ValueError(f"number {number} is not from 1 to {MAX_NUMBER}")
    ccd = ccd_id.sector * _SECTOR + ccd_id.camera * _CAMERA + ccd_id.ccd * _CCD
    return kind * _KIND + ccd + number


def is_kind(star_id: int, kind: int) -> bool:
    """Return whether a number is that of a transient, or of a moving object."""
    return star_id // _KIND == kind


def object_name(star_id: int) -> str:
    """Name of what a number stands for: ``TIC 261136679``, or ``Transient 900141200001``."""
    of_star = "Star" if star_id >= FIRST_MADE_UP else "TIC"
    return f"{_NAMES.get(star_id // _KIND, of_star)} {star_id}"
