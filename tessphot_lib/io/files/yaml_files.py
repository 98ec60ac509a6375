"""Configurations in YAML (or JSON): mistakes with file and line, no key twice in silence."""

import json
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tessphot_lib.core.errors import ConfigError

MERGE = "tag:yaml.org,2002:merge"  # <<


class _TwiceError(yaml.MarkedYAMLError):
    """A key stands twice in one mapping."""


class _Loader(yaml.SafeLoader):
    """Loader that refuses a mapping with a key that stands there twice.

    YAML forbids it, but PyYAML takes the last one: a second section ``input`` would replace the
    first as a whole.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                raise _TwiceError(
                    problem=f"{key.value!r} is there twice, also in line "
                    f"{lines[key.tag, key.value]}; only the last one would count",
                    problem_mark=key.start_mark,
                )
            lines[key.tag, key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Parameters
    ----------
    path : Path
        YAML or JSON.

    Returns
    -------
    dict
        Empty if the file is.

    Raises
    ------
    ConfigError
        If it cannot be read, is not YAML, has a key twice or no keys; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start].count(b"\n")
        raise ConfigError(f"{path}, line {before + 1}: not UTF-8") from error
    try:
        values = _parse(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_where(error)}: {_problem(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: sections with keys are expected, it is {_start(text)}")
    return values


def key_lines(path: Path) -> dict[str, int]:
    """Line of each key and list entry of a configuration that `read_yaml` has read.

    Returns
    -------
    dict of str to int
        By dotted path as in messages (``todo.faint_limit``, ``cameras[0]``); counted from 1.
    """
    text = _without_tabs(path.read_text(encoding="utf-8-sig"))
    root = yaml.compose(text, Loader=_Loader)
    return {} if root is None else dict(_lines(root, ""))


def _lines(node: yaml.Node, above: str) -> Iterator[tuple[str, int]]:
    """Yield dotted path and line of what is in a node of YAML."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{above}.{key.value}" if above else str(key.value)
            yield name, key.start_mark.line + 1
            yield from _lines(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{above}[{index}]", value.start_mark.line + 1
            yield from _lines(value, f"{above}[{index}]")


def _parse(text: str) -> Any:
    """Parse JSON, as Snakemake does first, or YAML."""
    return yaml.load(_without_tabs(text), Loader=_Loader)


def _without_tabs(text: str) -> str:
    """Replace the tabs of JSON, which may be indented with them; YAML may not."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.replace("\t", " ")


def _where(error: yaml.YAMLError) -> str:
    """Line of a mistake, where it is known."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong, in one line."""
    problem, context = (getattr(error, name, None) for name in ("problem", "context"))
    if isinstance(error, _TwiceError):
        return str(problem)
    if problem is None:
        return f"not YAML: {' '.join(str(error).split())}"
    begun = error.context_mark if context and isinstance(error, yaml.MarkedYAMLError) else None
    words = [f"not YAML: {problem}", context, begun and f"that begins in line {begun.line + 1}"]
    hint = "; YAML is indented with spaces" if "'\\t'" in problem else ""
    return " ".join(filter(None, words)) + hint


def _start(text: str) -> str:
    """Show the beginning of a text."""
    return repr(text.strip()[:40])
