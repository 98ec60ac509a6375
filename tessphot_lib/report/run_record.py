"""``run.json``: what ran when, on what, with which settings, and how much came out."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from tessphot_lib.core.flags import is_bad_for_all_stars
from tessphot_lib.core.provenance import software_version
from tessphot_lib.io.files.json_files import write_json
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.products.pixels_hdf5 import read_image_quality
from tessphot_lib.io.products.todo_tables import ccd_of_row

PACKAGES = ("astropy", "h5py", "hdf5plugin", "isal", "numpy", "pandas", "scipy", "snakemake")
TIMES = ("began", "ended")  # all that differs between equal runs on equal software


def write_run_record(
    path: Path,
    stars: pd.DataFrame,
    *,
    ffi_tables: Sequence[Path],
    pixels: Sequence[Path],
    config: Mapping[str, Any],
    began: Path | None,
) -> None:
    """Write the record of a run; nothing in it tells on which computer, or in which folder.

    Parameters
    ----------
    path : Path
        ``run.json``
    stars : DataFrame
        Todo list and diagnostics joined: ``sector``, ``camera``, ``ccd``, ``lightcurve``.
    ffi_tables, pixels : sequence of Path
        ``ffis.ecsv`` and ``pixels.hdf5`` of each CCD, in the same order.
    config : mapping
        The whole configuration, defaults included.
    began : Path or None
        A file that was written when the run was started: its time counts. If it
        is not there, ``began`` is null.

    Raises
    ------
    InputDataError
        If a table or a cube cannot be read.
    """
    record = {
        "software": f"tessphot {software_version()}",
        "began": _iso(began.stat().st_mtime) if began is not None and began.exists() else None,
        "ended": _iso(datetime.now(UTC).timestamp()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "ccds": _counts(ffi_tables, pixels, stars),
        "settings": dict(config),
    }
    write_json(path, record, indent=2)


def _counts(
    ffi_tables: Sequence[Path], pixels: Sequence[Path], stars: pd.DataFrame
) -> dict[str, dict[str, int]]:
    """Numbers of images and stars, by the name of the CCD.

    Images are left out (unreadable or twice there: they have no place in the
    light curves), flagged (``QUALITY`` of every star is bad), or used.
    """
    names = pd.Series([str(ccd_of_row(star)) for star in stars.to_dict("records")], stars.index)
    by_ccd = stars["lightcurve"].groupby(names).agg(["size", "count"])
    counted = {key: row for key, *row in by_ccd.itertuples(name=None)}
    counts = {}
    for path, cube in sorted(zip(ffi_tables, pixels, strict=True)):
        table = read_ffi_table(path)
        is_bad = is_bad_for_all_stars(*read_image_quality(cube))
        name = str(table.meta["ccd"])
        n_stars, n_light_curves = counted.get(name, (0, 0))
        counts[name] = {
            "images": len(table),
            "images_left_out": sum(str(status) != "ok" for status in table["status"]),
            "images_flagged": int(is_bad.sum()),
            "images_used": int((~is_bad).sum()),
            "stars": int(n_stars),
            "light_curves": int(n_light_curves),
        }
    return counts


def _iso(timestamp: float) -> str:
    """Universal time, whatever the clock of the machine is set to."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
