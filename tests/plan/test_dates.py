"""Files that are dated in the future."""

import os
import time

import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.plan.dates import refuse_future


@pytest.fixture
def dated(tmp_path):
    """Function that makes a file of some seconds from now; returns its path."""

    def make(name, seconds):
        path = tmp_path / name
        path.touch()
        os.utime(path, (time.time(), time.time() + seconds))
        return str(path)

    return make


def test_files_of_the_past_and_missing_ones_are_fine(dated, tmp_path):
    refuse_future([dated("a", -9e6), dated("b", 0.0), str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(30, "30 s"), (300, "5 min"), (3 * 3600 + 5, "3.0 h"), (86400 * 400 + 60, "400.0 d")],
)
def test_files_of_the_future_are_named(dated, seconds, said):
    paths = [dated("old", -9.0), dated("new", seconds), dated("newer", 0.5 * seconds)]
    with pytest.raises(
        InputDataError, match=rf"/new: dated {said} in the future .*, as is 1 other file;"
    ):
        refuse_future(paths)
