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
