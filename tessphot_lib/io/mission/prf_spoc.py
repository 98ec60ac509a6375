"""The mission's own PRF files: FITS (one per position on the CCD) or the older MATLAB form.

Both are at MAST, in one folder per camera and CCD; where a folder of files is
asked for, it may be that of a CCD or one above it. A file holds the PRF in
samples of 1/9 pixel: every ninth sample is what pixels record of a star.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.damage import open_fits

FITS_NAME = r"tess\d+-prf-{camera}-{ccd}-row\d+-col\d+\.fits(\.gz)?"
MATLAB_NAME = r"tess\d+.*-{camera}-{ccd}-characterized-prf\.mat"
_BROKEN = (OSError, EOFError, KeyError, TypeError, ValueError, IndexError, MatReadError)


@dataclass(frozen=True)
class PrfSamples:
    """Samples of the PRF on a grid of positions.

    Attributes
    ----------
    row, column : (n_rows,), (n_columns,) arrays
        Positions [science pixels].
    samples : (n_rows, n_columns, n, n) array
        By the distance of the pixel from the star; the middle is the star.
    per_pixel : int
    """

    row: NDArray
    column: NDArray
    samples: NDArray
    per_pixel: int


def find_spoc_prf(folder: Path, ccd_id: CcdId) -> list[Path]:
    """Find the files of a camera and CCD in a folder and those below it, sorted by name.

    FITS files are preferred; of the versions of a file in folders named
    ``start_s0001``, ``start_s0004`` the newest not after the sector is taken.

    Raises
    ------
    InputDataError
        If there are none.
    """
    known = {"camera": ccd_id.camera, "ccd": ccd_id.ccd}
    for pattern in (FITS_NAME, MATLAB_NAME):
        name = re.compile(pattern.format(**known))
        found = sorted(path for path in folder.rglob("tess*") if name.fullmatch(path.name))
        starts = {_first_sector(path) for path in found}
        usable = [start for start in starts if start <= ccd_id.sector]
        if usable:
            return [path for path in found if _first_sector(path) == max(usable)]
    raise InputDataError(
        f"prf.folder: no PRF file of camera {ccd_id.camera}, CCD {ccd_id.ccd} in '{folder}' "
        f"(tess…-prf-{ccd_id.camera}-{ccd_id.ccd}-row…-col….fits or "
        f"tess…-{ccd_id.camera}-{ccd_id.ccd}-characterized-prf.mat)"
    )


def read_spoc_prf(paths: list[Path]) -> PrfSamples:
    """Read the files of one CCD.

    Raises
    ------
    InputDataError
        If one cannot be read, or they do not make a grid.
    """
    entries = [
        entry
        for path in paths
        for entry in (_read_matlab(path) if path.suffix == ".mat" else [_read_fits(path)])
    ]
    rows = np.unique([row for row, *_ in entries])
    columns = np.unique([column for _, column, *_ in entries])
    shapes = {samples.shape for _, _, samples, _ in entries}
    per_pixel = {number for *_, number in entries}
    if len(entries) != len(rows) * len(columns) or len(shapes) > 1 or len(per_pixel) > 1:
        raise InputDataError(
            f"{paths[0].parent}: the PRF files do not make a grid: {len(entries)} positions, "
            f"{len(rows)} rows, {len(columns)} columns, shapes {sorted(shapes)}"
        )
    shape = shapes.pop()
    if shape[0] != shape[1] or shape[0] % 2 == 0:
        raise InputDataError(f"{paths[0]}: its samples are {shape}, not an odd square")
    grid = np.full((len(rows), len(columns), *shape), np.nan)
    for row, column, samples, _ in entries:
        grid[np.searchsorted(rows, row), np.searchsorted(columns, column)] = samples
    if not np.isfinite(grid).all():
        raise InputDataError(f"{paths[0].parent}: the PRF files lack positions, or hold NaN")
    return PrfSamples(rows, columns, grid, per_pixel.pop())


def _first_sector(path: Path) -> int:
    """Sector from which on a file is valid, by the name of a folder above it; 1 for none."""
    match = re.search(r"start_s(\d{4})", str(path.parent))
    return int(match[1]) if match else 1


def _read_fits(path: Path) -> tuple[float, float, NDArray, int]:
    """Science row and column, samples, and samples per pixel of a file."""
    try:
        with open_fits(path, memmap=False) as hdus:
            header, samples = hdus[0].header, np.array(hdus[0].data, dtype=float)
            row, column = float(header["CCD_RREF"]) - 1, float(header["CCD_CREF"]) - 1
            return row, column - FIRST_SCIENCE_COLUMN, samples, int(header["NSAMP"])
    except _BROKEN as err:
        raise InputDataError(f"{path}: not a PRF file of the mission: {err}") from err


def _read_matlab(path: Path) -> list[tuple[float, float, NDArray, int]]:
    """The same for all positions in a MATLAB file."""
    try:
        content = loadmat(path, struct_as_record=False, squeeze_me=True)["prfStruct"]
        result = []
        for entry in np.atleast_1d(content):
            row, column = float(entry.ccdRow) - 1, float(entry.ccdColumn) - 1
            step = float(np.median(np.diff(np.ravel(entry.prfRow))))
            samples = np.array(entry.values, dtype=float)
            result.append((row, column - FIRST_SCIENCE_COLUMN, samples, round(1 / step)))
    except (*_BROKEN, AttributeError) as err:
        raise InputDataError(f"{path}: not a PRF file of the mission: {err}") from err
    return result
