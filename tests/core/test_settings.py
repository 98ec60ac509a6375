"""The settings classes, and what is written from them."""

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest
import yaml
from paths import PROJECT

from tessphot_lib.core import config_files
from tessphot_lib.core.config_check import known_keys, schema_problems
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.settings import (
    METHODS,
    Configuration,
    HaloSettings,
    MastSettings,
    PhotometrySettings,
    PrepareSettings,
    SmoothingSettings,
)
from tessphot_lib.core.settings_base import Settings, about_keys, is_section, section, setting

CONFIG = (PROJECT / config_files.CONFIG).read_text()
README = (PROJECT / config_files.README).read_text()


@dataclass(frozen=True, slots=True)
class InnerSettings(Settings):
    from_: str = setting("here", "where from", choices={"here": "near", "there": ""})
    limits: list[float] | None = setting(None, "two", unit="d", minItems=2, maxItems=2)


@dataclass(frozen=True, slots=True)
class OuterSettings(Settings):
    size: int = setting(7, "how large", unit="pixels", minimum=3, maximum=99)
    names: list[int] = setting([2, 1], items={"exclusiveMinimum": 0}, uniqueItems=True)
    inner: InnerSettings = section(InnerSettings, "what is inside")


def sections(kind=Configuration):
    yield kind
    for _, value_kind, _ in about_keys(kind):
        if is_section(value_kind):
            yield from sections(value_kind)


def leaves(kind=Configuration, above=""):
    for key, value_kind, one in about_keys(kind):
        if is_section(value_kind):
            yield from leaves(value_kind, f"{above}{key}.")
        else:
            yield above + key, one


def test_files_are_those_of_the_classes():
    """After a change of the settings: make config."""
    assert config_files.config_text() == CONFIG
    assert config_files.schema_text() == (PROJECT / config_files.SCHEMA).read_text()
    assert config_files.readme_text(README) == README


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("CONFIG", "block_size: 64", "block_size: 32"),
        ("SCHEMA", "maximum: 4096", "maximum: 8192"),
        ("README", "| `64` | whole number 1 to 4096", "| `32` | whole number"),
    ],
)
def test_what_was_edited_by_hand_is_written_again(name, old, new, tmp_path):
    for path in (config_files.CONFIG, config_files.SCHEMA, config_files.README):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((PROJECT / path).read_text())
    edited = tmp_path / getattr(config_files, name)
    text = edited.read_text()
    edited.write_text(text.replace(old, new))
    assert edited.read_text() != text
    config_files.write_config_files(tmp_path)
    assert edited.read_text() == text


def test_defaults_are_valid():
    schema = yaml.safe_load(config_files.schema_text())
    defaults = yaml.safe_load(config_files.config_text())
    assert schema_problems(defaults, schema) == []
    assert defaults == config_files.default_config()
    assert Configuration.from_mapping(defaults) == Configuration()
    assert Configuration.from_params(defaults) == Configuration()
    assert list(known_keys(schema)) == list(known_keys(config_files.config_schema()))


def test_types_of_the_defaults():
    for key, one in leaves():
        expected = {"int": int, "float": float, "bool": bool, "str": str}.get(
            getattr(one.type, "__name__", "")
        )
        value = Configuration().as_mapping()
        for part in key.split("."):
            value = value[part]
        assert expected is None or type(value) is expected, key


def test_every_setting_is_explained_in_a_line():
    for key, one in leaves():
        assert config_files.meaning(one), key
    assert [line for line in CONFIG.splitlines() if len(line) > 100] == []


def test_every_setting_has_a_row():
    rows = [line.split("`")[1] for line in README.splitlines() if line.startswith("| `")]
    for key, _ in leaves():
        assert key.split(".", 1)[-1] in rows, key


def test_prose_of_the_explanations_is_not_wide():
    prose = [line for line in README.splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 100] == []


def test_lines_of_the_configuration():
    assert list(config_files._config_lines(OuterSettings, 1)) == [
        "  size: 7 # [pixels] how large",
        "  names: [2, 1]",
        "  inner: # what is inside",
        "    from: here # where from: here: near | there",
        "    limits: null # [d] two",
    ]


def test_comment_that_is_too_long_stands_above():
    words = "word " * 30
    above, more, line = config_files._commented("  key: 1", words.strip())
    assert above.startswith("  # word word")
    assert more.startswith("  # word")
    assert len(above) <= 100
    assert line == "  key: 1"


def test_schema_of_a_class():
    assert config_files._section_schema(OuterSettings) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "size": {"type": "integer", "minimum": 3, "maximum": 99},
            "names": {
                "type": "array",
                "items": {"type": "integer", "exclusiveMinimum": 0},
                "uniqueItems": True,
            },
            "inner": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "from": {"enum": ["here", "there"]},
                    "limits": {
                        "type": ["array", "null"],
                        "items": {"type": "number"},
                        "minItems": 2,
                        "maxItems": 2,
                    },
                },
            },
        },
    }


