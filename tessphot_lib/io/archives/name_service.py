"""Where a star is by its name (MAST's lookup, which asks SIMBAD and NED), or number in Gaia DR3.

MAST: ``/api/v0/invoke`` with the service ``Mast.Name.Lookup``. Gaia: the archive's TAP
service, ``/tap-server/tap/sync``, which answers with CSV.
"""

import csv
import io
import json
import math
from typing import NamedTuple
from urllib.parse import urlencode

from tessphot_lib.core.errors import DownloadError
from tessphot_lib.core.sphere import separation
from tessphot_lib.io.archives.download import Web
from tessphot_lib.io.archives.tesscut_service import ask_for_json, is_executed

NAME_SERVICE = "Mast.Name.Lookup"
SAME_POSITION = 10.0 / 3600  # [deg] answers of two catalogs for one object may differ by this
GAIA_COLUMNS = ("ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp")


class GaiaStar(NamedTuple):
    """A star of Gaia DR3: ICRS, epoch 2016 [deg], [mas/yr], [mag]; NaN where not known."""

    ra: float
    dec: float
    pm_ra: float
    pm_dec: float
    g: float
    bp_rp: float


def position_of_name(web: Web, mast: str, name: str) -> tuple[float, float]:
    """Look up a name.

    Returns
    -------
    (ra, dec)
        ICRS, epoch 2000 [deg].

    Raises
    ------
    DownloadError
        If nobody knows the name, or it is that of things at several positions.
    """
    url = f"{mast}/api/v0/invoke"
    request = {"service": NAME_SERVICE, "params": {"input": name, "format": "json"}}
    answer = ask_for_json(web, url, {"request": json.dumps(request)}, is_ready=is_executed)
    try:
        positions = [(float(row["ra"]), float(row["decl"])) for row in answer["resolvedCoordinate"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DownloadError(f"{url}: the answer is none of {NAME_SERVICE}: {error!r}") from None
    if not positions:
        raise DownloadError(f"{url}: the name {name!r} is not known", permanent=True)
    others = [one for one in positions if separation(*positions[0], *one) > SAME_POSITION]
    if others:
        words = " and ".join("{:.5f} {:+.5f}".format(*one) for one in (positions[0], others[0]))
        raise DownloadError(f"the name {name!r} is that of stars at {words}", permanent=True)
    return positions[0]


def gaia_star(web: Web, gaia: str, source_id: int) -> GaiaStar:
    """Look up a number of Gaia DR3.

    Raises
    ------
    DownloadError
        If there is no such number, or the archive gives no proper answer.
    """
    query = f"SELECT {','.join(GAIA_COLUMNS)} FROM gaiadr3.gaia_source WHERE source_id={source_id}"
    asked = {"REQUEST": "doQuery", "LANG": "ADQL", "FORMAT": "csv", "QUERY": query}
    url = f"{gaia}/tap-server/tap/sync?{urlencode(asked)}"
    try:
        text = web.read(url).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        missing = set(GAIA_COLUMNS) - set(next(csv.reader(io.StringIO(text)), []))
        if missing:
            raise ValueError(f"no {', '.join(sorted(missing))} in {text[:100]!r}")
        stars = [GaiaStar(*(_number(row[name]) for name in GAIA_COLUMNS)) for row in rows]
    except (UnicodeDecodeError, ValueError) as error:
        raise DownloadError(f"{url}: the answer is none of Gaia: {error}") from None
    if not stars:
        raise DownloadError(f"{gaia}: Gaia DR3 has no number {source_id}", permanent=True)
    return stars[0]


def _number(text: str | None) -> float:
    return float(text) if text and text.lower() != "null" else math.nan
