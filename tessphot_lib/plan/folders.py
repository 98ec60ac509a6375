"""The folder of a run: the current one, ``--directory``, or ``$TESSPHOT_OUTPUT``.

Where the results go to ``$TESSPHOT_OUTPUT``, relative paths in the configuration are still
meant from the current folder: this makes them absolute before the folder changes.
"""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.plan.sources import DEFAULT_FFI_DIR, INPUT_VARIABLE

OUTPUT_VARIABLE = "TESSPHOT_OUTPUT"  # folder of the run, unless --directory names one
PATHS = (  # keys that name a file or folder; todo.exclude and todo.methods where they are texts
    ("input", "ffi_dir"),
    ("input", "cutout_dir"),
    ("input", "tpf_dir"),
    ("catalog", "file"),
    ("catalog", "cache"),
    ("prf", "folder"),
    ("times", "ephemeris"),
    ("moving", "ephemerides"),
    ("todo", "exclude"),
    ("todo", "methods"),
)


def output_folder(directory: str | Path | None) -> Path | None:
    """Return where the run is to be, if not where it would be anyway.

    Parameters
    ----------
    directory : str, Path or None
        What ``--directory`` says, which comes first.
    """
    named = os.environ.get(OUTPUT_VARIABLE)
    return Path(named).expanduser().absolute() if named and directory is None else None


def with_paths_from(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration whose relative paths are meant from ``folder``, as absolute ones.

    The folder of the images is written out even where the configuration leaves it to
    ``$TESSPHOT_INPUT`` or the default. The mapping given is not changed.
    """
    result = copy.deepcopy(dict(config))
    if not result["input"]["ffi_dir"]:
        result["input"]["ffi_dir"] = os.environ.get(INPUT_VARIABLE) or DEFAULT_FFI_DIR
    for section, key in PATHS:
        named = result[section][key]
        if isinstance(named, str) and named:
            result[section][key] = str(folder / Path(named).expanduser())
    return result
