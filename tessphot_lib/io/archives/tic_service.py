"""Stars of the TESS Input Catalog from the archives that hold it: MAST, or VizieR.

One question is one circle on the sky. Both services are asked through
astroquery, whose own limits are filled in here: it sends requests to MAST
without any time limit, does not look at VizieR's HTTP status, and would keep
truncated answers of VizieR in its cache. An answer counts only when it is
complete. astroquery is loaded when the first question is asked.
"""

import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import ServiceError
from tessphot_lib.io.archives.asking import (
    BadAnswerError,
    Patience,
    asked_in_vain,
    errors_of_requests,
    in_words,
    is_timeout,
    is_worth_another_try,
    tables_of,
    well_behaved,
)

# Names of the columns at MAST, which all answers have, and at VizieR.
COLUMNS = ("ID", "ra", "dec", "pmRA", "pmDEC", "Tmag", "Teff", "objType", "disposition")
NUMBERS = COLUMNS[1:7]
VIZIER_COLUMNS = {
    "TIC": "ID",
    "RAJ2000": "ra",
    "DEJ2000": "dec",
    "pmRA": "pmRA",
    "pmDE": "pmDEC",
    "Tmag": "Tmag",
    "Teff": "Teff",
    "S/G": "objType",
    "Disp": "disposition",
}
OPTIONAL = {"objType"}  # nothing depends on it
MAST_SERVICE = "Mast.Catalogs.Filtered.Tic.Position.Rows"
VIZIER_TABLE = "IV/39/tic82"
TITLES = {"mast": "MAST", "vizier": "VizieR"}
OTHER = {"mast": "vizier", "vizier": "mast"}
BRIGHTEST = -10.0  # [Tmag] no star is brighter

PAGE_SIZE = 50_000  # rows of a page at MAST
MOST_ROWS = 150_000  # of one question; both services take long for more, VizieR may cut it off
SMALLEST_RADIUS = 0.1  # [deg] smaller circles are not cut any more when they take too long

# Far fewer stars than in the emptiest fields: so many per square degree at Tmag 10, and so
# much more, in dex, for each fainter magnitude.
FEWEST_AT_10 = 1.0
FEWEST_SLOPE = 0.25
SURELY_SOME = 20.0  # stars; where at least so many must be, an answer without any is wrong


@dataclass(frozen=True)
class Cone:
    """A circle on the sky [deg, ICRS, epoch 2000]."""

    ra: float
    dec: float
    radius: float

    def __str__(self) -> str:
        return f"{self.radius:.2f} deg around RA {self.ra:.3f}, Dec {self.dec:+.3f}"


class TooMuchError(Exception):
    """The question is too large for the service: to be asked in parts."""


class StarService:
    """The catalog at one of the services.

    Parameters
    ----------
    source : str
        ``mast`` or ``vizier``.
    patience : Patience
    """

    def __init__(self, source: str, patience: Patience | None = None) -> None:
        self.source = source
        self.patience = patience or Patience()
        ask = {"mast": _ask_mast, "vizier": _ask_vizier}[source]
        self._ask: Callable[..., pd.DataFrame] = functools.partial(ask, self.patience)

    def stars(self, cone: Cone, faint_limit: float) -> pd.DataFrame:
        """Fetch all stars of a circle, in tries with growing pauses.

        Returns
        -------
        DataFrame
            Columns `COLUMNS`: ``ID`` int64, numbers float64 with NaN where
            missing, texts empty where missing.

        Raises
        ------
        TooMuchError
            If there are more than `MOST_ROWS`, or the service takes too long.
        ServiceError
            If there is no good answer after all tries.
        """
        failures: list[str] = []
        timeouts = 0
        for number in range(self.patience.tries):
            if number:
                self.patience.wait(number, TITLES[self.source], failures[-1])
            try:
                return self._checked(self._ask(cone, faint_limit), cone, faint_limit)
            except (BadAnswerError, *errors_of_requests()) as error:
                failures.append(in_words(error))
                if not is_worth_another_try(error):
                    break
                timeouts += is_timeout(error)
            if timeouts >= self.patience.timeouts and cone.radius > SMALLEST_RADIUS:
                raise TooMuchError(failures[-1])
        raise ServiceError(
            f"{TITLES[self.source]} gives no answer to: TIC stars within {cone}, down to Tmag "
            f"{faint_limit}; {asked_in_vain(failures)}. What came before is kept, and "
            f"the same command goes on from there. Or set catalog.source: {OTHER[self.source]}, "
            f"or save the stars by hand and set catalog.source: file"
        )

    def _checked(self, stars: pd.DataFrame, cone: Cone, faint_limit: float) -> pd.DataFrame:
        """Refuse answers that cannot be all; give columns their types."""
        missing = [name for name in COLUMNS if name not in stars and name not in OPTIONAL]
        if len(stars) and missing:
            raise BadAnswerError(f"the answer has no column {', '.join(missing)}")
        if len(stars) == 0 and fewest_stars(cone.radius, faint_limit) > SURELY_SOME:
            raise BadAnswerError("the answer has no star at all")
        typed = pd.DataFrame(index=range(len(stars)), columns=[])
        try:
            for name in COLUMNS:
                values = stars[name].to_numpy() if name in stars else [""] * len(stars)
                if name == "ID":
                    typed[name] = np.array([int(value) for value in values], dtype=np.int64)
                elif name in NUMBERS:
                    typed[name] = pd.to_numeric(pd.Series(values, dtype=object)).astype("float64")
                else:
                    texts = pd.Series(values, dtype=object)
                    typed[name] = texts.where(texts.notna(), "").astype(str).str.strip()
        except (TypeError, ValueError) as error:
            raise BadAnswerError(f"the answer has impossible values: {error}") from error
        if typed[["ra", "dec"]].isna().to_numpy().any():
            raise BadAnswerError("the answer has stars without position")
        return typed


