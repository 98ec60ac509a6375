"""What the user asks for: stars by number, coordinates or name, one by one or in a list.

Nothing is looked up here; see `tessphot_lib.get.star`, and `tessphot_lib.plan.lists`.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import ConfigError

LARGEST_TIC = 20_000_000_000  # larger whole numbers are of Gaia
TIC = re.compile(r"(?:TIC[ _-]*)?(\d+)", re.IGNORECASE)
GAIA = re.compile(r"Gaia(?:[ _-]*E?DR3)?[ _-]*(\d{6,})", re.IGNORECASE)
OTHER_GAIA = re.compile(r"Gaia[ _-]*DR[124-9]\b.*", re.IGNORECASE)  # other numbers, other stars
NUMBER = r"[+-]?\d+(?:\.\d*)?"
DEGREES = re.compile(rf"({NUMBER})(?:\s*,\s*|\s+)({NUMBER})(?:(?:\s*,\s*|\s+)({NUMBER}))?")
SEXAGESIMAL = re.compile(
    r"(\d{1,2})[:h ]\s*(\d{1,2})[:m ]\s*(\d{1,2}(?:\.\d*)?)\s*s?[\s,]+"
    r"([+-])(\d{1,2})[:d ]\s*(\d{1,2})[:m' ]\s*(\d{1,2}(?:\.\d*)?)\s*[s\"]?",
    re.IGNORECASE,
)
COLUMNS = {  # of a list with a line of names
    "target": ("target", "name", "object"),
    "tic": ("tic", "tic_id", "ticid", "id"),
    "gaia": ("gaia", "gaia_id", "source_id", "gaia_dr3"),
    "ra": ("ra", "ra_deg", "raj2000"),
    "dec": ("dec", "dec_deg", "dej2000"),
    "tmag": ("tmag",),
}


@dataclass(frozen=True)
class Target:
    """One star as it was asked for; exactly one of the first four is given.

    Attributes
    ----------
    tic_id, gaia_id : int, optional
        Number in the TIC, or in Gaia DR3.
    position : (ra, dec), optional
        ICRS, epoch 2000 [deg].
    name : str, optional
        To be looked up.
    tmag : float, optional
        Its brightness, for a star that is not in the TIC.
    called : str, optional
        What the user calls a star that is given by its coordinates; not looked up.
    """

    tic_id: int | None = None
    gaia_id: int | None = None
    position: tuple[float, float] | None = None
    name: str | None = None
    tmag: float | None = None
    called: str | None = None

    def __str__(self) -> str:
        if self.tic_id is not None:
            return f"TIC {self.tic_id}"
        if self.gaia_id is not None:
            return f"Gaia DR3 {self.gaia_id}"
        if self.called is not None:
            return self.called
        if self.position is not None:
            return "{:.5f} {:+.5f}".format(*self.position)
        return str(self.name)

    @property
    def label(self) -> str:
        """Name of a folder: the same for the same star as asked for."""
        return re.sub(r"[^\w.+-]+", "_", str(self).replace("TIC ", "TIC")).strip("._") or "star"


def parse_target(text: str, tmag: float | None = None) -> Target:
    """Read what a user calls a star.

    Parameters
    ----------
    text : str
        ``TIC 261136679`` or ``261136679``; ``Gaia DR3 4657...``; ``84.29 -80.46`` or
        ``84.29,-80.46`` [deg], perhaps followed by Tmag; ``05:37:09.9 -80:28:09``; else a name.
    tmag : float, optional
        Counts if the text has none.

    Raises
    ------
    ConfigError
        If it is empty or not possible.
    """
    text = " ".join(text.split())
    if not text:
        raise ConfigError("a target is empty")
    if match := TIC.fullmatch(text):
        return _numbered(int(match[1]), text, tmag)
    if match := GAIA.fullmatch(text):
        return Target(gaia_id=int(match[1]), tmag=tmag)
    if OTHER_GAIA.fullmatch(text):
        raise ConfigError(f"{text!r}: only numbers of Gaia DR3 are known")
    if match := DEGREES.fullmatch(text):
        given = float(match[3]) if match[3] else tmag
        return Target(position=_checked(float(match[1]), float(match[2]), text), tmag=given)
    if match := SEXAGESIMAL.fullmatch(text):
        hours, minutes, seconds, sign, degrees, arcmin, arcsec = match.groups()
        if max(map(float, (minutes, seconds, arcmin, arcsec))) >= 60:
            raise ConfigError(f"{text!r}: minutes and seconds must be less than 60")
        ra = 15 * (int(hours) + int(minutes) / 60 + float(seconds) / 3600)
        dec = int(degrees) + int(arcmin) / 60 + float(arcsec) / 3600
        return Target(position=_checked(ra, -dec if sign == "-" else dec, text), tmag=tmag)
    if not re.search(r"[A-Za-z]", text):
        hint = "; coordinates go in one pair of quotes, '84.29 -80.46'" if "." in text else ""
        raise ConfigError(f"{text!r} is no number, no coordinates and no name of a star{hint}")
    return Target(name=text, tmag=tmag)


def read_targets(
    lines: Iterable[str], origin: str, tmag: float | None = None
) -> Iterator[Target | ConfigError]:
    """Read a list of targets: any of the above per line, or columns with a line of names.

    Empty lines and those that begin with ``#`` are passed over. Columns (separated by commas)
    are ``target`` or ``name``, ``tic``, ``gaia``, ``ra`` and ``dec`` [deg], and ``tmag``. A name
    beside coordinates is not looked up, but is what the star is called.

    Parameters
    ----------
    lines : iterable of str
    origin : str
        Name of the file, for messages.
    tmag : float, optional
        Counts for those that have none.

    Yields
    ------
    Target or ConfigError
        An error, which names the line, for each one that makes no sense; only one if the line
        of names does not say which column is which.
    """
    names: list[str | None] | None = None
    first = True
    for number, line in enumerate(lines, start=1):
        line = line.strip().lstrip("\ufeff")
        if not line or line.startswith("#"):
            continue
        if first:
            first = False
            try:
                names = _names_of_columns(line)
            except ConfigError as error:
                yield ConfigError(f"{origin}: line {number}: {error}")
                return
            if names is not None:
                continue
        try:
            yield parse_target(line, tmag) if names is None else _from_columns(line, names, tmag)
        except ConfigError as error:
            yield ConfigError(f"{origin}: line {number}: {error}")


def parse_sectors(text: str, origin: str = "--sectors") -> set[int] | None:
    """Read ``all`` (None), ``1-13``, ``27,28`` or a mixture.

    Parameters
    ----------
    text : str
    origin : str
        Where it stands, for messages.

    Raises
    ------
    ConfigError
        If it makes no sense.
    """
    if text.strip().lower() == "all":
        return None
    sectors: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high:
            raise ConfigError(f"{origin}: {text!r} is not like all, 1-13 or 27,28")
        sectors.update(range(low, high + 1))
    return sectors


def name_sectors(sectors: Iterable[int]) -> str:
    """Write sectors as `parse_sectors` reads them: ``sectors 1-3,7``, ``sector 5``."""
    runs: list[list[int]] = []
    for sector in sorted(set(sectors)):
        if runs and sector == runs[-1][-1] + 1:
            runs[-1].append(sector)
        else:
            runs.append([sector])
    texts = [f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    is_one = len(runs) == 1 and len(runs[0]) == 1
    return f"sector{'' if is_one else 's'} {','.join(texts)}"


def _numbered(number: int, text: str, tmag: float | None) -> Target:
    if number <= 0:
        raise ConfigError(f"{text!r} is no number of a star")
    if number >= LARGEST_TIC:
        if text.upper().startswith("TIC"):
            raise ConfigError(f"{text!r}: the TIC has no such number")
        return Target(gaia_id=number, tmag=tmag)
    return Target(tic_id=number, tmag=tmag)


def _checked(ra: float, dec: float, text: str) -> tuple[float, float]:
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise ConfigError(f"{text!r} is not right ascension and declination in degrees")
    return ra % 360.0, dec


def _names_of_columns(line: str) -> list[str | None] | None:
    """Our names of the columns of a list (None: not of ours), if this is a line of names.

    Raises
    ------
    ConfigError
        If two columns have the same meaning, or ``id`` may be a number of the user's own.
    """
    words = [word.strip().strip('"').lower() for word in line.split(",")]
    names = [
        next((ours for ours, theirs in COLUMNS.items() if word in theirs), None) for word in words
    ]
    known = {"target", "tic", "gaia", "ra"} & set(names)
    if not known:
        return None
    if "id" in words and names.count("tic") == 1 and known != {"tic"}:
        raise ConfigError(
            "column 'id': name it 'tic' if it holds TIC numbers, else leave it out: there are "
            f"other columns that name the star ({', '.join(sorted(known - {'tic'}))})"
        )
    for ours in COLUMNS:
        theirs = [word for word, name in zip(words, names, strict=True) if name == ours]
        if len(theirs) > 1:
            raise ConfigError(f"columns {' and '.join(map(repr, theirs))} mean the same: leave one")
    return names


def _from_columns(line: str, names: list[str | None], default: float | None) -> Target:
    """Make a target of a line of a list with columns."""
    fields = next(csv.reader([line], skipinitialspace=True))
    if len(fields) != len(names):
        raise ConfigError(f"{counted(len(fields), 'column')} instead of {len(names)}: {line!r}")
    row = {name: field.strip() for name, field in zip(names, fields, strict=True) if name}
    row = {name: field for name, field in row.items() if field}
    tmag = default
    if "tmag" in row:
        try:
            tmag = float(row["tmag"])
        except ValueError:
            tmag = math.nan
        if not math.isfinite(tmag):
            raise ConfigError(f"tmag {row['tmag']!r} is no number")
    if "tic" in row:
        return parse_target(f"TIC {row['tic'].upper().removeprefix('TIC')}", tmag)
    if "gaia" in row:
        return parse_target(f"Gaia DR3 {row['gaia'].split()[-1]}", tmag)
    if "ra" in row and "dec" in row:
        star = parse_target(f"{row['ra']} {row['dec']}", tmag)
        return replace(star, called=row.get("target"))
    if "target" in row:
        return parse_target(row["target"], tmag)
    raise ConfigError(f"no star in {line!r}")
