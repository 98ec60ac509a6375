"""Which code made a product: a digest per step, and the version of the whole.

The digest makes the workflow run a step again when the code behind it has
changed, and only then.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any
from uuid import uuid4

import tessphot_lib
from tessphot_lib.core.code_reach import Library
from tessphot_lib.core.code_syntax import syntax_digest

PACKAGE = "tessphot_lib"
ENTRY = "run_"  # what the functions are called that a rule runs
DIGEST_LENGTH = 12  # hexadecimal digits: enough to tell versions apart


def code_digest(module: str, root: Path | None = None) -> str:
    """Digest the code that a step can reach, see `tessphot_lib.core.code_reach`.

    That is what the functions ``run_...`` of its module reach; all of the module if it
    has none. Comments, docstrings and definitions that they cannot reach do not count.

    Parameters
    ----------
    module : str
        Dotted name, such as ``tessphot_lib.steps.backgrounds``.
    root : Path, optional
        The folder that holds ``tessphot_lib``; the one this file is in.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    if root is None and module in _step_digests():
        return _step_digests()[module]
    library = Library(_package_root() if root is None else root, PACKAGE)
    return library.digest(module, ENTRY)[:DIGEST_LENGTH]


def rule_digest(step: str, script: Path) -> str:
    """Digest the code of a step and the script of its rule, which has the same name.

    Parameters
    ----------
    step : str
        Such as ``backgrounds``.
    script : Path
    """
    return f"{code_digest(f'{PACKAGE}.steps.{step}')}-{script_digest(script)}"


@cache
def script_digest(script: Path) -> str:
    """Digest the script of a rule by itself; comments do not count. Twelve hexadecimal digits."""
    return syntax_digest(script.read_bytes())[:DIGEST_LENGTH]


def code_behind(module: str) -> set[str]:
    """Name what `code_digest` digests: ``module:name`` of all that a step can reach."""
    return Library(_package_root(), PACKAGE).reached(module, ENTRY)


@cache
def software_version() -> str:
    """Name the version of this software: the release, and the commit where git knows it."""
    if (_package_root() / ".git").exists():
        try:
            commit = subprocess.run(
                ["git", "describe", "--always", "--dirty", "--exclude=*"],
                cwd=_package_root(),
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return tessphot_lib.__version__
        return f"{tessphot_lib.__version__}+g{commit}"
    return tessphot_lib.__version__


def provenance(settings: Mapping[str, Any], inputs: Iterable[Path] = ()) -> dict[str, str]:
    """What each product records of its making: software, settings and inputs, these as JSON.

    Parameters
    ----------
    settings : mapping
        The sections of the configuration that the step was given.
    inputs : iterable of Path
        The files that it was made from, but for those that a table of the product lists
        anyway; their names are kept, not their folders.

    Returns
    -------
    dict
        ``software``, ``settings`` and ``inputs``; the same for the same code and settings.
    """
    return {
        "software": f"tessphot {software_version()}",
        "settings": json.dumps(settings, sort_keys=True, default=str),
        "inputs": json.dumps([path.name for path in inputs]),
    }


def _package_root() -> Path:
    """The folder that holds this package."""
    return Path(tessphot_lib.__file__).parent.parent


@cache
def _step_digests() -> dict[str, str]:
    """Digests of all steps, by their modules.

    Kept beside the compiled modules, for each job on a cluster asks for them.
    """
    library = Library(_package_root(), PACKAGE)
    sources = library.sources_digest()
    path = Path(cache_from_source(__file__)).with_name("step_digests.json")
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text())
        if kept["sources"] == sources:
            return kept["digests"]
    steps = [name for name in library.modules() if name.startswith(f"{PACKAGE}.steps.")]
    digests = {step: library.digest(step, ENTRY)[:DIGEST_LENGTH] for step in steps}
    partial = path.with_name(f"{path.name}.{uuid4().hex}")  # others may write it now, too
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"sources": sources, "digests": digests}))
        partial.replace(path)
    return digests