def test_table_of_a_class():
    assert config_files._table(config_files._leaves(OuterSettings)).splitlines()[2:] == [
        "| `size` | `7` | whole number 3 to 99 | [pixels] how large |",
        "| `names` | `[2, 1]` | list, each > 0 |  |",
        "| `inner.from` | `here` | one of these | where from: `here`: near; `there` |",
        "| `inner.limits` | `null` | list of 2, or `null` | [d] two |",
    ]


def test_table_of_a_section_that_does_not_exist():
    text = "a\n<!-- make config: input.mats -->\n<!-- end -->\n"
    with pytest.raises(ConfigError, match=r"README\.md: there is no section 'input\.mats'"):
        config_files.readme_text(text)


def test_mapping_and_back():
    made = OuterSettings.from_mapping({"inner": {"from": "there", "limits": [1, 2.5]}})
    assert made == OuterSettings(inner=InnerSettings(from_="there", limits=[1, 2.5]))
    assert made.as_mapping() == {
        "size": 7,
        "names": [2, 1],
        "inner": {"from": "there", "limits": [1, 2.5]},
    }


def test_settings_are_not_shared():
    given = {"names": [4]}
    made = OuterSettings.from_mapping(given)
    given["names"].append(5)
    made.as_mapping()["names"].append(6)
    assert made.names == [4]
    OuterSettings().names.append(3)
    assert OuterSettings().names == [2, 1]
    with pytest.raises(FrozenInstanceError):
        made.size = 3


@pytest.mark.parametrize("build", ["from_mapping", "from_params"])
def test_unknown_keys_are_refused(build):
    with pytest.raises(ConfigError, match=r"^unknown InnerSettings keys: form, to$"):
        getattr(OuterSettings, build)({"inner": {"to": 1, "form": 2, "from": "here"}})


def test_a_step_has_only_what_its_rule_passes():
    params = {"bad_quality": 4, "background": {"box_size": 32}}
    made = PrepareSettings.from_params(params)
    assert made.bad_quality == 4
    assert made.background.box_size == 32
    assert made.as_mapping() == params
    assert not hasattr(made, "smoothing")
    with pytest.raises(AttributeError, match=r"^PrepareSettings\.smoothing was not given: the par"):
        _ = made.smoothing
    with pytest.raises(AttributeError, match=r"^BackgroundSettings\.mask_radius_scale was not g"):
        _ = made.background.mask_radius_scale
    with pytest.raises(AttributeError, match=r"^PrepareSettings has no setting 'smooting'"):
        _ = made.smooting


def test_part_of_a_section_by_replace():
    made = replace(PrepareSettings(), smoothing=SmoothingSettings(hours=0.0))
    assert made.smoothing.hours == 0
    assert made.motion == PrepareSettings().motion


def test_key_that_python_reserves():
    assert MastSettings.from_mapping({"from": "https"}).from_ == "https"
    assert MastSettings().as_mapping()["from"] == "cloud"


def test_each_method_has_its_section():
    found = {key: kind for key, kind, _ in about_keys(PhotometrySettings) if is_section(kind)}
    assert found.items() >= METHODS.items()
    assert METHODS["halo"] is HaloSettings
    schema = config_files.config_schema()["properties"]["photometry"]["properties"]
    assert schema["method"]["enum"] == ["auto", *METHODS]
    assert all(kind.summary for kind in METHODS.values())


def test_sections_say_where_they_stand():
    for kind in set(sections()) - {Configuration}:
        assert kind.__doc__.startswith("``"), kind


def test_rejected_bits_are_the_ones_of_the_mission():
    missions = CadenceFlag(PrepareSettings().bad_quality)
    assert missions == (
        CadenceFlag.ATTITUDE_TWEAK
        | CadenceFlag.SAFE_MODE
        | CadenceFlag.COARSE_POINT
        | CadenceFlag.EARTH_POINT
        | CadenceFlag.MOMENTUM_DUMP
        | CadenceFlag.COSMIC_RAY_APERTURE
        | CadenceFlag.MANUAL_EXCLUDE
        | CadenceFlag.SCATTERED_LIGHT
    )


def test_settings_are_values_only():
    """Methods would not be in the digest of a step, which only gets the values."""
    for kind in {*sections(), *METHODS.values()}:
        own = {name for name, value in vars(kind).items() if callable(value)}
        assert {name for name in own if not name.startswith("__")} == set(), kind
        assert not any(isinstance(value, property) for value in vars(kind).values()), kind


def test_a_part_of_a_section_shows_what_it_has():
    part = PrepareSettings.from_params({"bad_quality": 5, "smoothing": {"hours": 2.0}})
    assert repr(part) == "PrepareSettings(bad_quality=5, smoothing=SmoothingSettings(hours=2.0))"
