"""What is written from the settings classes: default configuration, schema, tables (make config).

python -m tessphot_lib.core.config_files [folder of the project]
"""

import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator
from dataclasses import Field
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml

import tessphot_lib
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.settings import Configuration
from tessphot_lib.core.settings_base import Settings, about_keys, default_of, is_section

CONFIG, SCHEMA, README = (
    "config/config.yaml",
    "workflow/schemas/config.schema.yaml",
    "config/README.md",
)
CONFIG_HEAD = """\
# Every setting with its default. Copy what you want to change into a file of your own and name
# that with --configfile: keys that it leaves out keep the values below. (A copy that snakedeploy
# made, or the config of a module, is such a file.)
# Relative paths start at the folder of the run. More about each setting: config/README.md.
# (Written by `make config` from tessphot_lib/core/settings.py.)
"""
SCHEMA_HEAD = """\
# What a configuration may hold; checked before any job, by tessphot_lib/core/config_check.py.
# (Written by `make config` from tessphot_lib/core/settings.py.)
"""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
JSON_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
WIDTH = 100  # of a line of config.yaml
TABLE = re.compile(r"(<!-- make config: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def default_config() -> dict[str, Any]:
    """Return the default configuration, as YAML would give it."""
    return Configuration().as_mapping()


def config_schema() -> dict[str, Any]:
    """Return the schema of configurations, in the words of JSON Schema."""
    return {"$schema": DIALECT, **_section_schema(Configuration)}


def config_text() -> str:
    """Write ``config/config.yaml``: each key with its default and its meaning."""
    return "\n".join([CONFIG_HEAD.rstrip(), *_config_lines(Configuration, 0)]) + "\n"


def schema_text() -> str:
    """Write ``workflow/schemas/config.schema.yaml``."""
    body = yaml.safe_dump(config_schema(), sort_keys=False, default_flow_style=None, width=100)
    return SCHEMA_HEAD + body


def readme_text(old: str) -> str:
    """Write the tables of ``config/README.md``; the text between them stays.

    A table stands between ``<!-- make config: name of a section -->`` and ``<!-- end -->``;
    the name ``.`` means the keys outside of sections.

    Raises
    ------
    ConfigError
        If there is no such section.
    """
    return TABLE.sub(lambda found: f"{found[1]}\n{_table_named(found[2])}\n{found[3]}", old)


def meaning(one: "Field[Any]", separator: str = " | ", quote: str = "") -> str:
    """Say what a key means: unit, words, and values with what they stand for."""
    about = one.metadata
    unit = f"[{about['unit']}] " if about.get("unit") else ""
    choices = separator.join(
        f"{quote}{value}{quote}: {words}" if words else f"{quote}{value}{quote}"
        for value, words in about.get("choices", {}).items()
    )
    return unit + ": ".join(filter(None, [about["doc"], choices]))


def write_config_files(project: Path) -> None:
    """Write all three files."""
    readme = project / README
    readme.write_text(readme_text(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (project / CONFIG).write_text(config_text(), encoding="utf-8")
    (project / SCHEMA).write_text(schema_text(), encoding="utf-8")


def _section_schema(kind: type[Settings]) -> dict[str, Any]:
    properties = {
        key: _section_schema(value_kind)
        if is_section(value_kind)
        else _value_schema(value_kind, one)
        for key, value_kind, one in about_keys(kind)
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value_schema(kind: Any, one: "Field[Any]") -> dict[str, Any]:
    """Schema of one value: by the type of the field and the rules in its metadata."""
    rules = dict(one.metadata["rules"])
    if "enum" in rules:
        return rules
    return _with_rules(_type_schema(kind), rules)


def _type_schema(kind: Any) -> dict[str, Any]:
    """Schema of a type: of ``list[int] | None``, for example."""
    if get_origin(kind) in (Union, types.UnionType):
        parts = [_type_schema(part) for part in get_args(kind)]
        names = [part.pop("type") for part in parts]
        return {"type": names} | {key: value for part in parts for key, value in part.items()}
    if get_origin(kind) is list and get_args(kind) != (Any,):
        return {"type": "array", "items": _type_schema(*get_args(kind))}
    return {"type": JSON_TYPES[get_origin(kind) or kind]}


def _with_rules(schema: dict[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """Add rules to the schema of a type; those of ``items`` to that of the items."""
    inside = {"items": _with_rules(schema["items"], rules["items"])} if "items" in rules else {}
    return schema | rules | inside


def _config_lines(kind: type[Settings], depth: int) -> Iterator[str]:
    """Yield the lines of a section of ``config.yaml``."""
    was_section = True
    for key, value_kind, one in about_keys(kind):
        here = is_section(value_kind)
        if depth == 0 and (here or was_section):
            yield ""
        was_section = here
        value = "" if here else f" {_yaml(default_of(one))}"
        yield from _commented(f"{'  ' * depth}{key}:{value}", meaning(one))
        if here:
            yield from _config_lines(value_kind, depth + 1)


def _commented(line: str, words: str) -> Iterator[str]:
    """Write a comment behind a line, above it where that makes it too long."""
    if len(f"{line} # {words}") <= WIDTH:
        yield f"{line} # {words}" if words else line
        return
    indent = " " * (len(line) - len(line.lstrip()))
    yield from textwrap.wrap(
        words, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )
    yield line


def _yaml(value: Any) -> str:
    """One value in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def _table_named(name: str) -> str:
    """Write the table of a section, with the keys of all sections inside."""
    if name == ".":
        return _table(one for one in about_keys(Configuration) if not is_section(one[1]))
    kind: type[Settings] = Configuration
    for part in name.split("."):
        found = {key: value_kind for key, value_kind, _ in about_keys(kind)}.get(part)
        if not is_section(found):
            raise ConfigError(f"{README}: there is no section {name!r} in the settings")
        kind = found
    return _table(_leaves(kind))


def _table(keys: Iterable[tuple[str, Any, "Field[Any]"]]) -> str:
    """Write a table of keys."""
    rows = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for key, value_kind, one in keys:
        default, words = _yaml(default_of(one)), meaning(one, "; ", "`")
        rows.append(f"| `{key}` | `{default}` | {_allowed(value_kind, one)} | {words} |")
    return "\n".join(rows) + "\n"


def _leaves(kind: type[Settings], above: str = "") -> Iterator[tuple[str, Any, "Field[Any]"]]:
    for key, value_kind, one in about_keys(kind):
        if is_section(value_kind):
            yield from _leaves(value_kind, f"{above}{key}.")
        else:
            yield above + key, value_kind, one


def _allowed(kind: Any, one: "Field[Any]") -> str:
    """Say in words which values a key may have."""
    rules = one.metadata["rules"]
    if "enum" in rules:
        return "one of these"
    schema = _value_schema(kind, one)
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    texts = {
        "boolean": "`true`, `false`",
        "integer": f"whole number{_range(rules)}",
        "number": f"number{_range(rules)}",
        "string": "text",
        "array": _list_words(schema),
        "object": "keys",
        "null": "`null`",
    }
    return ", or ".join(texts[name] for name in names)


def _list_words(schema: dict[str, Any]) -> str:
    """Say how many values a list holds, and of what kind."""
    items = schema.get("items", {})
    each = _range(items) if isinstance(items.get("type"), str) else ""
    fewest, most = schema.get("minItems", 0), schema.get("maxItems")
    limits = f"{fewest}" if fewest == most else f"at most {most}"
    count = "" if most is None else f" of {limits}"
    return f"list{count}, each{each}" if each else f"list{count}"


def _range(rules: Any) -> str:
    """Say between which limits a number lies."""
    low, high = rules.get("minimum"), rules.get("maximum")
    if "exclusiveMinimum" in rules:
        above = f" > {rules['exclusiveMinimum']}"
        return above if high is None else f"{above}, at most {high}"
    if low is not None and high is not None:
        return f" {low} to {high}"
    return "" if low is None else f" >= {low}"


if __name__ == "__main__":
    write_config_files(
        Path(sys.argv[1] if sys.argv[1:] else Path(tessphot_lib.__file__).parents[1])
    )
