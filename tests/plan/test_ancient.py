"""Which versions of Snakemake need help with ancient files, and which jobs are passed over."""

from types import SimpleNamespace

import pytest

from tessphot_lib.plan import ancient
from tessphot_lib.plan.ancient import WithoutAncient, is_needed

OLD, NEW = SimpleNamespace(is_ancient=True), SimpleNamespace(is_ancient=False)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("9.10.0", True), ("9.27.1", True), ("9.28.0", False), ("10.0.0", False), ("9.30+x", False)],
)
def test_version_decides(monkeypatch, version, expected):
    monkeypatch.setattr(ancient, "MENDED_IN", (9, 28))
    assert is_needed(version) is expected


def test_jobs_behind_ancient_files_only_are_left_out():
    depending = {"table": {"block": [OLD], "catalog": [OLD, NEW], "spacecraft": [NEW]}}
    assert set(WithoutAncient(depending)["table"]) == {"catalog", "spacecraft"}
