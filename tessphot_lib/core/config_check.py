"""Check of the configuration by its schema: keys known, values possible.

All that is wrong is reported at once, one line each. What the values say of each
other, and of files on the disk, is checked by `tessphot_lib.plan.checks`.
"""

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, cast

import jsonschema
import yaml

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.settings import FITTING_METHODS, FREE_LIMIT

FITTING = {"auto", *FITTING_METHODS}  # values of photometry.method by which stars may be fitted
TYPE_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section of keys",
    "null": "null",
}


def follow_other_settings(config: dict[str, Any]) -> None:
    """Fill in settings that are null, and follow from others; in the mapping itself.

    ``photometry.linpsf.free_limit`` is never brighter than the stars to be measured.
    """
    try:
        linpsf, faint_limit = config["photometry"]["linpsf"], config["todo"]["faint_limit"]
        if linpsf["free_limit"] is None:
            linpsf["free_limit"] = max(FREE_LIMIT, float(faint_limit))
    except (KeyError, TypeError, ValueError):
        return  # a mistake that `schema_problems` names


def check_fits(config: Mapping[str, Any], listed: Collection[str]) -> None:
    """Check that stars that may be fitted are free in the fits.

    Parameters
    ----------
    config : mapping
        Complete, without problems of the schema.
    listed : collection of str
        Methods that ``todo.methods`` names, whatever file it stands in.

    Raises
    ------
    ConfigError
        If ``photometry.linpsf.free_limit`` is brighter than ``todo.faint_limit``.
    """
    free_limit = config["photometry"]["linpsf"]["free_limit"]
    faint_limit = config["todo"]["faint_limit"]
    if {config["photometry"]["method"], *listed} & FITTING and free_limit < faint_limit:
        problem = (
            f"photometry.linpsf.free_limit: {free_limit} is brighter than todo.faint_limit, "
            f"{faint_limit}: fainter stars are not fitted"
        )
        raise refusal([problem])


def read_values(config: Any, schema: Mapping[str, Any], root: Mapping | None = None) -> Any:
    """Turn texts into the numbers, lists and so on that the schema asks for.

    Snakemake's ``--config 'targets={tic_ids: [123]}'`` gives texts inside of
    sections and lists. What cannot be turned is left for `schema_problems`.

    Returns
    -------
    Same kind as ``config``
        A new one; the one given is not changed.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if isinstance(config, Mapping):
        parts = schema.get("properties", {})
        return {key: read_values(value, parts.get(key, {}), root) for key, value in config.items()}
    if isinstance(config, list):
        return [read_values(value, schema.get("items", {}), root) for value in config]
    types = schema.get("type", "string")
    types = [types] if isinstance(types, str) else types
    if isinstance(config, str) and "string" in types and "null" in types and config == "null":
        return None
    if isinstance(config, str) and "string" not in types:
        try:
            return yaml.safe_load(config)
        except yaml.YAMLError:
            return config
    return config


def schema_problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Compare with the schema; return one line per problem, in order of the keys."""
    known = list(known_keys(schema))
    problems = []
    for error in _validator(schema).iter_errors(config):
        problems += _explain(error, known)
    return sorted(set(problems))


def known_keys(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the dotted paths of all keys of a schema, sections included."""
    for name, part in schema.get("properties", {}).items():
        yield above + name
        yield from known_keys(part, f"{above}{name}.")


def refusal(problems: list[str]) -> ConfigError:
    """Error that tells all problems, a line each."""
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    return ConfigError("\n".join([f"{count} in the configuration:", *problems]))


def _validator(schema: Mapping[str, Any]) -> jsonschema.protocols.Validator:
    """Build a validator for which 14.0 is no whole number and infinity no number."""
    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
            ),
        }
    )
    return jsonschema.validators.extend(base, type_checker=types)(schema)


def _explain(error: jsonschema.ValidationError, known: list[str]) -> list[str]:
    """Turn an error of jsonschema into lines that name key, value and what is allowed."""
    key = _dotted(error.absolute_path)
    value: Any = error.instance
    rule, limit, schema = cast(Any, (error.validator, error.validator_value, error.schema))
    if rule == "additionalProperties":
        names = list(schema["properties"])
        unknown = [str(name) for name in value if name not in names]
        return [_unknown_key(key, name, names, known) for name in unknown]
    if rule == "required":
        return [f"{_join(key, name)}: is missing" for name in limit if name not in value]
    texts: dict[str, Callable[[], str]] = {
        "type": lambda: f"must be {_either(limit)}{_as_list(value, limit)}",
        "enum": lambda: f"must be one of {', '.join(map(str, limit))}",
        "minimum": lambda: f"must be at least {limit}",
        "maximum": lambda: f"must be at most {limit}",
        "exclusiveMinimum": lambda: f"must be greater than {limit}",
        "exclusiveMaximum": lambda: f"must be less than {limit}",
        "minItems": lambda: f"must have at least {counted(limit, 'value')}",
        "multipleOf": lambda: f"must be a multiple of {limit}",
        "maxItems": lambda: f"must have at most {limit} values",
        "uniqueItems": lambda: "must not name anything twice",
        "minLength": lambda: "must not be empty",
        "pattern": lambda: schema.get("$comment", f"must match {limit}"),
    }
    text = texts[rule]() if rule in texts else error.message
    return [f"{key}: {_show(value)} {text}"]


def _unknown_key(section: str, name: str, names: list[str], known: list[str]) -> str:
    """Explain a key that does not exist, and guess which was meant."""
    elsewhere = [key for key in known if key.rsplit(".", 1)[-1] == name]
    similar = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if similar:
        hint = f"did you mean {_join(section, similar[0])}?"
    elif elsewhere:
        several = "one of " if len(elsewhere) > 1 else ""
        hint = f"did you mean {several}{', '.join(elsewhere)}?"
    else:
        where = f"in {section}" if section else "at the top"
        hint = f"known {where}: {', '.join(names)}"
    return f"{_join(section, name)}: unknown key; {hint}"


def _dotted(path: Any) -> str:
    """Write the place of a value: ``cameras[1]``, ``input.source``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _join(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


def _show(value: Any) -> str:
    """Write a value as a user would; long ones are cut."""
    text = {None: "null", True: "true", False: "false"}.get(value) if _plain(value) else None
    text = repr(value) if text is None else text
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _either(types: str | list[str]) -> str:
    """Name one or several JSON types in words."""
    return " or ".join(TYPE_NAMES[name] for name in ([types] if isinstance(types, str) else types))


def _as_list(value: Any, types: str | list[str]) -> str:
    """Write a single value as the list that is asked for."""
    single = isinstance(value, int | float | str) and not isinstance(value, bool)
    return f"; write [{value}]" if single and "array" in types else ""
