"""Cutouts of TESScut as files: their names, and where they are. Nothing here opens one.

Imported whenever the workflow is read, so it needs the standard library only.
"""

import os
import re
from pathlib import Path

from tessphot_lib.io.ffi_files import FfiFile
from tessphot_lib.model import CcdId

CUTOUT_NAME = re.compile(r"tess-s(\d{4})-([1-4])-([1-4])[_-].*\.fits(\.gz)?")


def find_cutouts(folder: str | os.PathLike) -> dict[CcdId, list[FfiFile]]:
    """Find the cutouts below a folder by the names that TESScut gives them.

    Returns
    -------
    dict of CcdId to list of FfiFile
        Sorted by name; ``stamp`` is empty, since a cutout is of many images.
    """
    found: dict[CcdId, list[FfiFile]] = {}
    paths = Path(folder).rglob("tess-s*.fits*")
    for path in sorted(paths, key=lambda path: (path.name, str(path))):
        match = CUTOUT_NAME.fullmatch(path.name)
        if match is not None and match[1] != "0000":
            ccd_id = CcdId(int(match[1]), int(match[2]), int(match[3]))
            found.setdefault(ccd_id, []).append(FfiFile("", str(path), False))
    return found
