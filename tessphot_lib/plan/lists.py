"""Lists that the configuration gives in short: sectors as a range, stars as a file.

Read whenever the workflow is read, so that the rest of the plan sees lists only.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.core.asked import ALL_SECTORS
from tessphot_lib.core.config_check import refusal
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.targets import Target, parse_sectors, read_targets

NO_NAMES = "nothing is looked up before a run; tessphot get takes names and numbers of Gaia"
# Keys whose value may be a file of stars, and whether coordinates are of use there.
FILES = (
    (("targets", "tic_ids"), False),
    (("input", "tpfs", "targets"), False),
    (("input", "cutouts", "targets"), True),
)


def with_lists(config: Mapping[str, Any]) -> dict[str, Any]:
    """Replace ranges of sectors and files of stars by what they stand for.

    Parameters
    ----------
    config : mapping
        A complete configuration without problems of the schema; not changed.

    Raises
    ------
    ConfigError
        If a range or a file cannot be read; a line for each line of a file that makes no sense.
    """
    result = copy.deepcopy(dict(config))
    if isinstance(result["sectors"], str):
        sectors = parse_sectors(result["sectors"], "sectors")
        result["sectors"] = ALL_SECTORS if sectors is None else sorted(sectors)
    for path, with_positions in FILES:
        section = result
        for name in path[:-1]:
            section = section[name]
        if isinstance(section[path[-1]], str):
            key = ".".join(path)
            section[path[-1]] = read_stars(Path(section[path[-1]]), key, with_positions)
    return result


def read_stars(path: Path, key: str, with_positions: bool) -> list[int | list[float]]:
    """Read a file of stars: one per line, or columns, as `tessphot_lib.core.targets` has it.

    Parameters
    ----------
    path : Path
    key : str
        Of the configuration, for messages.
    with_positions : bool
        Whether coordinates are allowed.

    Returns
    -------
    list of int and [ra, dec]
        TIC numbers, and positions [deg]; those given twice once.

    Raises
    ------
    ConfigError
        If it cannot be read, names no star, or has lines that make no sense: a line each.
    """
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"{key}: {str(path)!r} cannot be read: {reason}") from error
    stars: list[int | list[float]] = []
    problems = []
    for target in read_targets(lines, str(path)):
        if isinstance(target, ConfigError):
            problems.append(f"{key}: {target}")
        elif (star := _as_setting(target, with_positions)) is None:
            kinds = "numbers of the TIC and coordinates" if with_positions else "numbers of the TIC"
            text = f"{key}: {path}: {target}: only {kinds} here"
            is_known = target.name is None and target.gaia_id is None
            problems.append(text if is_known else f"{text}; {NO_NAMES}")
        elif star not in stars:
            stars.append(star)
    if problems:
        raise refusal(problems)
    if not stars:
        raise ConfigError(f"{key}: {path} names no star")
    return stars


def _as_setting(target: Target, with_positions: bool) -> int | list[float] | None:
    """Write a target as the configuration has it; None where it is of no use."""
    if target.tic_id is not None:
        return target.tic_id
    return list(target.position) if target.position is not None and with_positions else None
