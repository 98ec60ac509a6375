"""Sectors: which numbers there are, and when they were observed."""

from tessphot_lib.core.constants import DAYS_PER_YEAR

MAX_SECTOR = 9999  # names of files have four digits
FIRST_SECTOR = 2018.6  # [year] middle of sector 1
SECTOR_YEARS = 27.3 / DAYS_PER_YEAR  # from one sector to the next
# Numbers that tell no time. 1751 is the observation of comet 3I/ATLAS from 15 to 22 January 2026
# (TESS Science Support Center, 16 January 2026).
SPECIAL_SECTORS = {1751: 2026.05}  # [year]
LAST_REGULAR = 500  # larger numbers are special ones; sector 100 was in February 2026


def sector_year(sector: float) -> float:
    """Return the middle of a sector [year], good to some weeks.

    Parameters
    ----------
    sector : float
        A special one that is not known here is taken to be of the time of the known one.
    """
    if sector > LAST_REGULAR:
        return SPECIAL_SECTORS.get(int(sector), SPECIAL_SECTORS[1751])
    return FIRST_SECTOR + (sector - 1) * SECTOR_YEARS
