"""``ffis.ecsv``: the images of a CCD in time order, with what their headers say."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv
from tessphot_lib.io.images.refusal import REFUSAL

if TYPE_CHECKING:
    from astropy.table import Row, Table

TIME_ERROR = "TIMEERR"  # key in ``image_header``: 1-sigma error of the times of all images [s]
# (column, dtype, unit, description)
COLUMNS = (
    ("path", "str", None, "file"),
    ("status", "str", None, "ok, or why it is not used: duplicate, unusable"),
    ("reason", "str", None, "the error, for images that are not used"),
    ("time_start", "f8", "d", "start, barycentric for the CCD's centre [BTJD]"),
    ("time", "f8", "d", "middle [BTJD]"),
    ("time_stop", "f8", "d", "end [BTJD]"),
    ("timecorr", "f8", "d", "barycentric correction in these times"),
    ("time_shift", "f8", "s", "added to the middle that the header has; see core/clock.py"),
    ("centre_ra", "f8", "deg", "direction that timecorr is for, by the image's own WCS"),
    ("centre_dec", "f8", "deg", "direction that timecorr is for"),
    ("centre_error", "f8", "arcsec", "1-sigma error of that direction; NaN: negligible"),
    ("exposure_time", "f8", "s", "time on source"),
    ("cadenceno", "i8", None, "the mission's number of the image"),
    ("quality", "i8", None, "bits of tessphot_lib.core.flags.CadenceFlag"),
    ("has_wcs", "bool", None, "whether the header has a usable WCS"),
    ("is_reference", "bool", None, "the image whose WCS is the CCD's"),
)


def write_ffi_table(
    path: Path,
    rows: list[dict],
    ccd_id: CcdId,
    *,
    wcs: str | None = None,
    image_header: Mapping[str, Any] | None = None,
    attributes: Mapping[str, str] | None = None,
    refusal: str | None = None,
) -> None:
    """Write one row per image; missing numbers are written as NaN, 0 or False.

    ``refusal`` says why the images must not be used as they are: whoever reads the table gets
    this as an error. It is not one of the job that writes the table: Snakemake would delete the
    old one, and make everything that was made with it again.

    ``wcs`` (header cards of the reference image or, for cutouts, of the CCD's WCS, pixels of
    the full image), ``image_header`` (keywords that all images share, if they are not in
    ``wcs``) and ``attributes``, of `tessphot_lib.core.provenance.provenance`, go into the
    head of the table.
    """
    from astropy.table import Table

    empty = {"str": "", "f8": np.nan, "i8": 0, "bool": False}
    table = Table(meta={"ccd": str(ccd_id)} | dict(attributes or {}))
    if refusal is not None:
        table.meta[REFUSAL] = refusal
    if wcs is not None:
        table.meta |= {"wcs": wcs, "image_header": dict(image_header or {})}
    for name, dtype, unit, description in COLUMNS:
        table[name] = np.array([row.get(name, empty[dtype]) for row in rows], dtype=dtype)
        table[name].unit = unit
        table[name].description = description
    write_ecsv(path, table)


def plain_keywords(header: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Pick the keywords that are there and can be kept as they are, for ``image_header``."""
    found = {key: header[key] for key in keys if key in header}
    return {key: value for key, value in found.items() if isinstance(value, str | int | float)}


def read_ffi_table(path: Path, *, even_if_refused: bool = False) -> "Table":
    """Read back what `write_ffi_table` wrote.

    Raises
    ------
    InputDataError
        If the images are refused, with the reason, unless ``even_if_refused``.
    """
    table = read_ecsv(path)
    if REFUSAL in table.meta and not even_if_refused:
        raise InputDataError(table.meta[REFUSAL])
    return table


def quality_by_name(path: Path) -> dict[str, int]:
    """Quality of the images that are used, by the names of their files."""
    table = read_ffi_table(path)
    return {
        Path(str(row["path"])).name: int(row["quality"]) for row in table if row["status"] == "ok"
    }


def start_by_name(path: Path) -> dict[str, float]:
    """Start of the exposure [BTJD] of the images that are used, by the names of their files."""
    table = read_ffi_table(path)
    return {
        Path(str(row["path"])).name: float(row["time_start"])
        for row in table
        if row["status"] == "ok"
    }


def reference_image(path: Path) -> Path:
    """Return the image whose WCS is the CCD's.

    Raises
    ------
    InputDataError
        If no image has one.
    """
    return Path(str(_reference_row(read_ffi_table(path), path)["path"]))


def _reference_row(table: "Table", path: Path) -> "Row":
    """The row of the image whose WCS is the CCD's."""
    rows = table[np.asarray(table["is_reference"], dtype=bool)]
    if len(rows) != 1:
        raise InputDataError(f"{path}: no image of {table.meta['ccd']} has a usable WCS")
    return rows[0]


def reference_header(path: Path, ccd_id: CcdId) -> tuple[fits.Header, str]:
    """Return the header with the WCS of a CCD, and the name of its reference image.

    As the table keeps it: the image itself may have been deleted since.

    Raises
    ------
    InputDataError
        If no image has a WCS, or the table is one of before it kept the header.
    """
    table = read_ffi_table(path)
    row = _reference_row(table, path)
    reference = Path(str(row["path"]))
    if "wcs" not in table.meta:
        raise InputDataError(
            f"{path}: has no WCS of {ccd_id}, as tables of older versions: delete it, and it is "
            "made again"
        )
    header = fits.Header.fromstring(table.meta["wcs"], sep="\n")
    header.update(table.meta["image_header"])
    header["TSTART"], header["TSTOP"] = float(row["time_start"]), float(row["time_stop"])
    return header, reference.name


def unused_images(path: Path) -> set[str]:
    """Paths of the images that are listed as not to be used: duplicates and unusable ones."""
    table = read_ffi_table(path)
    return {str(row["path"]) for row in table if row["status"] != "ok"}
