"""Full-frame images as files: names, folders, and the blocks of time they fall in.

Nothing here opens an image. The module is imported whenever the workflow is
read, so it needs the standard library only.

A stamp is the 13 digits ``yyyydddhhmmss`` (UTC, day of the year) of a file name.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tessphot_lib.core.constants import BTJD_UNIX, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.json_files import write_json

FFI_NAME = re.compile(
    r"tess(?P<stamp>\d{13})-s(?P<sector>\d{4})-(?P<camera>[1-4])-(?P<ccd>[1-4])"
    r"-(?P<scid>\d{4})-(?P<kind>[xsab])_ffic\.fits(?P<gzipped>\.gz)?"
)
INCOMING = ".incoming"  # folder beside downloaded images for those of an incomplete block
STAMP_RESOLUTION = 10  # [s] cadences are multiples of this; stamps are good to about 1 s
DEFAULT_CADENCE = 1800  # [s] where a single image leaves nothing to take a difference of


class FfiFile(NamedTuple):
    """One file that holds a full-frame image, as its name tells."""

    stamp: str  # yyyydddhhmmss
    path: str
    duplicate: bool  # another file of the same CCD and stamp comes before this one


def parse_ffi_name(name: str) -> tuple[CcdId, str] | None:
    """Read CCD and stamp from the name of a file; None for any other file."""
    match = FFI_NAME.fullmatch(name)
    if match is None or match["sector"] == "0000":
        return None
    ccd_id = CcdId(int(match["sector"]), int(match["camera"]), int(match["ccd"]))
    return ccd_id, match["stamp"]


def find_ffis(folder: str | os.PathLike) -> dict[CcdId, list[FfiFile]]:
    """Search a folder and all below it for full-frame images.

    Parameters
    ----------
    folder : path
        Links to folders are followed, hidden folders are left out.

    Returns
    -------
    dict of CcdId to list of FfiFile
        In order of time; where several files have the same stamp (compressed
        and not, in two folders, processed twice) all are kept, uncompressed
        ones first, then by path, and all but the first are marked.

    Raises
    ------
    InputDataError
        If the folder, or one below it, cannot be read, or a stamp is no date.
    """
    found: dict[CcdId, list[tuple[str, bool, str]]] = {}
    for name, path in walk_files(os.fspath(folder)):
        parsed = parse_ffi_name(name)
        if parsed is None:
            continue
        ccd_id, stamp = parsed
        found.setdefault(ccd_id, []).append((stamp, name.endswith(".gz"), path))
    return {ccd_id: _mark_duplicates(found[ccd_id]) for ccd_id in sorted(found)}


def name_btjd(stamp: str) -> float:
    """Turn the stamp of a file name into days since BTJD 0 (as UTC: good to a minute).

    Raises
    ------
    InputDataError
        If the digits are no date.
    """
    day, hour, minute, second = (int(stamp[i:j]) for i, j in ((4, 7), (7, 9), (9, 11), (11, 13)))
    if not (1 <= day <= 366 and hour < 24 and minute < 60 and second <= 60):
        raise InputDataError(f"time stamp {stamp!r} in a file name is no date (yyyydddhhmmss)")
    seconds = hour * 3600 + minute * 60 + second
    return _btjd_of_year(int(stamp[:4])) + (day - 1) + seconds / SECONDS_PER_DAY


def cadence_of(stamps: Iterable[str]) -> int:
    """Find the time between images [s]: the median difference, rounded to 10 s.

    Repeated stamps count once; with fewer than two it is 1800 s.
    """
    times = sorted(name_btjd(stamp) for stamp in set(stamps))
    if len(times) < 2:
        return DEFAULT_CADENCE
    difference = median(later - earlier for earlier, later in pairwise(times))
    rounded = round(difference * SECONDS_PER_DAY / STAMP_RESOLUTION) * STAMP_RESOLUTION
    return max(rounded, STAMP_RESOLUTION)


def block_of(stamp: str, cadence: float, block_size: int) -> str:
    """Name the block of time an image belongs to.

    Blocks are ``block_size`` cadences of ``cadence`` seconds long and counted
    from BTJD 0, so that no image changes its block when others come or go.
    """
    length = block_size * cadence / SECONDS_PER_DAY
    return f"b{math.floor(name_btjd(stamp) / length):07d}"


def group_in_blocks(ffis: Iterable[FfiFile], block_size: int) -> dict[str, list[str]]:
    """Sort the images of one CCD into blocks: block name to paths, both in order of time."""
    ffis = list(ffis)
    cadence = cadence_of(ffi.stamp for ffi in ffis)
    blocks: dict[str, list[str]] = {}
    for ffi in ffis:
        blocks.setdefault(block_of(ffi.stamp, cadence, block_size), []).append(ffi.path)
    return blocks


def set_aside(images: Iterable[Path]) -> None:
    """Move the images of a block that is not complete into the folder of incoming ones.

    Parameters
    ----------
    images : iterable of Path
        All images that the block should have. Where none or all are there,
        nothing is done.
    """
    images = list(images)
    here = [image for image in images if image.exists()]
    for image in here if len(here) < len(images) else []:
        incoming = image.parent / INCOMING
        incoming.mkdir(exist_ok=True)
        image.replace(incoming / image.name)


def write_listing(cache: Path, found: Mapping[CcdId, list[FfiFile]]) -> None:
    """Keep all that `find_ffis` found: one small file per CCD, and the list of the CCDs.

    Parameters
    ----------
    cache : Path
        Folder for these files, made if need be; what it held before is replaced.
    found : mapping of CcdId to list of FfiFile
    """
    for ccd_id, ffis in found.items():
        write_json(cache / f"{ccd_id}.json", ffis)
    write_json(cache / "ccds.json", [str(ccd_id) for ccd_id in found])


def listed_ccds(cache: Path) -> list[CcdId]:
    """Return which CCDs `write_listing` kept images of.

    Raises
    ------
    InputDataError
        If nothing was kept.
    """
    return [CcdId.from_string(name) for name in _read_json(cache / "ccds.json")]


def read_listing(cache: Path, ccd_id: CcdId) -> list[FfiFile]:
    """Read back what `write_listing` kept of one CCD.

    Raises
    ------
    InputDataError
        If nothing was kept.
    """
    return [FfiFile(*entry) for entry in _read_json(cache / f"{ccd_id}.json")]


def walk_files(folder: str, seen: set[tuple[int, int]] | None = None) -> Iterable[tuple[str, str]]:
    """Yield (name, path) of all files below a folder, in no order; no folder twice."""
    seen = set() if seen is None else seen
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            entries = list(entries)
    except OSError as error:
        raise InputDataError(f"{folder}: cannot be searched: {error.strerror}") from None
    for entry in entries:
        if entry.is_dir():
            if not entry.name.startswith("."):
                yield from walk_files(entry.path, seen)
        else:
            yield entry.name, entry.path


def _mark_duplicates(entries: list[tuple[str, bool, str]]) -> list[FfiFile]:
    """Sort (stamp, compressed, path) and mark all but the first of each stamp."""
    entries.sort()
    earlier = [None, *(stamp for stamp, _, _ in entries)]
    return [
        FfiFile(stamp, path, stamp == before)
        for (stamp, _, path), before in zip(entries, earlier, strict=False)
    ]


def _read_json(path: Path) -> list:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputDataError(
            f"{path}: the list of the images is missing; Snakemake's main process writes it, "
            "and its jobs must see the same folder"
        ) from None


@lru_cache
def _btjd_of_year(year: int) -> float:
    """BTJD of January 1, 0 h."""
    return BTJD_UNIX + (date(max(year, 1), 1, 1) - date(1970, 1, 1)).days
