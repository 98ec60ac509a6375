"""Files that tell where TESS was: SPK kernels, and tables of vectors from JPL Horizons.

Positions are along the axes of the ICRS, in km, relative to the center that the
file has: the barycenter of the solar system, the Earth, or that of Earth and
Moon. Times are BTJD at the spacecraft (TDB).
"""

import gzip
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import BTJD_OFFSET, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.mission import spk_kernel

TESS = -95  # NAIF number
CENTERS = {0: "barycenter", 399: "earth", 3: "earth-moon-barycenter"}  # NAIF number: our name
J2000 = 2451545.0 - BTJD_OFFSET  # [BTJD] origin of SPICE's times
AU = 149597870.7  # [km]
FARTHEST = {"barycenter": 1.1 * AU}  # [km] that TESS can be from a center; from the others:
FARTHEST_FROM_EARTH = 1e6  # [km]
MAX_STEP = 0.25  # [d] of a table; TESS passes its perigee in half a day
MARGIN = 1.0  # [d] of a table that is read on both sides of what is wanted
SPK_MAGIC = b"DAF/"
OBLIQUITY = np.radians(84381.448 / 3600.0)  # of the ecliptic of J2000, as Horizons has it


@dataclass(frozen=True)
class EphemerisPositions:
    """Positions of TESS, as a file has them.

    Attributes
    ----------
    position : (n, 3) array
        [km] along the axes of the ICRS.
    center : {'barycenter', 'earth', 'earth-moon-barycenter'}
        What they are relative to.
    error : float
        Error of the interpolation [km]; 0 for kernels.
    """

    position: NDArray
    center: str
    error: float


def read_ephemeris(path: Path, time: NDArray) -> EphemerisPositions:
    """Find where TESS was.

    Parameters
    ----------
    path : Path
        An SPK kernel, or vectors of JPL Horizons as text (also gzipped).
    time : (n,) array
        [BTJD] at the spacecraft.

    Raises
    ------
    InputDataError
        If the file cannot be read, is not of TESS, has other units or axes
        than known here, does not cover all of ``time``, or has TESS where it cannot be.
    """
    try:
        with path.open("rb") as file:
            is_kernel = file.read(4) == SPK_MAGIC
    except OSError as err:
        raise InputDataError(f"{path}: cannot be read: {err.strerror}") from err
    found = _read_kernel(path, time) if is_kernel else _read_table(path, time)
    farthest = FARTHEST.get(found.center, FARTHEST_FROM_EARTH)
    distance = np.linalg.norm(found.position, axis=1)
    if not (distance < farthest).all():
        raise InputDataError(
            f"{path}: TESS is {distance[~(distance < farthest)][0]:.4g} km from {found.center} in "
            f"it; less than {farthest:.4g} km is possible"
        )
    return found


