"""When sectors were observed."""

import pytest

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.sectors import sector_year


@pytest.mark.parametrize(
    ("sector", "year"),
    [(1, 2018.60), (27, 2020.54), (56, 2022.71), (99, 2025.95), (1751, 2026.05), (9999, 2026.05)],
)
def test_middle_of_a_sector(sector, year):
    assert sector_year(sector) == pytest.approx(year, abs=0.07)


@pytest.mark.parametrize("sector", [-1, 0, 10_000])
def test_sectors_that_no_file_can_be_named_of(sector):
    with pytest.raises(ConfigError, match=rf"no such CCD: sector {sector}, camera 1, CCD 2"):
        CcdId(sector, 1, 2)
