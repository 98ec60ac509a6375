"""``run.json``: what ran when, on what, with which settings, and how much came out."""

import math
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
from tessphot_lib.io.products.diagnostics_ecsv import DIAGNOSTICS_NAME
from tessphot_lib.io.products.pixels_summary import read_image_quality
from tessphot_lib.io.products.todo_tables import ccd_of_row

PACKAGES = ("astropy", "h5py", "hdf5plugin", "isal", "numpy", "pandas", "scipy", "snakemake")
# All that differs between equal runs on equal software.
TIMES = ("began", "ended", "commands")
CLOCK_ERROR = 2.0  # [s] by which the times of files may be behind the clock


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
        A file with the starts of all commands in this folder. Those that made a cube or
        measured a star which is still there count, each until it made the last of these; what
        was made before the first known start has none.

    Raises
    ------
    InputDataError
        If a table or a cube cannot be read.
    """
    commands = _commands(began, path.parent, pixels)
    record = {
        "software": f"tessphot {software_version()}",
        "began": commands[0]["began"] if commands else None,
        "ended": commands[-1]["ended"] if commands else None,
        "commands": commands,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "ccds": _counts(ffi_tables, pixels, stars),
        "settings": dict(config),
    }
    write_json(path, record, indent=2)


def _commands(
    began: Path | None, results: Path, pixels: Sequence[Path]
) -> list[dict[str, str | None]]:
    """Start and end of each command to which cubes and measured stars of these CCDs go back."""
    starts = []
    if began is not None and began.exists():
        lines = began.read_text(encoding="utf-8").split()
        starts = sorted(float(line) for line in lines)
    made: dict[float, float] = {}
    folders = [results / cube.parent.name for cube in pixels]
    tables = [path for folder in folders for path in (folder / "diagnostics").glob("*.ecsv")]
    tables += [folder / "targets" / DIAGNOSTICS_NAME for folder in folders]
    for path in (*pixels, *tables):
        if path.exists():
            time = path.stat().st_mtime
            start = max((one for one in starts if one <= time + CLOCK_ERROR), default=-math.inf)
            made[start] = max(time, made.get(start, time))
    return [
        {"began": _iso(start) if math.isfinite(start) else None, "ended": _iso(end)}
        for start, end in sorted(made.items())
    ]


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
