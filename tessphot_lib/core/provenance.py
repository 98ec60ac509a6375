"""Which code made a product: a digest per module, and the version of the whole.

The digest makes the workflow run a step again when the code behind it has
changed, and only then.
"""

import ast
import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import tessphot_lib

PACKAGE = "tessphot_lib"
FOLDER_PATTERN = re.compile(rf"{PACKAGE}(\.\w+)+\.\*")  # modules that are imported by name
DIGEST_LENGTH = 12  # hexadecimal digits: enough to tell versions apart


def code_digest(module: str, root: Path | None = None) -> str:
    """Digest the sources of a module and of all it imports inside this package.

    Imports inside functions count too; comments count as code. A text like
    ``"tessphot_lib.photometry.*"`` counts as the import of all modules of that folder.

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
    root = _package_root() if root is None else root
    digest = hashlib.sha256()
    for name in modules_behind(module, root):
        digest.update(f"{name} {_source(name, root)[0]}\n".encode())
    return digest.hexdigest()[:DIGEST_LENGTH]


def modules_behind(module: str, root: Path | None = None) -> list[str]:
    """List a module and all it imports inside this package, directly or not, sorted.

    ``__init__`` modules are left out: they hold no code that a product depends on.
    """
    root = _package_root() if root is None else root
    return list(_modules_behind(module, root))


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


@lru_cache
def _modules_behind(module: str, root: Path) -> tuple[str, ...]:
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in reached or _module_path(name, root) is None:
            continue
        reached.add(name)
        waiting.extend(_source(name, root)[1])
    return tuple(sorted(reached))


@lru_cache
def _source(module: str, root: Path) -> tuple[str, tuple[str, ...]]:
    """Digest of the source of one module, and names it imports that may be modules of ours."""
    source = _module_path(module, root).read_bytes()
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and FOLDER_PATTERN.fullmatch(str(node.value)):
            names += _modules_in(node.value.removesuffix(".*"), root)
    ours = tuple(name for name in names if name.startswith(f"{PACKAGE}."))
    return hashlib.sha256(source).hexdigest(), ours


def _modules_in(package: str, root: Path) -> list[str]:
    """Names of the modules in a folder, sorted."""
    folder = root.joinpath(*package.split("."))
    names = sorted(path.stem for path in folder.glob("*.py"))
    return [f"{package}.{name}" for name in names if name != "__init__"]


def _module_path(module: str, root: Path) -> Path | None:
    """Source file of a module; None for packages and for names that are no module."""
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.is_file() else None
