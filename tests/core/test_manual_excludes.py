"""The excludes that are known by hand, against the published numbers."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.manual_excludes import excluded_columns, is_excluded

COLUMNS = np.arange(2048)
# Cadence 4697: uncorrected mid-time [BTJD]; one per 1800 s.
FIRST_MIDDLE = 0.5 * (1325.317007851970 + 1325.337841177751) - 3.9072474e-3


def cadence_at(middle, barycorr):
    return 4697 + round((middle - barycorr - FIRST_MIDDLE) * 48)


@pytest.mark.parametrize(("cadenceno", "is_out"), [(4697, True), (4724, True), (4725, False)])
def test_mars(cadenceno, is_out):
    out = excluded_columns(CcdId(1, 1, 4), cadenceno, COLUMNS)
    assert np.flatnonzero(out).tolist() == (list(range(1536, 2048)) if is_out else [])
    assert not is_excluded(CcdId(1, 1, 4), cadenceno)


def test_mars_leaves_by_the_time_that_is_known():
    """The last image is the last one that begins before TSTART 1325.8813."""
    starts = 1325.317007851970 + (np.array([4724, 4725]) - 4697) / 48
    assert starts[0] < 1325.8813 < starts[1]


@pytest.mark.parametrize("ccd_id", [CcdId(1, 1, 3), CcdId(1, 2, 4), CcdId(2, 1, 4)])
def test_mars_is_on_one_ccd(ccd_id):
    assert not excluded_columns(ccd_id, 4700, COLUMNS).any()


@pytest.mark.parametrize("sector", [5, 6])
@pytest.mark.parametrize("ccd", [1, 2, 3, 4])
def test_earthshine(sector, ccd):
    ccd_id = CcdId(sector, 1, ccd)
    out = [number for number in range(11340, 11380) if is_excluded(ccd_id, number)]
    assert out == list(range(11354, 11367))
    assert not excluded_columns(ccd_id, 11360, COLUMNS).any()


def test_earthshine_is_at_the_times_that_are_known():
    barycorr = 0.0048  # [d] of camera 1 at the end of sector 5, to some minutes
    assert cadence_at(1464.0158778, barycorr) == 11354
    assert cadence_at(1464.265871, barycorr) == 11366


def test_earthshine_is_in_one_camera():
    assert not is_excluded(CcdId(5, 2, 1), 11360)
    assert not is_excluded(CcdId(7, 1, 1), 11360)


def test_columns_of_a_window():
    out = excluded_columns(CcdId(1, 1, 4), 4700, np.arange(1530, 1540))
    assert out.tolist() == [False] * 6 + [True] * 4
