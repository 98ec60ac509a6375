"""``run.json``: what ran when, on what, with which settings, and how much came out."""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from tessphot_lib.io.atomic import complete_file
from tessphot_lib.io.ffi_table import read_ffi_table
from tessphot_lib.provenance import software_version

PACKAGES = ("astropy", "h5py", "hdf5plugin", "isal", "numpy", "pandas", "scipy", "snakemake")
TIMES = ("began", "ended")  # all that differs between equal runs on equal software


def write_run_record(
    path: Path,
    stars: pd.DataFrame,
    *,
    ffi_tables: Sequence[Path],
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
    ffi_tables : sequence of Path
        ``ffis.ecsv`` of each CCD.
    config : mapping
        The whole configuration, defaults included.
    began : Path or None
        A file that was written when the run was started: its time counts. If it
        is not there, ``began`` is null.

    Raises
    ------
    InputDataError
        If a table cannot be read.
    """
    record = {
        "software": f"tessphot {software_version()}",
        "began": _iso(began.stat().st_mtime) if began is not None and began.exists() else None,
        "ended": _iso(datetime.now(UTC).timestamp()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "ccds": dict(_counts(table, stars) for table in sorted(ffi_tables)),
        "settings": dict(config),
    }
    with complete_file(path) as partial:
        partial.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def _counts(table_path: Path, stars: pd.DataFrame) -> tuple[str, dict[str, int]]:
    """Name of a CCD, and the numbers of its images and stars."""
    table = read_ffi_table(table_path)
    name = str(table.meta["ccd"])
    names = [
        f"s{sector:04d}-cam{camera}-ccd{ccd}"
        for sector, camera, ccd in stars[["sector", "camera", "ccd"]].itertuples(index=False)
    ]
    own = stars[[one == name for one in names]]
    return name, {
        "images": len(table),
        "images_used": sum(str(status) == "ok" for status in table["status"]),
        "stars": len(own),
        "light_curves": int(own["lightcurve"].notna().sum()),
    }


def _iso(timestamp: float) -> str:
    """Universal time, whatever the clock of the machine is set to."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
