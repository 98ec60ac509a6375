"""Lists of stars that a user names: those not to be measured, and those measured in a certain way.

``todo.exclude`` and ``todo.methods`` hold them in the configuration itself or
name a CSV file with a header. A list is a dictionary of ``(tic_id, sector)``,
with sector None for all sectors.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.sectors import MAX_SECTOR
from tessphot_lib.core.settings import METHODS
from tessphot_lib.core.star_table_formats import table_format

MAX_TIC_ID = 99_999_999_999
NamedStars = dict[tuple[int, int | None], str]
_Row = tuple[str, Mapping[str, Any]]  # where it stands, and its values


def read_excluded(named: str | list) -> NamedStars:
    """Read ``todo.exclude``.

    Parameters
    ----------
    named : str or list
        Path of a CSV file with columns tic_id[,sector][,reason], or TIC
        numbers and mappings with these keys.

    Returns
    -------
    dict
        The reason of each star, ``""`` where none is given.

    Raises
    ------
    InputDataError
        One line with file and line, or key, and value.
    """
    key, optional = "todo.exclude", ("sector", "reason")
    if isinstance(named, str):
        rows = _csv_rows(key, named, ("tic_id",), optional)
    else:
        rows = _listed(key, named, optional)
    return _collect(rows, lambda where, row: str(row.get("reason") or "").strip())


def read_methods(named: str | Mapping) -> NamedStars:
    """Read ``todo.methods``.

    Parameters
    ----------
    named : str or mapping
        Path of a CSV file with columns tic_id,method[,sector], or method by
        TIC number.

    Returns
    -------
    dict
        The method of each star.

    Raises
    ------
    InputDataError
        One line with file and line, or key, and value.
    """
    key = "todo.methods"
    rows: Iterable[_Row]
    if isinstance(named, str):
        rows = _csv_rows(key, named, ("tic_id", "method"), ("sector",))
    else:
        rows = ((key, {"tic_id": star, "method": method}) for star, method in named.items())
    return _collect(rows, _method)


def in_sector(stars: NamedStars, sector: int) -> dict[int, str]:
    """Return what holds in a sector, by TIC number; what names the sector goes first."""
    general = {tic_id: value for (tic_id, where), value in stars.items() if where is None}
    special = {tic_id: value for (tic_id, where), value in stars.items() if where == sector}
    return general | special


def list_files(settings: Mapping[str, Any]) -> list[Path]:
    """Return the files that section ``todo`` of the configuration names."""
    named = (settings["exclude"], settings["methods"])
    return [Path(path).expanduser() for path in named if isinstance(path, str)]


def _collect(rows: Iterable[_Row], value_of: Any) -> NamedStars:
    """Check all rows; a star that comes twice for the same sector is an error."""
    stars: NamedStars = {}
    for where, row in rows:
        tic_id = _number(where, "tic_id", row["tic_id"], MAX_TIC_ID)
        sector = row.get("sector")
        if sector is not None and sector != "":
            sector = _number(where, "sector", sector, MAX_SECTOR)
        else:
            sector = None
        if (tic_id, sector) in stars:
            named = "" if sector is None else f" in sector {sector}"
            raise InputDataError(f"{where}: tic_id {tic_id} is listed twice{named}")
        stars[tic_id, sector] = value_of(where, row)
    return stars


def _listed(key: str, named: list, optional: tuple[str, ...]) -> Iterator[_Row]:
    """Yield the entries of a list in the configuration."""
    for index, entry in enumerate(named):
        where = f"{key}[{index}]"
        row = entry if isinstance(entry, Mapping) else {"tic_id": entry}
        _check_names(where, [str(name) for name in row], ("tic_id",), optional)
        yield where, row


def _csv_rows(
    key: str, named: str, needed: tuple[str, ...], optional: tuple[str, ...]
) -> Iterator[_Row]:
    """Yield the rows of a CSV file; empty lines and those that start with # are passed over."""
    path = Path(named).expanduser()
    origin = f"{key}: {named}"
    if table_format(named) not in (None, "text") or named.lower().endswith((".ecsv", ".gz")):
        raise InputDataError(f"{origin}: should be a CSV file, with a header")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = None
            reader = csv.reader(file, strict=True)
            for values in reader:
                where = f"{origin}, line {reader.line_num}"
                values = [value.strip() for value in values]
                if not any(values) or values[0].startswith("#"):
                    continue
                if names is None:
                    names = [name.lower() for name in values]
                    _check_names(where, names, needed, optional)
                    continue
                if len(values) != len(names):
                    raise InputDataError(
                        f"{where}: {counted(len(values), 'value')}, but the header has "
                        f"{counted(len(names), 'column')}"
                    )
                yield where, dict(zip(names, values, strict=True))
    except FileNotFoundError:
        raise InputDataError(f"{key}: there is no file {named!r}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputDataError(f"{origin}: cannot be read as CSV: {error}") from error
    if names is None:
        raise InputDataError(f"{origin}: has no header; it should be {','.join(needed)}")


def _check_names(
    where: str, names: list[str], needed: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    """Refuse columns that are missing, unknown or there twice."""
    known = ", ".join((*needed, *optional))
    for name in needed:
        if name not in names:
            raise InputDataError(f"{where}: there is no {name} among {', '.join(names)}")
    for name in names:
        if name not in needed + optional:
            raise InputDataError(f"{where}: {name!r} is unknown; known are {known}")
        if names.count(name) > 1:
            raise InputDataError(f"{where}: {name!r} is there twice")


def _number(where: str, name: str, value: Any, largest: int) -> int:
    """Read a whole number from 1 on."""
    text = str(value).strip()
    is_whole = isinstance(value, int | str) and not isinstance(value, bool)
    if is_whole and text.isascii() and text.isdigit() and 1 <= int(text) <= largest:
        return int(text)
    raise InputDataError(f"{where}: {name} {value!r} is not a whole number from 1 to {largest}")


def _method(where: str, row: Mapping[str, Any]) -> str:
    """Check the method of a row."""
    if row["method"] in METHODS:
        return str(row["method"])
    raise InputDataError(
        f"{where}: method {row['method']!r} of TIC {row['tic_id']} must be one of "
        f"{', '.join(METHODS)}"
    )
