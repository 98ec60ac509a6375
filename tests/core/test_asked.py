"""The CCDs that a configuration asks for."""

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.geometry import CcdId

CONFIG = {"sectors": [14, 3], "cameras": [4], "ccds": [2, 1]}


def test_by_name():
    asked = AskedCcds.from_config(CONFIG)
    assert asked.by_name() == [
        CcdId(*one) for one in ((14, 4, 2), (14, 4, 1), (3, 4, 2), (3, 4, 1))
    ]
    assert CcdId(3, 4, 1, 120) in asked
    assert all(CcdId(*one) not in asked for one in ((4, 4, 1), (3, 3, 1), (3, 4, 3)))


def test_all_sectors():
    asked = AskedCcds.from_config(CONFIG | {"sectors": "all"})
    assert asked.by_name() == []
    found = [CcdId(96, 4, 2), CcdId(5, 4, 1), CcdId(5, 1, 1)]
    assert asked.among(found) == [CcdId(5, 4, 1), CcdId(96, 4, 2)]
