"""Step: times and footprint of a CCD -> ephemerides of the known objects on it, from SkyBoT."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_OFFSET, HOURS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.io.archives.asking import Patience
from tessphot_lib.io.archives.skybot_service import MAX_RADIUS, check_observer, objects_in
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.stars.catalog_sqlite import read_catalog_settings

log = logging.getLogger(__name__)

STEP = 1.0  # [d] from one question to the next: cubic in between, parallax of TESS included
SAMPLE = 0.1  # [d] between the positions that are written
MARGIN = 0.6  # [deg] how far an object goes until the next question
MAX_VMAG = 18.0  # fainter objects disturb no star that is measured
ARCSEC = 1 / 3600  # [deg]


def run_skybot(
    ffi_table: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    patience: Patience | None = None,
) -> None:
    """Ask SkyBoT for the asteroids, comets and planets on a CCD during a sector.

    Parameters
    ----------
    ffi_table, catalog : Path
        ``ffis.ecsv``, ``catalog.sqlite``: for times and footprint.
    output : Path
        A table as `tessphot_lib.io.mission.object_ephemerides` reads it; empty where there are
        no objects.

    Raises
    ------
    InputDataError
        If there are no images.
    ServiceError
        If SkyBoT gives no good answer, or one for the center of the Earth.
    """
    table = read_ffi_table(ffi_table)
    time = np.asarray(table["time"] - table["timecorr"], dtype=float)
    time = time[np.isfinite(time)]
    if not time.size:
        raise InputDataError(f"{ffi_table}: no image has a time")
    *centre, reach = _circle(np.array(read_catalog_settings(catalog)["footprint"], dtype=float))
    radius = min(reach + MARGIN, MAX_RADIUS)
    moments = np.linspace(time.min(), time.max(), max(int(np.ceil(np.ptp(time) / STEP)), 1) + 1)
    patience = patience or Patience()
    answers: list[pd.DataFrame] = []
    checked = False
    for moment in moments:
        where_and_when = (*centre, radius, _jd_utc(moment), patience)
        found = objects_in(*where_and_when)
        if not checked:
            check_observer(found, *where_and_when)
            checked = not found.empty
        bright = found[found["vmag"] <= MAX_VMAG]
        answers.append(bright.assign(time=moment))
        log.info("%s: BTJD %.2f: %d of %d objects", ccd_id, moment, len(bright), len(found))
    positions = dense_positions(pd.concat(answers, ignore_index=True))
    with complete_file(output) as partial:
        positions.to_csv(partial, index=False, float_format="%.8f")
    log.info("%s: ephemerides of %d objects", ccd_id, positions["name"].nunique())


def _circle(corners: NDArray) -> tuple[float, float, float]:
    """Circle around corners (n, 2) of right ascension and declination: ra, dec, radius [deg]."""
    directions = unit_vector(*corners.T)
    middle = directions.mean(axis=0)
    middle /= np.linalg.norm(middle)
    reach = np.degrees(np.arccos(np.clip(directions @ middle, -1, 1))).max()
    ra = np.degrees(np.arctan2(middle[1], middle[0])) % 360.0
    return float(ra), float(np.degrees(np.arcsin(middle[2]))), float(reach)


def _jd_utc(btjd: float) -> float:
    """JD in UTC of a time in BTJD (TDB)."""
    from astropy.time import Time

    return float(Time(BTJD_OFFSET, float(btjd), format="jd", scale="tdb").utc.jd)


def dense_positions(answers: pd.DataFrame) -> pd.DataFrame:
    """Interpolate positions with known rates, by cubics.

    Parameters
    ----------
    answers : DataFrame
        ``name``, ``time`` [d], ``ra``, ``dec`` [deg], ``vmag``, ``ra_rate`` (cos(dec)
        included), ``dec_rate`` [arcsec/h]; one row per object and question. Of several objects
        of one name the brightest counts; rows without all numbers do not.

    Returns
    -------
    DataFrame
        ``name``, ``time``, ``ra``, ``dec``, ``vmag``: each object from half a step before it
        is first in an answer to half a step after the last one.
    """
    parts = []
    answers = answers.dropna().sort_values(["time", "vmag"])
    for name, rows in answers.drop_duplicates(["name", "time"]).groupby("name", sort=True):
        time = rows["time"].to_numpy()
        first, last = time[0] - 0.5 * STEP, time[-1] + 0.5 * STEP
        sampled = np.linspace(first, last, max(round((last - first) / SAMPLE), 1) + 1)
        dec = rows["dec"].to_numpy()
        per_day = HOURS_PER_DAY * ARCSEC
        ra_rate = rows["ra_rate"].to_numpy() * per_day / np.cos(np.radians(dec))
        ra = _cubic(sampled, time, np.unwrap(rows["ra"].to_numpy(), period=360.0), ra_rate)
        found = {"name": name, "time": sampled, "ra": ra % 360.0}
        found["dec"] = _cubic(sampled, time, dec, rows["dec_rate"].to_numpy() * per_day)
        found["vmag"] = np.interp(sampled, time, rows["vmag"].to_numpy())
        parts.append(pd.DataFrame(found))
    if not parts:
        return pd.DataFrame({name: [] for name in ("name", "time", "ra", "dec", "vmag")})
    return pd.concat(parts, ignore_index=True)


def _cubic(at: NDArray, time: NDArray, value: NDArray, rate: NDArray) -> NDArray:
    """Hermite's cubics through values with slopes; straight beyond the ends."""
    from scipy.interpolate import CubicHermiteSpline

    inside = np.clip(at, time[0], time[-1])
    if len(time) == 1:
        found = np.full(len(at), value[0])
    else:
        found = CubicHermiteSpline(time, value, rate)(inside)
    slope = np.where(at < time[0], rate[0], rate[-1])
    return np.asarray(found + slope * (at - inside))