def _read_kernel(path: Path, time: NDArray) -> EphemerisPositions:
    """Ask the kernel, for the first center that it knows TESS relative to."""
    seconds = (np.asarray(time) - J2000) * SECONDS_PER_DAY
    numbers = [str(TESS), *map(str, CENTERS)]
    done = subprocess.run(
        [sys.executable, "-P", spk_kernel.__file__, str(path), *numbers],
        input=json.dumps(seconds.tolist()),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not done.stdout.startswith("{"):
        said = (done.stderr + done.stdout).strip().splitlines() or ["SPICE ended without a word"]
        raise InputDataError(f"{path}: cannot be read: {said[0]}")
    answer = json.loads(done.stdout)
    intervals = J2000 + np.reshape(answer["cover"], (-1, 2)) / SECONDS_PER_DAY
    _check_cover(path, time, list(intervals))
    if answer["center"] is None:
        raise InputDataError(
            f"{path}: it has TESS relative to neither {' nor '.join(CENTERS.values())}"
        )
    return EphemerisPositions(np.array(answer["position"]), CENTERS[answer["center"]], 0.0)


def _check_cover(path: Path, time: NDArray, intervals: list[NDArray]) -> None:
    """Raise unless all times lie in one of the intervals."""
    inside = np.zeros(np.shape(time), dtype=bool)
    for first, last in intervals:
        inside |= (time >= first) & (time <= last)
    if not inside.all():
        has = ", ".join(f"{first:.2f} to {last:.2f}" for first, last in intervals)
        raise InputDataError(
            f"{path}: it has TESS (-95) for BTJD {has or 'no time at all'}; the images need "
            f"{np.min(time):.2f} to {np.max(time):.2f}"
        )


def _read_table(path: Path, time: NDArray) -> EphemerisPositions:
    """Interpolate a table of Horizons."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err
    scale, center, is_ecliptic = _about(path, text)
    moments, position = _vectors(path, text)
    _check_cover(path, time, [moments[[0, -1]]])
    near = (moments >= np.min(time) - MARGIN) & (moments <= np.max(time) + MARGIN)
    moments, position = moments[near], scale * position[near]
    step = np.diff(moments)
    if len(moments) < 8 or step.max() > MAX_STEP:
        raise InputDataError(
            f"{path}: its steps are up to {step.max() if step.size else np.nan:.3f} d long; "
            f"at most {MAX_STEP} d and 8 rows are needed to interpolate"
        )
    if is_ecliptic:
        sine, cosine = np.sin(OBLIQUITY), np.cos(OBLIQUITY)
        position = position @ np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    # Every other row is foretold from its neighbors; with all rows the error is 16 times less.
    coarse = scipy.interpolate.CubicSpline(moments[::2], position[::2])(moments[3:-3:2])
    error = np.linalg.norm(coarse - position[3:-3:2], axis=1).max() / 16.0
    return EphemerisPositions(
        scipy.interpolate.CubicSpline(moments, position)(time), center, float(error)
    )


def _about(path: Path, text: str) -> tuple[float, str, bool]:
    """Unit [km], center, and whether the axes are ecliptic, from the header of a table."""

    def header(name: str) -> str:
        match = re.search(rf"^#?\s*{name}\s*:\s*(.*?)\s*$", text, flags=re.MULTILINE)
        if match is None:
            raise InputDataError(
                f"{path}: no '{name}:' in its header; it should be an SPK kernel, or vectors "
                "of JPL Horizons with their header"
            )
        return match[1]

    target = header("Target body name")
    if f"({TESS})" not in target:
        raise InputDataError(f"{path}: it is of {target}, not of TESS ({TESS})")
    named = header("Center body name")
    number = re.search(r"\((\d+)\)", named)
    center = CENTERS.get(int(number[1])) if number else None
    site = re.search(r"Center-site name\s*:\s*(.*?)\s*$", text, flags=re.MULTILINE)
    if center is None or (site and site[1] != "BODY CENTER"):
        raise InputDataError(
            f"{path}: its center is {named}; the solar system barycenter (500@0) or the center "
            "of the Earth (500@399) is needed"
        )
    units = header("Output units")
    scale = {"AU": AU, "KM": 1.0}.get(units.split("-")[0].upper())
    if scale is None:
        raise InputDataError(f"{path}: Output units {units}: AU or KM is needed")
    axes = f"{header('Reference frame')} {_optional(text, 'Coordinate systm')}".lower()
    if not ("icrf" in axes or "j2000" in axes) or "of-date" in axes or "body" in axes:
        raise InputDataError(f"{path}: Reference frame {header('Reference frame')}: not ICRF")
    return scale, center, "ecliptic" in axes


def _optional(text: str, name: str) -> str:
    match = re.search(rf"^#?\s*{name}\s*:\s*(.*?)\s*$", text, flags=re.MULTILINE)
    return match[1] if match else ""


def _vectors(path: Path, text: str) -> tuple[NDArray, NDArray]:
    """Times [BTJD] and vectors, in the units of the table; with commas or with labels."""
    number = r"[-+]?\d+\.\d*(?:[ED][-+]?\d+)?"
    rows = re.findall(
        rf"^\s*({number})\s*,[^,\n]*,\s*({number})\s*,\s*({number})\s*,\s*({number})",
        text,
        flags=re.MULTILINE,
    ) or re.findall(
        rf"^\s*({number})\s*=[^\n]*\n\s*X\s*=\s*({number})\s*Y\s*=\s*({number})\s*Z\s*=\s*({number})",
        text,
        flags=re.MULTILINE,
    )
    if not rows or "JDTDB" not in text:
        raise InputDataError(f"{path}: no rows of JDTDB, date, X, Y, Z in it")
    values = np.array([[float(cell.replace("D", "E")) for cell in row] for row in rows])
    values = values[np.unique(values[:, 0], return_index=True)[1]]
    return values[:, 0] - BTJD_OFFSET, values[:, 1:]
