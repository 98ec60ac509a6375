"""Cutouts and stars that are on disk: what the options name is there."""

import re

import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.get.folder import CutoutFolder, StarTable


def test_what_is_not_there_is_named_with_its_option(tmp_path):
    path = tmp_path / "nothing.csv"
    with pytest.raises(InputDataError, match=rf"^--stars: .* {re.escape(repr(str(path)))}$"):
        StarTable(path)
    with pytest.raises(InputDataError, match=rf"^--cutouts: .* {re.escape(repr(str(path)))}$"):
        CutoutFolder(path)


def test_a_folder_without_cutouts_says_what_lies_there(tmp_path):
    name = "tess2019198215352-s0014-0000000000000007-0150-s_lc.fits"
    (tmp_path / name).touch()
    with pytest.raises(InputDataError, match=r"\n  there: 1 light curve \(") as refused:
        CutoutFolder(tmp_path)
    assert str(refused.value).startswith(f"--cutouts: no cutout in '{tmp_path}'")
    assert name in str(refused.value)
