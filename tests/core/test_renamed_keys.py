"""Old names of keys: accepted with a warning, never beside the new one."""

import pytest

from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.renamed_keys import combined, merged, with_new_names
from tessphot_lib.core.settings import Configuration
from tessphot_lib.core.settings_base import about_keys, is_section

RENAMED = {
    "prepare.background.anomaly_limit": "prepare.background.reflection_limit",
    "photometry.psf.place_limit": "photometry.psf.position_limit",
    "photometry.correction.max_trends": "photometry.correction.max_basis_vectors",
    "photometry.auto.halo_edge": "photometry.auto.halo_edge_fraction",
}


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def old_names(kind=Configuration, above=""):
    for key, value_kind, one in about_keys(kind):
        if one.metadata["was"]:
            yield above + one.metadata["was"], above + key
        if is_section(value_kind):
            yield from old_names(value_kind, f"{above}{key}.")


def test_all_old_names():
    assert dict(old_names()) == RENAMED


@pytest.mark.parametrize("old", RENAMED)
def test_old_name_works_with_one_warning(old):
    config, (said,) = with_new_names(nested(old, 3), "mine.yaml")
    assert config == nested(RENAMED[old], 3)
    assert said.startswith(f"mine.yaml: {old} is now called {RENAMED[old]}")


@pytest.mark.parametrize("old", RENAMED)
def test_both_names_are_an_error(old):
    both = merged(nested(old, 3), nested(RENAMED[old], 3))
    with pytest.raises(ConfigError, match=f"^mine.yaml: {old} .* {RENAMED[old]}; both are given$"):
        with_new_names(both, "mine.yaml")


def test_what_has_not_been_renamed_stays():
    given = {"sectors": [3], "prepare": {"anomaly_limit": 1}, "photometry": None, 5: "x"}
    assert with_new_names(given, "x") == (given, [])
    assert with_new_names(default_config(), "x") == (default_config(), [])


def test_later_configurations_go_first_whatever_the_names():
    old, new = "prepare.background.anomaly_limit", "prepare.background.reflection_limit"
    config, warnings = combined(
        [
            ("config.yaml", merged(nested(new, 12.0), {"sectors": [14]})),
            ("mine.yaml", nested(old, 5.0)),
            ("--config", nested(new, 7.0)),
        ]
    )
    assert config == merged(nested(new, 7.0), {"sectors": [14]})
    assert [text.split(":")[0] for text in warnings] == ["mine.yaml"]
    config, _ = combined([("mine.yaml", nested(new, 5.0)), ("--config", nested(old, 7.0))])
    assert config == nested(new, 7.0)


def test_sections_are_merged_key_by_key():
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2]}
    over = {"a": {"c": {"f": 3}}, "e": [3], "g": {"h": 4}}
    assert merged(base, over) == {"a": {"b": 1, "c": {"d": 2, "f": 3}}, "e": [3], "g": {"h": 4}}
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2]}
    assert merged({"a": {"b": 1}}, {"a": None}) == {"a": {"b": 1}}


def test_an_empty_section_changes_nothing():
    """As YAML has it where all keys of a section are comments."""
    config = default_config()
    assert merged(config, {"catalog": None, "input": {"mast": None}}) == config
    assert merged(config, {"input": {"window": None}})["input"]["window"] is None
