"""Configurations for the tests of their checks: complete ones, with one key changed."""

import copy

import yaml
from paths import PROJECT

SCHEMA = yaml.safe_load((PROJECT / "workflow" / "schemas" / "config.schema.yaml").read_text())
DEFAULTS = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())
ONE_STAR = "ID,ra,dec,pmRA,pmDEC,Tmag\n7,280.0,35.0,,,10.5\n"  # the shortest list of stars


def without_mistakes(folder):
    """The defaults, with images and stars in a folder."""
    config = copy.deepcopy(DEFAULTS)
    (folder / "tic.ecsv").write_text(ONE_STAR)
    config["input"]["ffi_dir"] = str(folder)
    config["catalog"] |= {"source": "file", "file": str(folder / "tic.ecsv")}
    return config


def put(config, key, value):
    """Set a dotted key."""
    *sections, last = key.split(".")
    for section in sections:
        config = config[section]
    config[last] = value
