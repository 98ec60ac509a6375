"""How settings are declared: frozen dataclasses whose fields know their meaning and their range.

What a field says of itself stands in its metadata. From it come ``config/config.yaml``, the
schema that configurations are checked against and the tables of ``config/README.md``
(`tessphot_lib.core.config_files`), and the old names of renamed keys
(`tessphot_lib.core.renamed_keys`).
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, TypeGuard, get_type_hints

from tessphot_lib.core.errors import ConfigError


def setting(
    default: Any,
    doc: str = "",
    *,
    unit: str = "",
    choices: Mapping[str, str] | None = None,
    was: str | None = None,
    **rules: Any,
) -> Any:
    """Declare one key of the configuration: a field of a `Settings` class.

    Parameters
    ----------
    default : value as YAML has it
    doc : str
        What the key means, in half a line.
    unit : str
    choices : mapping, optional
        The values that a text may have, and what each of them means.
    was : str, optional
        Name that the key had up to the last release; still accepted, with a warning.
    **rules
        What a value must fulfill beyond its type, in words of JSON Schema:
        ``minimum=1``, ``exclusiveMinimum=0``, ``maxItems=4``, ``items={"minimum": 1}``.
    """
    rules = rules if choices is None else {"enum": list(choices)} | rules
    about = {"doc": doc, "unit": unit, "choices": choices or {}, "was": was, "rules": rules}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=about)
    return field(default=default, metadata=about)


def section(kind: type["Settings"], doc: str = "") -> Any:
    """Declare a section of the configuration: a field whose type is a `Settings` class."""
    return field(default_factory=kind, metadata={"doc": doc, "was": None})


@dataclass(frozen=True, slots=True)
class Settings:
    """Base of the sections of the configuration."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from a section of the configuration; keys that are absent get their defaults.

        Raises
        ------
        ConfigError
            If a key is unknown.
        """
        return cls(**cls._attributes(values, "from_mapping"))

    @classmethod
    def from_params(cls, values: Mapping[str, Any]) -> Self:
        """Build from the part of a section that a rule passes to its step.

        The object has only what it was given. Rules name the settings that their
        steps use, so that others re-run nothing; a step that uses another one is
        stopped by an AttributeError instead of measuring with a default.

        Raises
        ------
        ConfigError
            If a key is unknown.
        """
        made = object.__new__(cls)
        for name, value in cls._attributes(values, "from_params").items():
            object.__setattr__(made, name, value)
        return made

    @classmethod
    def _attributes(cls, values: Mapping[str, Any], build: str) -> dict[str, Any]:
        """Values by attribute, sections as objects."""
        known = {key: (one.name, kind) for key, kind, one in about_keys(cls)}
        unknown = sorted(str(key) for key in values if key not in known)
        if unknown:
            raise ConfigError(f"unknown {cls.__name__} keys: {', '.join(unknown)}")
        found = {}
        for key, value in values.items():
            name, kind = known[key]
            found[name] = getattr(kind, build)(value) if is_section(kind) else copy.deepcopy(value)
        return found

    def as_mapping(self) -> dict[str, Any]:
        """Return the section as a mapping: the inverse of `from_mapping` and `from_params`."""
        found = {}
        for key, _, one in about_keys(type(self)):
            if hasattr(self, one.name):
                value = getattr(self, one.name)
                inside = isinstance(value, Settings)
                found[key] = value.as_mapping() if inside else copy.deepcopy(value)
        return found

    def __repr__(self) -> str:
        """Show what the object has, which may be a part of its class's settings."""
        names = [one.name for one in fields(self) if hasattr(self, one.name)]
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({values})"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Explain what an object does not have that its class has."""
            if name in {one.name for one in fields(self)}:
                raise AttributeError(
                    f"{type(self).__name__}.{name} was not given: the params of a rule must name "
                    "each setting that its step uses"
                )
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")


def is_section(kind: Any) -> TypeGuard[type["Settings"]]:
    """Tell a section of keys from the type of a value."""
    return isinstance(kind, type) and issubclass(kind, Settings)


def about_keys(kind: type[Settings]) -> Iterator[tuple[str, Any, "Field[Any]"]]:
    """Yield key, type and dataclass field of each key of a section.

    A key is called like its field; ``from``, which Python reserves, like ``from_``.
    """
    types = get_type_hints(kind)
    for one in fields(kind):
        yield one.name.removesuffix("_"), types[one.name], one


def default_of(one: "Field[Any]") -> Any:
    """Return the default of a field, as YAML has it."""
    if one.default is not MISSING:
        return one.default
    assert one.default_factory is not MISSING
    return one.default_factory()