def fewest_stars(radius: float, faint_limit: float) -> float:
    """Return a number of stars that is in any circle [deg] of the sky, down to a magnitude."""
    return np.pi * radius**2 * FEWEST_AT_10 * 10 ** (FEWEST_SLOPE * (faint_limit - 10.0))


def _ask_mast(patience: Patience, cone: Cone, faint_limit: float) -> pd.DataFrame:
    """Ask MAST, page after page of one and the same result."""
    mast = _mast(patience)
    params = {
        "columns": ",".join(COLUMNS),
        "filters": [{"paramName": "Tmag", "values": [{"min": BRIGHTEST, "max": faint_limit}]}],
        "ra": cone.ra,
        "dec": cone.dec,
        "radius": cone.radius,
    }
    token = str(uuid.uuid4())  # with another one each page would be a query of its own
    pages: list[pd.DataFrame] = []
    n_rows, n_pages = 0, 1
    while len(pages) < n_pages:
        page = {"pagesize": PAGE_SIZE, "page": len(pages) + 1, "cacheBreaker": token}
        try:
            (response,) = mast.service_request_async(MAST_SERVICE, params, **page)
        except AttributeError as error:  # astroquery takes any answer for a dictionary
            raise BadAnswerError(f"the answer is none of MAST's: {error}") from error
        rows, n_rows, n_pages = _mast_page(response.json())
        if n_rows > MOST_ROWS:
            raise TooMuchError(f"{n_rows} stars")
        pages.append(rows)
    stars = pd.concat(pages, ignore_index=True)
    if len(stars) != n_rows:
        raise BadAnswerError(f"the answer has {counted(len(stars), 'row')} of {n_rows}")
    if len(stars) and "ID" in stars and stars["ID"].duplicated().any():
        raise BadAnswerError("the answer has the same star twice")
    return stars


def _mast_page(answer: Any) -> tuple[pd.DataFrame, int, int]:
    """Return the rows of a page, and how many rows and pages there are in all."""
    try:
        if answer["status"] != "COMPLETE":
            raise BadAnswerError(f"status {answer['status']}: {answer.get('msg') or 'no message'}")
        paging = answer["paging"]
        n_rows, n_pages = int(paging["rowsFiltered"]), int(paging["pagesFiltered"])
        rows = pd.DataFrame(answer["data"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadAnswerError(f"the answer is none of MAST's: {error!r}") from error
    known = {name.lower(): name for name in COLUMNS}
    rows = rows.rename(columns=lambda name: known.get(name.lower(), name))
    return rows[[name for name in COLUMNS if name in rows]], n_rows, max(n_pages, 1)


@functools.cache
def _mast(patience: Patience) -> Any:
    """A connection to MAST."""
    from astroquery.mast import MastClass

    return well_behaved(MastClass(), patience)


def _ask_vizier(patience: Patience, cone: Cone, faint_limit: float) -> pd.DataFrame:
    """Ask VizieR; one row more than we want tells that there are too many."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    response = _vizier(patience).query_region_async(
        SkyCoord(cone.ra, cone.dec, unit="deg", frame="icrs"),
        radius=cone.radius * units.deg,
        catalog=VIZIER_TABLE,
        column_filters={"Tmag": f"<={faint_limit}"},
        frame="icrs",
        cache=False,
    )
    stars = _vizier_rows(response.content)
    if len(stars) > MOST_ROWS:
        raise TooMuchError(f"more than {MOST_ROWS} stars")
    return stars


@functools.cache
def _vizier(patience: Patience) -> Any:
    """A connection to VizieR."""
    from astroquery.vizier import VizierClass

    vizier = VizierClass(
        columns=list(VIZIER_COLUMNS), row_limit=MOST_ROWS + 1, timeout=patience.timeout
    )
    return well_behaved(vizier, patience)


def _vizier_rows(content: bytes) -> pd.DataFrame:
    """Stars of an answer, with the names of columns at MAST; missing values are None."""
    tables = tables_of(content)
    if not tables:
        return pd.DataFrame()
    table = tables[0].to_table(use_names_over_ids=True)
    stars = pd.DataFrame(index=range(len(table)))
    for name, ours in VIZIER_COLUMNS.items():
        if name in table.colnames:
            stars[ours] = np.array(table[name].tolist(), dtype=object)
    return stars
