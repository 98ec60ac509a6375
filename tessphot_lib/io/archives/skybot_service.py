"""Asteroids, comets and planets in a circle on the sky, from SkyBoT (IMCCE), as TESS sees them.

SkyBoT (Berthier et al. 2006, ASPC 351, 367) computes which known objects are in a circle at an
instant, for an observatory by its code at the Minor Planet Center; C57 is TESS. The service takes
the code as ``-observer``; astroquery (to 0.4.11, its issue 3515) gives it as ``-loc``, which then
is no known location, and without a word positions are those seen from the center of the Earth: up
to 17 pixels away for an object of the main belt.
"""

import functools
from http.client import NO_CONTENT
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.core.errors import ServiceError
from tessphot_lib.io.archives.asking import (
    BadAnswerError,
    Patience,
    asked_in_vain,
    errors_of_requests,
    in_words,
    is_worth_another_try,
    tables_of,
    well_behaved,
)

TESS = "C57"  # code of the observatory
EARTH = "500"  # its center
SAME = 1 / 3600  # [deg] from TESS even Neptune is seen farther than that from where Earth sees it
MAX_RADIUS = 10.0  # [deg] of a question
POSITION_ERROR = 120.0  # [arcsec] objects of less certain positions are left out
# Identifiers of the fields of an answer, and our names.
FIELDS = {
    "name": "name",
    "_raj2000": "ra",
    "_decj2000": "dec",
    "magV": "vmag",
    "dracosdec": "ra_rate",
    "ddec": "dec_rate",
}
ADVICE = (
    "What came before is not kept. Try again later, save ephemerides by hand for "
    "moving.ephemerides, or set moving.skybot: false"
)


def objects_in(
    ra: float, dec: float, radius: float, jd_utc: float, patience: Patience, observer: str = TESS
) -> pd.DataFrame:
    """Ask which objects are in a circle at an instant, in tries with growing pauses.

    Parameters
    ----------
    ra, dec, radius : float
        [deg, ICRS]
    jd_utc : float
        [JD, UTC]
    patience : Patience
    observer : str
        Its code at the Minor Planet Center.

    Returns
    -------
    DataFrame
        ``name``, ``ra``, ``dec`` [deg], ``vmag``, ``ra_rate`` (cos(dec) included), ``dec_rate``
        [arcsec/h]; empty where there are none.

    Raises
    ------
    ServiceError
        If there is no good answer after all tries.
    """
    failures: list[str] = []
    for number in range(patience.tries):
        if number:
            patience.wait(number, "SkyBoT", failures[-1])
        try:
            return _objects(_ask(ra, dec, radius, jd_utc, patience, observer))
        except (BadAnswerError, *errors_of_requests()) as error:
            failures.append(in_words(error))
            if not is_worth_another_try(error):
                break
    raise ServiceError(
        f"SkyBoT gives no answer to: objects within {radius:.2f} deg around RA {ra:.3f}, "
        f"Dec {dec:+.3f} at JD {jd_utc:.3f}; {asked_in_vain(failures)}. {ADVICE}"
    )


def check_observer(
    seen: pd.DataFrame, ra: float, dec: float, radius: float, jd_utc: float, patience: Patience
) -> None:
    """Ask the same for the center of the Earth: TESS must see some object somewhere else.

    Parameters
    ----------
    seen : DataFrame
        Answer of `objects_in`, for TESS; without objects nothing is asked.
    ra, dec, radius, jd_utc, patience
        As there.

    Raises
    ------
    ServiceError
        If all objects are within an arcsecond of where they are seen from Earth.
    """
    if seen.empty:
        return
    other = objects_in(ra, dec, radius, jd_utc, patience, observer=EARTH)
    both = seen.drop_duplicates("name").merge(other.drop_duplicates("name"), on="name")
    ra_difference = (both["ra_x"] - both["ra_y"] + 180) % 360 - 180
    apart = np.hypot(
        ra_difference * np.cos(np.radians(both["dec_x"])), both["dec_x"] - both["dec_y"]
    )
    if len(both) and apart.max() < SAME:
        raise ServiceError(
            f"SkyBoT gives positions as seen from the center of the Earth although asked for TESS "
            f"({TESS}): they would be off by up to 17 pixels. {ADVICE}"
        )


def _ask(
    ra: float, dec: float, radius: float, jd_utc: float, patience: Patience, observer: str
) -> bytes | None:
    """Put the question; the answer as it came, None where there is nothing to answer with."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    service = _service(patience)
    service._session.params["-observer"] = observer
    response = service.cone_search_async(
        SkyCoord(ra, dec, unit="deg", frame="icrs"),
        min(radius, MAX_RADIUS) * units.deg,
        jd_utc,
        location=observer,
        position_error=POSITION_ERROR * units.arcsec,
        cache=False,
    )
    return None if response.status_code == NO_CONTENT else bytes(response.content)


@functools.cache
def _service(patience: Patience) -> Any:
    """The connection to SkyBoT: one for all questions, so that they keep their interval."""
    from astroquery.imcce import SkybotClass

    return well_behaved(SkybotClass(), patience)


def _objects(content: bytes | None) -> pd.DataFrame:
    """Objects of an answer, see `objects_in`."""
    tables = [] if content is None else tables_of(content)
    if not tables:
        return pd.DataFrame({name: np.zeros(0) for name in FIELDS.values()})
    found = tables[0].to_table()
    missing = set(FIELDS) - set(found.colnames)
    if missing:
        raise BadAnswerError(f"the answer has no field {', '.join(sorted(missing))}")
    objects = pd.DataFrame()
    for field, name in FIELDS.items():
        values = found[field].tolist()  # masked values are None
        if name == "name":
            objects[name] = [str(value).strip() for value in values]
        else:
            objects[name] = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    objects = objects.astype({name: float for name in objects if name != "name"})
    possible = objects["ra"].between(0, 360) & objects["dec"].between(-90, 90)
    if not possible.all():
        raise BadAnswerError(f"the answer has {int((~possible).sum())} impossible positions")
    return objects
