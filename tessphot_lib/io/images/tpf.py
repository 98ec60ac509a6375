"""Times and quality of SPOC's target pixel files (``*_tp.fits``, plain or gzipped)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.clock import stamp_shift
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.flags import MISSION_BITS
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.damage import read_count, told_as_damage
from tessphot_lib.io.images.tpf_rows import open_tpf, read_rows, read_to_end, row_dtype

COLUMNS = {"TIME": ">f8", "TIMECORR": ">f4", "CADENCENO": ">i4", "QUALITY": ">i4"}
MOTION_COLUMNS = {"POS_CORR1": ">f4", "POS_CORR2": ">f4"}
BTJD_RANGE = 1000.0, 20000.0  # [d], 2017 to 2069
BYTES_AT_ONCE = 2_500_000  # of the table; the pixels in them are passed over


@dataclass(frozen=True)
class TpfCadences:
    """Cadences of a target pixel file; all arrays (n,).

    Attributes
    ----------
    time, timecorr : float64 arrays
        Barycentric mid-times [BTJD], with the shifts of early releases, and the
        correction in them [d]; NaN where the file has none.
    cadenceno, quality : int64 arrays
    pos_corr_row, pos_corr_column : float64 arrays
        Motion of the star against the WCS of the file [pixels]; NaN where the file has none.
    """

    time: NDArray
    timecorr: NDArray
    cadenceno: NDArray
    quality: NDArray
    pos_corr_row: NDArray
    pos_corr_column: NDArray


def read_tpf_cadences(path: Path, ccd_id: CcdId, *, with_motion: bool = False) -> TpfCadences:
    """Read what a target pixel file says of its cadences, without keeping its pixels.

    Parameters
    ----------
    path : Path
    ccd_id : CcdId
        Without a cadence.
    with_motion : bool
        Whether POS_CORR is read, too; NaN otherwise.

    Raises
    ------
    InputDataError
        If the file cannot be read, lacks a column, or is of another CCD, if its cadence
        numbers or times do not increase, or its times are no BTJD.
    """
    with told_as_damage(path):
        with open_tpf(path) as file:
            primary = fits.Header.fromfile(file)
            header = fits.Header.fromfile(file)
            numbers = [primary[key] for key in ("SECTOR", "CAMERA", "CCD")]
            if any(type(number) is not int for number in numbers):
                raise ValueError(f"SECTOR, CAMERA and CCD are {numbers}")
            found = _ccd_id(path, numbers)
            wanted = COLUMNS | (MOTION_COLUMNS if with_motion else {})
            columns = _read_columns(file, header, wanted)
            if path.suffix == ".gz":
                read_to_end(file)
        _check_order(columns)
        shift = stamp_shift(primary)
    if found != ccd_id:
        raise InputDataError(f"{path}: it is of {found}, expected {ccd_id}")
    unknown = np.full(len(columns["TIME"]), np.nan)
    return TpfCadences(
        time=columns["TIME"].astype(float) + shift / SECONDS_PER_DAY,
        timecorr=columns["TIMECORR"].astype(float),
        cadenceno=columns["CADENCENO"].astype(np.int64),
        quality=columns["QUALITY"].astype(np.int64) & MISSION_BITS,
        pos_corr_row=columns.get("POS_CORR2", unknown).astype(float),
        pos_corr_column=columns.get("POS_CORR1", unknown).astype(float),
    )


def _ccd_id(path: Path, numbers: list[int]) -> CcdId:
    try:
        return CcdId(*numbers)
    except ConfigError as err:
        raise InputDataError(f"{path}: {err}") from err


def _check_order(columns: Mapping[str, NDArray]) -> None:
    """Raise ValueError if cadence numbers or times do not increase, or are no such."""
    time = columns["TIME"][np.isfinite(columns["TIME"])].astype(float)
    for name, values in (("CADENCENO", columns["CADENCENO"].astype(np.int64)), ("TIME", time)):
        if np.any(np.diff(values) <= 0):
            raise ValueError(f"column {name} does not increase")
    if len(time) and not BTJD_RANGE[0] < time[0] <= time[-1] < BTJD_RANGE[1]:
        raise ValueError(f"column TIME has {time[0]:.6g} to {time[-1]:.6g}, no BTJD")


def _read_columns(
    file: BinaryIO, header: fits.Header, wanted: Mapping[str, str]
) -> dict[str, NDArray]:
    """Take the needed columns out of the rows, a part of the table at a time."""
    n_rows = read_count(header, "NAXIS2")
    row = row_dtype(header, wanted)
    columns = {name: np.empty(n_rows, dtype=form) for name, form in wanted.items()}
    first = 0
    for rows in read_rows(file, row, n_rows, max(BYTES_AT_ONCE // row.itemsize, 1)):
        for name, values in columns.items():
            values[first : first + len(rows)] = rows[name]
        first += len(rows)
    return columns
