"""Step: tables of the images of a sector, and an ephemeris if there is one -> where TESS was."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY, SPEED_OF_LIGHT_KM_PER_S
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.images.tpf import BTJD_RANGE
from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.io.products.spacecraft_ecsv import SpacecraftPath, write_spacecraft
from tessphot_lib.times.barycenter import earth_position
from tessphot_lib.times.spacecraft import EPHEMERIS_ERROR, Projections, fit_free_path, fit_orbit

log = logging.getLogger(__name__)

STEP = 1.0 / 48.0  # [d] of the path that is written; its spline is good to some meters
MIN_POINTS = 8
MARGIN = 60.0 / SECONDS_PER_DAY  # [d] before the first and after the last image
SAMPLE = 0.25  # [d] one image of each CCD is used in this time
MAX_NAME = 50  # [characters]
# A sector takes 27 days. The cost of a path without laws of motion grows with the third power of
# its length: three years would take minutes.
MAX_SPAN = 60.0  # [d] from the first to the last image
MAX_CORRECTION = 520.0  # [s] light from the Earth to the barycenter takes at most 510
SUSPICIOUS = 0.05  # [s] between an ephemeris and the headers of the images


def run_spacecraft(
    ffi_tables: list[Path], output: Path, sector: int, *, ephemeris: Path | None
) -> None:
    """Find where TESS was during a sector, by the best means there are.

    Parameters
    ----------
    ffi_tables : list of Path
        ``ffis.ecsv`` of the CCDs of this sector.
    output : Path
        ``spacecraft_sector<sector>.ecsv``.
    ephemeris : Path, optional
        SPK kernel, or vectors from JPL Horizons. Without it the path follows from
        the laws of motion and the corrections in the headers of the images.

    Raises
    ------
    InputDataError
        If the ephemeris cannot be read or does not cover the images, no CCD has any that
        can be used, or their times are not those of one sector.
    """
    read = [(_usable(path), path) for path in ffi_tables]
    for table, path in read:
        if not len(table["moment"]):
            log.warning("%s: none of its images can be used", path)
    used = [(table, path) for table, path in read if len(table["moment"])]
    tables = [table for table, _ in used]
    if not tables:
        raise InputDataError(f"{ffi_tables[0]}: none of its images can be used")
    _check_times(used, sector)
    every = np.concatenate([table["moment"] for table in tables])
    time = _grid(every.min(), every.max())
    projections = _projections(tables)
    n_ccds = len(np.unique(projections.source))
    earth = earth_position(time) * SECONDS_PER_DAY
    if ephemeris is not None:
        spacecraft = _from_ephemeris(ephemeris, time, projections)
    else:
        source, text = "orbit", f"orbit, BARYCORR of {counted(n_ccds, 'CCD')}"
        path = fit_orbit(projections, time)
        if path is None:
            log.warning(
                "sector %d: BARYCORR in the headers does not belong to TESS's orbit", sector
            )
            source, text = "barycorr", text.replace("orbit", "Earth")
            path = fit_free_path(projections, time)
        log.info("sector %d: %s, residuals %.2f ms rms", sector, text, 1e3 * path.residual)
        position = (path.position + earth) * SPEED_OF_LIGHT_KM_PER_S
        spacecraft = SpacecraftPath(time, position, source, text, path.covariance)
    error = 1e3 * np.sqrt(np.diag(spacecraft.covariance))
    log.info(
        "sector %d: %s, good to %s ms per axis", sector, spacecraft.description, error.round(2)
    )
    made_by = provenance({}, ffi_tables if ephemeris is None else [*ffi_tables, ephemeris])
    write_spacecraft(output, spacecraft, sector, attributes=made_by)


def _usable(path: Path) -> dict[str, NDArray]:
    """What is needed of one table, of the images that are used."""
    # Bad images of a CCD must not keep all others from their light curves.
    table = read_ffi_table(path, even_if_refused=True)
    table = table[np.array(table["status"]) == "ok"]
    columns = {
        name: np.array(np.ma.filled(table[name], np.nan), dtype=float)
        for name in ("time", "timecorr", "time_shift", "centre_ra", "centre_dec", "centre_error")
    }
    columns["moment"] = columns["time"] - columns["timecorr"]
    return columns


def _check_times(used: list[tuple[dict[str, NDArray], Path]], sector: int) -> None:
    """Refuse times that one sector cannot have; the message names the CCDs that have them."""
    for table, path in used:
        for moment in (table["moment"].min(), table["moment"].max()):
            if not BTJD_RANGE[0] < moment < BTJD_RANGE[1]:
                raise InputDataError(f"{path}: time {moment:.3f} of an image is no BTJD of TESS")
        largest = float(np.abs(table["timecorr"]).max())
        if largest * SECONDS_PER_DAY > MAX_CORRECTION:
            raise InputDataError(
                f"{path}: an image has a barycentric correction (BARYCORR, TIMECORR) of "
                f"{largest:.5g} d, light takes at most 0.006 d to the barycenter"
            )
    first, first_path = min((table["moment"].min(), path) for table, path in used)
    last, last_path = max((table["moment"].max(), path) for table, path in used)
    if last - first > MAX_SPAN:
        where = f"{first_path} has one at BTJD {first:.3f}, {last_path} at {last:.3f}"
        if first_path == last_path:
            where = f"{first_path} has them from BTJD {first:.3f} to {last:.3f}"
        raise InputDataError(
            f"sector {sector}: its images are {last - first:.1f} d apart, a sector takes 27 d: "
            f"{where}; leave out the files that are of another sector"
        )


def _grid(first: float, last: float) -> NDArray:
    """Evenly spaced times over all images."""
    n_points = max(int(np.ceil((last - first + 2 * MARGIN) / STEP)) + 1, MIN_POINTS)
    return np.linspace(first - MARGIN, last + MARGIN, n_points)


def _projections(tables: list[dict[str, NDArray]]) -> Projections:
    """Coordinates of the spacecraft along the directions of the CCDs, from their BARYCORR."""
    parts = []
    for number, table in enumerate(tables):
        directions = unit_vector(table["centre_ra"], table["centre_dec"])
        known = np.isfinite(directions).all(axis=1)
        if not known.any():
            continue
        # The same in all images to 0.01 pixel; a median passes over a WCS that is wrong.
        direction = np.median(directions[known], axis=0)
        direction /= np.linalg.norm(direction)
        quarter = np.floor(table["moment"] / SAMPLE)
        chosen = np.union1d(np.unique(quarter, return_index=True)[1], [len(quarter) - 1])
        # BARYCORR is for the time that the header has, right or wrong.
        moment = (table["moment"] - table["time_shift"] / SECONDS_PER_DAY)[chosen]
        distance = SECONDS_PER_DAY * (
            table["timecorr"][chosen] - earth_position(moment) @ direction
        )
        error = np.radians(np.nanmax(np.append(table["centre_error"], 0.0)) / 3600)
        n = len(moment)
        parts.append(
            (moment, distance, np.tile(direction, (n, 1)), np.full(n, number), np.full(n, error))
        )
    if not parts:
        return Projections(np.empty(0), np.empty(0), np.empty((0, 3)), np.empty(0, dtype=int))
    return Projections(*map(np.concatenate, zip(*parts, strict=True)))


def _from_ephemeris(path: Path, time: NDArray, projections: Projections) -> SpacecraftPath:
    """Read the path from a file, and compare it with the headers of the images."""
    position, error = _barycentric(path, time)
    if len(projections.time):
        inside = (projections.time >= time[0]) & (projections.time <= time[-1])
        moments = projections.time[inside]
        found = _barycentric(path, moments)[0] / SPEED_OF_LIGHT_KM_PER_S
        found = found - earth_position(moments) * SECONDS_PER_DAY
        along = np.einsum("na,na->n", found, projections.direction[inside])
        difference = float(np.median(np.abs(along - projections.distance[inside])))
        log.info("%s: BARYCORR of the images differs by %.2f ms", path, 1e3 * difference)
        if difference > SUSPICIOUS:
            log.warning(
                "%s: BARYCORR of the images differs by %.2f s: not the spacecraft that took them?",
                path,
                difference,
            )
    variance = EPHEMERIS_ERROR**2 + (error / SPEED_OF_LIGHT_KM_PER_S) ** 2
    # It becomes a keyword of the light curves: short, and ASCII.
    name = path.name[-MAX_NAME:].encode("ascii", "replace").decode()
    return SpacecraftPath(time, position, "ephemeris", f"ephemeris {name}", variance * np.eye(3))


def _barycentric(path: Path, time: NDArray) -> tuple[NDArray, float]:
    """Positions relative to the barycenter, and the error of their interpolation [km]."""
    found = read_ephemeris(path, time)
    position = found.position
    if found.center != "barycenter":
        light_day = SPEED_OF_LIGHT_KM_PER_S * SECONDS_PER_DAY
        position = position + earth_position(time, found.center) * light_day
    return position, found.error
