"""Old names of keys: still accepted for one release, with a warning."""

from collections.abc import Iterable, Mapping
from typing import Any

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.settings import Configuration
from tessphot_lib.core.settings_base import Settings, about_keys, is_section


def with_new_names(config: Mapping[str, Any], origin: str) -> tuple[dict[str, Any], list[str]]:
    """Give keys that have been renamed their names of today.

    Parameters
    ----------
    config : mapping
        What a user wrote: some sections, some keys. What does not exist is left as it is.
    origin : str
        Where it stands, for messages: a file, or the command line.

    Returns
    -------
    config : dict
        A new one.
    warnings : list of str
        A line for each old name that was found.

    Raises
    ------
    ConfigError
        If a key is given by both of its names.
    """
    warnings: list[str] = []
    return _renamed(config, Configuration, "", origin, warnings), warnings


def combined(
    sources: Iterable[tuple[str, Mapping[str, Any]]],
) -> tuple[dict[str, Any], list[str]]:
    """Merge configurations, later ones over earlier ones, whatever names their keys have.

    Parameters
    ----------
    sources : iterable of (str, mapping)
        Where each configuration stands, and what it says.

    Returns
    -------
    config : dict
    warnings : list of str
        As of `with_new_names`.

    Raises
    ------
    ConfigError
        If one of them gives a key by both of its names.
    """
    config: dict[str, Any] = {}
    warnings: list[str] = []
    for origin, values in sources:
        renamed, found = with_new_names(values, origin)
        config, warnings = merged(config, renamed), warnings + found
    return config, warnings


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``over``, section by section.

    A section of which only the name is left changes nothing.
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if value is None and isinstance(below, Mapping) and below:
            continue
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged(below, value)
        result[key] = value
    return result


def _renamed(
    values: Mapping[str, Any], kind: type[Settings], above: str, origin: str, warnings: list[str]
) -> dict[str, Any]:
    keys = {key: value_kind for key, value_kind, _ in about_keys(kind)}
    new_name = {one.metadata["was"]: key for key, _, one in about_keys(kind) if one.metadata["was"]}
    result = {}
    for key, value in values.items():
        name = new_name.get(key, key)
        if name != key:
            if name in values:
                raise ConfigError(
                    f"{origin}: {above}{key} is the old name of {above}{name}; both are given"
                )
            warnings.append(
                f"{origin}: {above}{key} is now called {above}{name}; "
                "the old name will not be known to the next release"
            )
        inside = keys.get(name)
        if isinstance(value, Mapping) and is_section(inside):
            value = _renamed(value, inside, f"{above}{name}.", origin, warnings)
        result[name] = value
    return result
