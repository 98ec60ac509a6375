"""``cutouts.ecsv``: the cutouts of a CCD, where they are, and which are not used and why."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tessphot_lib.core.constants import PIXEL_SCALE
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

if TYPE_CHECKING:
    from astropy.wcs import WCS

# 15x15, or of newer astrocut 15-x-15, 5arcmin-x-4arcmin.
_NUMBER, _SIZE = r"([-+]?\d+(?:\.\d*)?)", r"(\d+(?:\.\d*)?)([a-z]*)"
TARGET_IN_NAME = re.compile(rf"_{_NUMBER}_{_NUMBER}_{_SIZE}(?:x|-x-){_SIZE}_")
UNITS = {"": 1.0, "pix": 1.0, "pixel": 1.0}  # [pixels] of sizes
UNITS |= {"arcsec": 1 / PIXEL_SCALE, "arcmin": 60 / PIXEL_SCALE, "deg": 3600 / PIXEL_SCALE}
_WCS_KEYS = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


def write_cutout_table(path: Path, rows: list[dict], ccd_id: CcdId) -> None:
    """Write one row per cutout, as far as it is known.

    ``path``, ``status`` (ok, unusable, contradiction), ``reason``, ``window``,
    ``wcs`` (a WCS). ``target_ra``, ``target_dec`` and ``size`` come from the
    names of the files, so that they are there for cutouts that cannot be read;
    ``tic_id`` is the star of a target pixel file, 0 for cutouts and where it is not known.
    """
    from astropy.table import Table

    table = Table(meta={"ccd": str(ccd_id)})
    for name in ("path", "status", "reason"):
        table[name] = np.array([str(row.get(name, "")) for row in rows], dtype=str)
    windows = [row["window"].as_list() if "window" in row else [0, 0, 0, 0] for row in rows]
    for index, name in enumerate(("row0", "row1", "column0", "column1")):
        table[name] = np.array([window[index] for window in windows], dtype=np.int64)
    targets = [row.get("target") or target_in_name(Path(row["path"]).name) for row in rows]
    for index, name in enumerate(("target_ra", "target_dec", "size")):
        table[name] = np.array([target[index] for target in targets], dtype=float)
    table["tic_id"] = np.array([row.get("tic_id", 0) for row in rows], dtype=np.int64)
    for index, key in enumerate(_WCS_KEYS):
        table[key] = np.array([_wcs_values(row.get("wcs"))[index] for row in rows], dtype=float)
    write_ecsv(path, table)


def read_cutout_table(path: Path) -> list[dict]:
    """Read the cutouts that are used.

    ``path``, ``window``, ``wcs`` (linear, zero-based), ``tic_id``, the star of a target
    pixel file, 0 for cutouts, and ``target``, its (ra, dec) [deg].
    """
    from astropy.wcs import WCS

    table = read_ecsv(path)
    rows = []
    for row in table[np.asarray(table["status"]) == "ok"]:
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        values = [float(row[key]) for key in _WCS_KEYS]
        wcs.wcs.crpix, wcs.wcs.crval = values[:2], values[2:4]
        wcs.wcs.cd = np.array(values[4:]).reshape(2, 2)
        wcs.wcs.set()
        window = Window(*(int(row[key]) for key in ("row0", "row1", "column0", "column1")))
        path = Path(str(row["path"]))
        target = float(row["target_ra"]), float(row["target_dec"])
        about = {"path": path, "tic_id": int(row["tic_id"]), "target": target}
        rows.append(about | {"window": window, "wcs": wcs})
    return rows


def read_unused_cutouts(path: Path) -> list[dict]:
    """Read what is not used: ``path``, ``reason``, ``tic_id``, ``ra``, ``dec``, ``size``.

    Position [deg] and longer side [pixels] are those in the file's name, else NaN; ``tic_id``
    is the star of a target pixel file, if it is known.
    """
    table = read_ecsv(path)
    rows = table[np.asarray(table["status"]) != "ok"]
    return [
        {
            "path": Path(str(row["path"])),
            "reason": str(row["reason"]),
            "tic_id": int(row["tic_id"]),
            "ra": float(row["target_ra"]),
            "dec": float(row["target_dec"]),
            "size": float(row["size"]),
        }
        for row in rows
    ]


def target_in_name(name: str) -> tuple[float, float, float]:
    """Position [deg] and longer side [pixels] that astrocut writes into a file's name, else NaN."""
    match = TARGET_IN_NAME.search(name)
    if match is None:
        return np.nan, np.nan, np.nan
    sides = [float(match[group]) * UNITS.get(match[group + 1], np.nan) for group in (3, 5)]
    return float(match[1]), float(match[2]), max(sides)


def _wcs_values(wcs: "WCS | None") -> list[float]:
    """The eight numbers of a linear WCS."""
    if wcs is None:
        return [np.nan] * len(_WCS_KEYS)
    matrix = wcs.pixel_scale_matrix
    return [*wcs.wcs.crpix, *wcs.wcs.crval, *matrix.ravel()]
