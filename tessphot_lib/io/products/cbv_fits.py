"""Cotrending basis vectors of a CCD as a FITS file, laid out as the mission's (``*_cbv.fits``).

====================  ======================================================================
CBV.single-scale.C.D  table of TIME [BTJD], CADENCENO, GAP and VECTOR_1, VECTOR_2, … (camera
                      C, CCD D); vectors of rms one, 0 where GAP is true
CBV.spike.C.D         the same rows without vectors: readers of the mission's files ask for it
QUIET_STARS           the stars that the vectors are from: TICID, ROW, COLUMN [zero-based
                      science pixels], LOADING_1, … (relative flux per unit of each vector)
====================  ======================================================================

The vectors are what the stars have in common *besides* the image motion. Times are barycentric
for the center of the CCD. The mission's multi-scale bands have no equivalent.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_provenance import note_long_strings, note_provenance
from tessphot_lib.io.products.time_cards import time_cards


def cbv_path(ccd_id: CcdId, cadence_seconds: float) -> Path:
    """Return the path of the file below the folder of all basis vectors.

    lightkurve takes the first file of a folder whose name has sector, camera and CCD: those of
    target pixel files have folders of their own, by cadence.
    """
    folder = Path(f"c{ccd_id.cadence:04d}") if ccd_id.has_stamps else Path()
    return folder / (
        f"tess-s{ccd_id.sector:04d}-{ccd_id.camera}-{ccd_id.ccd}"
        f"-c{round(cadence_seconds):04d}_cbv.fits"
    )


def write_cbvs(
    path: Path, arrays: Mapping[str, NDArray], attributes: Mapping[str, Any], ccd_id: CcdId
) -> None:
    """Write the file; ``path`` appears complete or not at all.

    Parameters
    ----------
    path : Path
    arrays, attributes : mapping
        From `tessphot_lib.io.products.trends_hdf5.read_trends_file`.
    ccd_id : CcdId
    """
    primary = fits.PrimaryHDU()
    for key, value, comment in (
        ("NEXTEND", 3, "number of standard extensions"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        *_ccd_cards(ccd_id),
        ("REMARK", str(attributes["remark"]), "why there are no vectors"),
    ):
        if value != "":
            primary.header[key] = (value, comment)
    note_provenance(primary.header, attributes)
    tables = [
        fits.BinTableHDU.from_columns(_rows(arrays, with_vectors=True)),
        fits.BinTableHDU.from_columns(_rows(arrays, with_vectors=False)),
        fits.BinTableHDU.from_columns(_stars(arrays), name="QUIET_STARS"),
    ]
    for kind, table in zip(("single-scale", "spike"), tables, strict=False):
        # Set by hand: astropy's `name` would make capitals of it.
        table.header["EXTNAME"] = f"CBV.{kind}.{ccd_id.camera}.{ccd_id.ccd}"
        for key, value, comment in (*_ccd_cards(ccd_id), *_time_cards(attributes)):
            table.header[key] = (value, comment)
        note_long_strings(table.header)
    with complete_file(path) as partial:
        fits.HDUList([primary, *tables]).writeto(partial, checksum=True, overwrite=True)


def _ccd_cards(ccd_id: CcdId) -> list[tuple[str, int, str]]:
    return [
        ("SECTOR", ccd_id.sector, "observing sector"),
        ("CAMERA", ccd_id.camera, "camera number (1-4)"),
        ("CCD", ccd_id.ccd, "CCD number (1-4)"),
    ]


def _time_cards(attributes: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    step = float(attributes["cadence_seconds"]) / SECONDS_PER_DAY
    return [
        *time_cards(),
        ("TIMEDEL", step, "[d] time resolution of data"),
    ]


def _rows(arrays: Mapping[str, NDArray], *, with_vectors: bool) -> list[fits.Column]:
    """Columns of a table of all cadences."""
    vectors = arrays["vectors"]
    gap = ~np.isfinite(vectors).all(axis=1)
    columns = [
        fits.Column("TIME", "D", unit="BJD - 2457000, days", disp="D14.7", array=arrays["time"]),
        fits.Column("CADENCENO", "J", disp="I10", array=arrays["cadenceno"]),
        fits.Column("GAP", "L", array=gap),
    ]
    if with_vectors:
        columns += [
            fits.Column(f"VECTOR_{number}", "D", array=np.where(gap, 0.0, vector))
            for number, vector in enumerate(vectors.T, start=1)
        ]
    return columns


def _stars(arrays: Mapping[str, NDArray]) -> list[fits.Column]:
    columns = [
        fits.Column("TICID", "K", array=arrays["tic_id"]),
        fits.Column("ROW", "D", unit="pixel", array=arrays["row"]),
        fits.Column("COLUMN", "D", unit="pixel", array=arrays["column"]),
    ]
    columns += [
        fits.Column(f"LOADING_{number}", "D", array=loading)
        for number, loading in enumerate(arrays["loadings"].T, start=1)
    ]
    return columns
