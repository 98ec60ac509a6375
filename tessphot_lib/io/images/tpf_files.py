"""Target pixel files as files: which there are, and which CCD each is of.

The module is imported whenever the workflow is read, so it needs the standard
library only. The name of a target pixel file has no camera and no CCD, and names are changed
by users: what a file is of is read from the first few ten kilobytes.
"""

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from tessphot_lib.core.constants import FRAME_TIME
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.json_files import write_json
from tessphot_lib.io.images.ffi_files import FfiFile, walk_files

TPF_NAME = re.compile(r".*[-_]tp\.fits(\.gz)?")
SECTOR_IN_NAME = re.compile(r"tess\d{13}-s(\d{4})-\d{16}-")
STAR_IN_NAME = re.compile(r"[-_](\d{16})[-_]|tic(\d+)-")
CADENCES = {"slow": 120, "fast": 20}  # [s], where the header does not say
LONGEST_CADENCE = 9999  # [s] names of CCDs have four digits for it
CARD, BLOCK, MAX_BLOCKS = 80, 2880, 30  # [bytes], [bytes], of a header
KEY = re.compile(r"(SECTOR|CAMERA|CCD|NUM_FRM) *= *(\d+)")
# The bits that are borrowed are those of the whole CCD, so that a few files tell them. One
# that is read has some 50 MB; one of 20-s cadences 300 MB.
MOST_FILES = {"slow": 20, "fast": 4}


def find_tpfs(folder: str | os.PathLike, ccd_ids: Iterable[CcdId]) -> dict[CcdId, list[str]]:
    """Search a folder and all below it for target pixel files of some CCDs.

    Parameters
    ----------
    folder : path
    ccd_ids : iterable of CcdId

    Returns
    -------
    dict of CcdId to list of str
        For each of ``ccd_ids`` the first files by name, at most `MOST_FILES` of
        each kind (120 s, 20 s); files whose header cannot be read are passed over.

    Raises
    ------
    InputDataError
        If the folder, or one below it, cannot be read.
    """
    found: dict[CcdId, list[str]] = {ccd_id: [] for ccd_id in ccd_ids}
    sectors = {ccd_id.sector for ccd_id in found}
    wanted = {(ccd_id, kind): most for ccd_id in found for kind, most in MOST_FILES.items()}
    for name, path in sorted(walk_files(os.fspath(folder))):
        named = SECTOR_IN_NAME.match(name)
        kind = "fast" if "fast" in name else "slow"
        if TPF_NAME.fullmatch(name) is None or (named and int(named[1]) not in sectors):
            continue
        if not any(left for (_, of_kind), left in wanted.items() if of_kind == kind):
            continue
        ccd_id = ccd_of_tpf(path)
        if wanted.get((ccd_id, kind)):
            wanted[ccd_id, kind] -= 1
            found[ccd_id].append(path)
    return found


def find_stamps(
    folder: str | os.PathLike, ccd_ids: Iterable[CcdId] | None
) -> tuple[dict[CcdId, list[FfiFile]], list[str]]:
    """Search a folder and all below it for the target pixel files to measure.

    Parameters
    ----------
    folder : path
    ccd_ids : iterable of CcdId or None
        CCDs, None: all; the cadences are those that are found.

    Returns
    -------
    found : dict of CcdId to list of FfiFile
        By CCD and cadence, of which the headers tell, sorted by name; ``stamp`` is empty.
    unusable : list of str
        What is wrong with files of the sectors, their headers: they do not say which CCD the
        file is of, or name another sector than its name.

    Raises
    ------
    InputDataError
        If the folder, or one below it, cannot be read.
    """
    wanted = None if ccd_ids is None else set(ccd_ids)
    sectors = None if wanted is None else {ccd_id.sector for ccd_id in wanted}
    found: dict[CcdId, list[FfiFile]] = {}
    unusable = []
    for name, path in sorted(walk_files(os.fspath(folder))):
        named = SECTOR_IN_NAME.match(name)
        is_other = named and sectors is not None and int(named[1]) not in sectors
        if TPF_NAME.fullmatch(name) is None or is_other:
            continue
        keys = _keys(path)
        ccd_id = _ccd_id(keys)
        if ccd_id is None:
            unusable.append(f"the header of {path} does not say which CCD it is of")
        elif named and ccd_id.sector != int(named[1]):
            unusable.append(f"the header of {path} says that it is of sector {ccd_id.sector}")
        elif wanted is None or ccd_id in wanted:
            cadence = _cadence(keys, name)
            found.setdefault(replace(ccd_id, cadence=cadence), []).append(FfiFile("", path, False))
    return found, unusable


def ccd_of_tpf(path: str) -> CcdId | None:
    """Read the CCD from the primary header; None where there is none."""
    return _ccd_id(_keys(path))


def _ccd_id(keys: Mapping[str, int]) -> CcdId | None:
    try:
        return CcdId(keys["SECTOR"], keys["CAMERA"], keys["CCD"])
    except (KeyError, TessphotError):
        return None


def _cadence(keys: Mapping[str, int], name: str) -> int:
    """Sampling interval [s] by the number of frames; where that is unknown, by the name."""
    cadence = round(keys.get("NUM_FRM", 0) * FRAME_TIME)
    return (
        cadence
        if 0 < cadence <= LONGEST_CADENCE
        else CADENCES["fast" if "fast" in name else "slow"]
    )


def _keys(path: str) -> dict[str, int]:
    """Numbers in the primary header and that of the table after it, as far as they are there."""
    keys: dict[str, int] = {}
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            for _ in ("primary", "table"):
                for card in _cards(file):
                    match = KEY.match(card)
                    if match:
                        keys.setdefault(match[1], int(match[2]))
    except (OSError, EOFError, zlib.error, ValueError):
        pass
    return keys


def _cards(file: BinaryIO) -> Iterator[str]:
    """Cards of the header that begins where a file stands; it then stands at its end."""
    for _ in range(MAX_BLOCKS):
        block = file.read(BLOCK).decode("ascii")
        for first in range(0, len(block), CARD):
            card = block[first : first + CARD]
            if card.startswith("END     "):
                return
            yield card
        if len(block) < BLOCK:
            return


def star_in_name(name: str) -> int:
    """TIC number in the name of a target pixel file; 0 where it has none."""
    match = STAR_IN_NAME.search(name)
    return int(match[1] or match[2]) if match else 0


def write_tpf_listing(path: Path, found: Mapping[CcdId, list[str]]) -> None:
    """Keep what `find_tpfs` found, for processes that shall not search again."""
    write_json(path, {str(ccd_id): paths for ccd_id, paths in found.items()})


def read_tpf_listing(path: Path) -> dict[CcdId, list[str]]:
    """Read back what `write_tpf_listing` kept; nothing where nothing was kept."""
    if not path.exists():
        return {}
    return {CcdId.from_string(name): paths for name, paths in json.loads(path.read_text()).items()}
