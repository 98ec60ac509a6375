"""Which jobs are decided on as if others did not make files for them."""

from types import SimpleNamespace

from tessphot_lib.plan.ancient import WithoutAncient

OLD, NEW = SimpleNamespace(is_ancient=True), SimpleNamespace(is_ancient=False)


def test_jobs_behind_ancient_files_only_are_left_out():
    depending = {"table": {"block": [OLD], "catalog": [OLD, NEW], "spacecraft": [NEW]}}
    assert set(WithoutAncient(depending)["table"]) == {"catalog", "spacecraft"}
