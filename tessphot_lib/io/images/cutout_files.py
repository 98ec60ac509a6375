"""Cutouts of TESScut as files: their names, and where they are. Nothing here opens one.

Imported whenever the workflow is read, so it needs the standard library only.
"""

import os
import re

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.ffi_files import FfiFile, walk_files

# Not the light curves that lightkurve's `interact` writes beside them, ..._astrocut-custom-lc.fits,
# nor the cubes that they are cut out of, nor the basis vectors of a run.
CUTOUT_NAME = re.compile(
    r"tess-s(\d{4})-([1-4])-([1-4])[_-].*(?<![_-]lc)(?<![_-]cbv)(?<![_-]cube)\.fits(\.gz)?"
)


def find_cutouts(folder: str | os.PathLike) -> dict[CcdId, list[FfiFile]]:
    """Find the cutouts below a folder by the names that TESScut gives them.

    Returns
    -------
    dict of CcdId to list of FfiFile
        Sorted by name; ``stamp`` is empty, since a cutout is of many images.
        Links to folders are followed, hidden folders are left out.

    Raises
    ------
    InputDataError
        If the folder, or one below it, cannot be read.
    """
    found: dict[CcdId, list[FfiFile]] = {}
    for name, path in sorted(walk_files(os.fspath(folder))):
        match = CUTOUT_NAME.fullmatch(name)
        if match is not None and match[1] != "0000":
            ccd_id = CcdId(int(match[1]), int(match[2]), int(match[3]))
            found.setdefault(ccd_id, []).append(FfiFile("", path, False))
    return found
