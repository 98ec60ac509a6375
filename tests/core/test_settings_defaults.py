"""config.yaml, the dataclasses and the explanations say the same."""

from dataclasses import fields

import pytest
import yaml
from paths import PROJECT

from tessphot_lib.core import settings
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.simulation.settings import SimulationSettings

TEXT = (PROJECT / "config" / "config.yaml").read_text()
DEFAULTS = yaml.safe_load(TEXT)
SECTIONS = {
    "prepare.background": settings.BackgroundSettings,
    "prepare.smoothing": settings.SmoothingSettings,
    "prepare.flags": settings.FlagSettings,
    "prepare.average": settings.AverageSettings,
    "prepare.motion": settings.MotionSettings,
    "prf": settings.PrfSettings,
    "times": settings.TimeSettings,
    "photometry.aperture": settings.ApertureSettings,
    "photometry.linpsf": settings.LinpsfSettings,
    "photometry.psf": settings.PsfSettings,
    "photometry.correction": settings.CorrectionSettings,
    "photometry.halo": settings.HaloSettings,
    "photometry.auto": settings.AutoSettings,
    "simulation": SimulationSettings,
}


def test_every_dataclass_is_compared():
    derived = {*settings.Settings.__subclasses__(), *settings.MethodSettings.__subclasses__()}
    assert derived - {settings.MethodSettings} == set(SECTIONS.values())


def test_the_schema_knows_the_methods():
    schema = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())
    photometry = schema["properties"]["photometry"]["properties"]
    assert photometry["method"]["enum"] == ["auto", *settings.METHODS]
    assert set(settings.METHODS) < set(photometry)


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_are_those_of_the_dataclass(section):
    values = DEFAULTS
    for name in section.split("."):
        values = values[name]
    expected = {field.name: field.default for field in fields(SECTIONS[section])}
    assert values == expected
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in expected.items()
    }


def test_every_key_is_commented():
    keys = [line for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
    for line in keys:
        is_section = line.rstrip().endswith(":")
        assert is_section or " # " in line, line


def test_rejected_bits_are_the_ones_of_the_mission():
    missions = CadenceFlag(DEFAULTS["prepare"]["bad_quality"])
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


def test_every_key_is_explained():
    readme = (PROJECT / "config" / "README.md").read_text()
    names = set()
    for section, values in DEFAULTS.items():
        names.add(section)
        if isinstance(values, dict) and section != "simulation":
            names |= set(values)
            names |= {key for value in values.values() if isinstance(value, dict) for key in value}
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []
