"""When the simulated images are taken, how their files are called, and what befalls them.

Everything here is a function of the settings, the CCD and the number of the
image alone (apart from the default place of the gap), so that an image is the
same whoever makes it. Light enough to be imported while a workflow is parsed.

Times are BTJD at the spacecraft (TDB, no barycentric correction) unless a name
says otherwise.
"""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.simulation_settings import SimulationSettings

TDB_MINUS_UTC = 69.184  # [s] since 2017; nothing before is simulated
SECTOR_DAYS = 27.4  # [d] two orbits
FIRST_SECTOR_START = 1325.292  # [BTJD]
UNIX_EPOCH = -16412.5  # [BTJD] 1970-01-01, were there no leap seconds

# Cadence 4697 of the 1800-s images (sector 1), from which numbers are counted.
ANCHOR_CADENCE, ANCHOR_MIDTIME = 4697, 1325.323517352

KINDS = ("quiet", "scattered", "coarse", "dump", "zero", "nan")


def image_starts(ccd_id: CcdId, settings: SimulationSettings) -> NDArray:
    """Return the start of each image, (n_images,) float64 [BTJD at the spacecraft]."""
    start = settings.start
    if start is None:
        start = FIRST_SECTOR_START + SECTOR_DAYS * (ccd_id.sector - 1)
    if start < 700.0:
        raise ConfigError(f"simulation.start must be a BTJD after 2017 (700), got {start}")
    index = np.arange(settings.n_images)
    gap_after = images_before_gap(settings)
    # The gap is a whole number of cadences, as on the spacecraft, where the clock runs on.
    gap = round(settings.gap_days * SECONDS_PER_DAY / settings.cadence_seconds)
    return start + (index + np.where(index >= gap_after, gap, 0)) * _cadence_days(settings)


def images_before_gap(settings: SimulationSettings) -> int:
    """Return the number of images of the first orbit."""
    return settings.n_images // 2 if settings.gap_after is None else settings.gap_after


def days_in_orbit(index: int, settings: SimulationSettings) -> float:
    """Return the time from the first image of its orbit to an image [d]."""
    first = images_before_gap(settings)
    return (index - first * (index >= first)) * _cadence_days(settings)


def cadence_numbers(ccd_id: CcdId, settings: SimulationSettings) -> NDArray:
    """Return the mission's number of each image (FFIINDEX), (n_images,) int64."""
    middle = image_starts(ccd_id, settings) + 0.5 * _cadence_days(settings)
    first = round((middle[0] - ANCHOR_MIDTIME) / _cadence_days(settings))
    return (
        ANCHOR_CADENCE + first + np.rint((middle - middle[0]) / _cadence_days(settings)).astype(int)
    )


def utc(btjd: float) -> datetime:
    """Return the UTC date of a time at the spacecraft."""
    seconds = (btjd - UNIX_EPOCH) * SECONDS_PER_DAY - TDB_MINUS_UTC
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def ffi_name(ccd_id: CcdId, start: float) -> str:
    """Return the file name of the image that starts at ``start``, as SPOC would name it."""
    stamp = utc(start).strftime("%Y%j%H%M%S")
    return f"tess{stamp}-s{ccd_id.sector:04d}-{ccd_id.camera}-{ccd_id.ccd}-0000-s_ffic.fits"


def ffi_names(ccd_id: CcdId, settings: SimulationSettings) -> list[str]:
    """Return the file names of all images of a CCD, in the order of time."""
    return [ffi_name(ccd_id, start) for start in image_starts(ccd_id, settings)]


def cadence_index(name: str, ccd_id: CcdId, settings: SimulationSettings) -> int:
    """Return the number of the image, counted from 0, that has the file name ``name``.

    Raises
    ------
    InputDataError
        If no image of this CCD is called so.
    """
    match = re.match(r"tess(\d{13})-", name)
    if match:
        moment = datetime.strptime(match[1], "%Y%j%H%M%S").replace(tzinfo=UTC)
        seconds = moment.timestamp() + TDB_MINUS_UTC
        starts = image_starts(ccd_id, settings)
        index = int(np.argmin(np.abs(starts - (UNIX_EPOCH + seconds / SECONDS_PER_DAY))))
        if ffi_name(ccd_id, starts[index]) == name:
            return index
    raise InputDataError(f"{name}: not an image of the simulated {ccd_id}")


def image_kind(ccd_id: CcdId, index: int, settings: SimulationSettings) -> str:
    """Return what befalls an image, one of `KINDS`.

    Coarse pointing, dumps and scattered light befall all CCDs of a sector at
    the same time, empty images one CCD.
    """
    for kind, every in (
        ("zero", settings.zero_every),
        ("nan", settings.nan_every),
        ("dump", settings.dump_every),
        ("coarse", settings.coarse_every),
    ):
        if is_chosen(kind, every, ccd_id, index, settings):
            return kind
    return "scattered" if scattered_strength(ccd_id, index, settings) > 0 else "quiet"


def is_chosen(
    kind: str, every: int, ccd_id: CcdId, index: int, settings: SimulationSettings
) -> bool:
    """Return whether the one image of this kind, among the ``every`` around it, is this one."""
    if every == 0:
        return False
    per_ccd = kind in ("zero", "nan", "failed_wcs")
    rng = generator(settings, ccd_id, kind, index // every, per_ccd=per_ccd)
    return int(rng.integers(every)) == index % every


def scattered_strength(ccd_id: CcdId, index: int, settings: SimulationSettings) -> float:
    """Return how strong the scattered light is in an image, 0 to 1 (its worst)."""
    every, length = settings.scattered_every, settings.scattered_images
    if every == 0 or length == 0:
        return 0.0
    length = min(length, every)
    period, place = divmod(index, every)
    rng = generator(settings, ccd_id, "scattered", period)
    first = int(rng.integers(every - length + 1))
    phase = (place - first + 0.5) / length
    if not 0 < phase < 1:
        return 0.0
    return float(np.sin(np.pi * phase) ** 4)


def generator(
    settings: SimulationSettings, ccd_id: CcdId, purpose: str, *numbers: int, per_ccd: bool = False
) -> np.random.Generator:
    """Return the random generator for one purpose; ``per_ccd``: different on each CCD."""
    ccd = (ccd_id.camera, ccd_id.ccd) if per_ccd else (0, 0)
    text = int.from_bytes(purpose.encode(), "big")
    return np.random.default_rng([settings.seed, ccd_id.sector, *ccd, text, *numbers])


def _cadence_days(settings: SimulationSettings) -> float:
    return settings.cadence_seconds / SECONDS_PER_DAY
