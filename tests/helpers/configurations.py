"""Configurations for the tests of their checks: complete ones, with one key changed."""

import copy

import yaml
from paths import PROJECT

SCHEMA = yaml.safe_load((PROJECT / "workflow" / "schemas" / "config.schema.yaml").read_text())
DEFAULTS = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())


def without_mistakes(folder):
    """The defaults, with images and stars in a folder."""
    config = copy.deepcopy(DEFAULTS)
    (folder / "tic.ecsv").touch()
    config["input"]["ffi_dir"] = str(folder)
    config["catalog"] |= {"source": "file", "file": str(folder / "tic.ecsv")}
    return config


def put(config, key, value):
    """Set a dotted key."""
    *sections, last = key.split(".")
    for section in sections:
        config = config[section]
    config[last] = value
