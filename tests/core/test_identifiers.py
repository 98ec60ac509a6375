"""Numbers of what has no TIC number."""

import pytest

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.identifiers import MAX_NUMBER, MOVING, TRANSIENT, identifier, object_name


def test_numbers_say_what_and_where():
    assert identifier(TRANSIENT, CcdId(14, 1, 2), 3) == 900141200003
    assert identifier(MOVING, CcdId(102, 4, 3), 99999) == 801024399999
    assert object_name(900141200003) == "Transient 900141200003"
    assert object_name(801024300001) == "Moving object 801024300001"
    assert object_name(261136679) == "TIC 261136679"
    assert object_name(90059266466) == "Star 90059266466"  # not in the TIC


def test_they_are_beyond_all_tic_numbers():
    """TIC numbers have at most 11 digits."""
    assert min(identifier(kind, CcdId(1, 1, 1), 1) for kind in (TRANSIENT, MOVING)) > 99999999999


@pytest.mark.parametrize("number", [0, MAX_NUMBER + 1])
def test_a_number_does_not_run_into_the_ccd(number):
    with pytest.raises(ValueError, match="is not from 1"):
        identifier(TRANSIENT, CcdId(14, 1, 2), number)
