"""Mistakes in a configuration: each gives one line that names key, value and what is allowed."""

import copy

import pytest
import yaml
from configurations import DEFAULTS, SCHEMA, put, without_mistakes
from paths import PROJECT

from tessphot_lib.core.config_check import (
    check_fits,
    known_keys,
    read_values,
    schema_problems,
)
from tessphot_lib.core.errors import ConfigError


@pytest.fixture
def config(tmp_path):
    """A configuration without mistakes."""
    return without_mistakes(tmp_path)


def problems(config):
    return schema_problems(config, SCHEMA)


def test_configuration_without_mistakes(config):
    before = copy.deepcopy(config)
    assert problems(config) == []
    assert config == before


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("cameras", [1, 5], "cameras[1]: 5 must be at most 4"),
        ("cameras", 1, "cameras: 1 must be a list"),
        ("ccds", [], "ccds: [] must have at least 1 value"),
        ("ccds", [2, 2], "ccds: [2, 2] must not name anything twice"),
        ("sectors", [14.0], "sectors[0]: 14.0 must be a whole number"),
        ("sectors", [True], "sectors[0]: true must be a whole number"),
        ("input", None, "input: null must be a section of keys"),
        ("input.sauce", "ffi", "input.sauce: unknown key; did you mean input.source?"),
        ("window", [0, 9, 0, 9], "window: unknown key; did you mean input.window?"),
        ("todo.x", 1, "todo.x: unknown key; known in todo: faint_limit, exclude, methods"),
        (14, 1, None),
        ("input.source", "fits", "must be one of ffi, simulated, tesscut, mast"),
        ("input.cutouts.targets", [0], "input.cutouts.targets[0]: 0 must be at least 1"),
        ("input.cutouts.targets", [[1.0]], "input.cutouts.targets[0]: [1.0] must have at least 2"),
        ("input.cutouts.size", 100, "input.cutouts.size: 100 must be at most 99"),
        ("input.mast.from", "aws", "input.mast.from: 'aws' must be one of cloud, https"),
        ("input.mast.time_range", [1684], "input.mast.time_range: [1684] must have at least 2"),
        ("input.mast.connections", 64, "input.mast.connections: 64 must be at most 16"),
        ("input.mast.servers.mast", "mast.stsci.edu", "must be an address like https://mast.st"),
        ("catalog.source", "gaia", "must be one of file, simulated, mast, vizier"),
        ("catalog.footprint", "sky", "catalog.footprint: 'sky' must be one of image, pointing"),
        ("catalog.cache", "", "catalog.cache: '' must not be empty"),
        ("input.window", [1, 2, 3], "input.window: [1, 2, 3] must have at least 4 values"),
        ("input.ffi_dir", "", "input.ffi_dir: '' must not be empty"),
        ("catalog.buffer", "wide", "catalog.buffer: 'wide' must be a number"),
        ("catalog.buffer", float("inf"), "catalog.buffer: inf must be a number"),
        ("prepare.block_size", 0, "prepare.block_size: 0 must be at least 1"),
        ("photometry.tiles", [0, 8], "photometry.tiles[0]: 0 must be at least 1"),
        ("targets.tic_ids", [0], "targets.tic_ids[0]: 0 must be at least 1"),
        ("simulation.n_images", 0, "simulation.n_images: 0 must be at least 1"),
        ("simulation.motion_rms", -0.1, "simulation.motion_rms: -0.1 must be at least 0"),
        ("simulation.cadence_seconds", 33, "cadence_seconds: 33 must be a multiple of 20"),
        ("simulation.cadence_seconds", 158.4, "cadence_seconds: 158.4 must be a multiple of 20"),
        ("simulation.reflection_center", [3.0], "reflection_center: [3.0] must have at least 2"),
        ("simulation.sead", 2, "simulation.sead: unknown key; did you mean simulation.seed?"),
        ("output.origin", "{x}", "output.origin: '{x}' must not hold braces"),
    ],
)
def test_mistake_is_one_line(config, key, value, line):
    if isinstance(key, int):
        config[key] = value
        line = f"{key}: unknown key"
    else:
        put(config, key, value)
    (said,) = problems(config)
    assert line in said


def test_all_mistakes_are_told_at_once(config):
    put(config, "cameras", [0])
    put(config, "prepare.background.boxsize", 12)
    put(config, "todo.faint_limit", "bright")
    assert problems(config) == [
        "cameras[0]: 0 must be at least 1",
        "prepare.background.boxsize: unknown key; did you mean prepare.background.box_size?",
        "todo.faint_limit: 'bright' must be a number",
    ]


@pytest.mark.parametrize(
    ("method", "listed", "is_refused"),
    [
        ("aperture", set(), False),
        ("halo", {"aperture", "halo"}, False),
        ("aperture", {"halo", "psf"}, True),
        ("aperture", {"linpsf"}, True),
        ("linpsf", set(), True),
        ("psf", set(), True),
        ("auto", {"aperture"}, True),
    ],
)
def test_stars_that_may_be_fitted_must_be_free(config, method, listed, is_refused):
    config["photometry"]["method"] = method
    config["photometry"]["linpsf"]["free_limit"] = 15.0  # as todo.faint_limit
    check_fits(config, listed)
    config["photometry"]["linpsf"]["free_limit"] = 14.9
    if not is_refused:
        check_fits(config, listed)
        return
    with pytest.raises(ConfigError, match=r"free_limit: 14\.9 is brighter than .*limit, 15\.0:"):
        check_fits(config, listed)


def test_texts_of_the_command_line_become_values():
    said = {
        "targets": {"tic_ids": ["1234", "99"]},
        "cameras": ["1"],
        "input": {"window": ["0", "9", "0", "9"], "ffi_dir": "null", "keep_ffis": "false"},
        "output": {"origin": "12"},
        "todo": {"faint_limit": "bright"},
        "unknown": "1",
    }
    before = copy.deepcopy(said)
    assert read_values(said, SCHEMA) == {
        "targets": {"tic_ids": [1234, 99]},
        "cameras": [1],
        "input": {"window": [0, 9, 0, 9], "ffi_dir": None, "keep_ffis": False},
        "output": {"origin": "12"},
        "todo": {"faint_limit": "bright"},
        "unknown": "1",
    }
    assert said == before


@pytest.mark.parametrize("name", ["demo", "mast", "sector14", "tesscut"])
def test_shipped_configurations_fit_the_schema(name):
    user = yaml.safe_load((PROJECT / "config" / f"{name}.yaml").read_text())
    assert schema_problems(user, SCHEMA) == []


def test_every_key_has_a_default_and_is_known():
    def keys(section, above=""):
        for name, value in section.items():
            yield above + name
            if isinstance(value, dict):
                yield from keys(value, f"{above}{name}.")

    assert sorted(keys(DEFAULTS)) == sorted(known_keys(SCHEMA))
