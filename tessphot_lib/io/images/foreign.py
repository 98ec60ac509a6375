"""Files in a folder of images that are not what is looked for: which, how many, what to do.

Told by their names; nothing here opens one. Imported whenever the workflow is read: standard
library only.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.cutout_files import CUTOUT_NAME
from tessphot_lib.io.images.ffi_files import FFI_NAME, walk_files

_FFI = r"tess\d{13}-s\d{4}-\d-\d-\d{4}-[xsab]_ffi"
_CCD_OF_CUTOUT = re.compile(r"s(?P<sector>\d{4})-(?P<camera>\d)-(?P<ccd>\d)")


class Kind(NamedTuple):
    """Files of one kind."""

    name: str
    pattern: re.Pattern[str]
    advice: str
    is_image: bool  # of the same pixels: one that is left out is missed in the light curves
    is_told: bool = False  # FITS files that do not belong among images of any kind


def _kind(
    name: str, pattern: str, advice: str, *, is_image: bool = False, is_told: bool = False
) -> Kind:
    return Kind(name, re.compile(pattern, re.IGNORECASE), advice, is_image, is_told)


WITHOUT_SECTOR = _kind(
    "files of sector 0", r"tess(\d{13})?-s0000-.*", "there is none: give them their names"
)
CUTOUTS = Kind("cutouts of TESScut", CUTOUT_NAME, "set input.source: tesscut, cutout_dir", False)
FFIS = Kind("full-frame images", FFI_NAME, "set input.source: ffi, and input.ffi_dir", False)
CUBES = _kind(
    "cubes of TESScut",
    r"tess-s\d{4}-\d-\d.*-cube\.fits.*",
    "cut pieces out of them",
    is_told=True,
)
# The first that fits a name counts.
KINDS = (
    _kind(
        "uncalibrated images (ffir)", rf"{_FFI}r\.fits.*", "download the calibrated ones, *_ffic"
    ),
    _kind(
        "images of TICA",
        r"hlsp_tica_.*\.fits.*",
        "they are in other units and times and cannot be used; download SPOC's, *_ffic.fits",
    ),
    _kind(
        "calibrated images with another suffix or compression",
        rf"{_FFI}c\.(?!(?-i:fits(\.gz)?)$).+",
        "unpack them, or give them their names *_ffic.fits or *_ffic.fits.gz",
        is_image=True,
    ),
    _kind(
        "calibrated images with other names",
        rf".+{_FFI}c\.fits(\.gz)?|{_FFI}c[^.].*\.fits(\.gz)?",
        "give them the mission's names, tess<time>-s<sector>-<camera>-<ccd>-<id>-s_ffic.fits",
        is_image=True,
    ),
    _kind(
        "cutouts with another suffix or compression",
        r"tess-s\d{4}-\d-\d[_-].*_astrocut\.(?!fits(\.gz)?$).+",
        "unpack them to *_astrocut.fits",
        is_image=True,
    ),
    _kind(
        "PRF files of the mission",
        r"tess\d+-prf-.*\.fits(\.gz)?",
        "set prf.source: spoc, and prf.folder",
    ),
    _kind("target pixel files", r".*[-_]tp\.fits(\.gz)?", "add datasources: [tpf], tpf_dir"),
    _kind(
        "target pixel files of Kepler or K2",
        r"(kplr|ktwo)\d+.*[-_]targ\.fits.*",
        "only those of TESS can be used",
        is_told=True,
    ),
    _kind(
        "target pixel files with another suffix or compression",
        r".*[-_]tp\.(?!(?-i:fits(\.gz)?)$).+",
        "unpack them, or give them names *_tp.fits or *_tp.fits.gz",
        is_told=True,
    ),
    _kind("light curves", r".*[-_]lc\.fits(\.gz)?", "they have no pixels", is_told=True),
    _kind("files of basis vectors", r".*_cbv\.fits(\.gz)?", "they have no pixels"),
    _kind("archives", r".*\.(zip|tar|tgz|tbz2|txz|7z|rar|tar\.\w+)", "unpack them"),
    _kind(
        "unfinished downloads", r".*\.(part|partial|crdownload|download|tmp)", "download them again"
    ),
    _kind("download scripts", r"tesscurl_.*\.sh", "run them"),
    _kind(
        "products of other programs (QLP, eleanor, TGLC, TASOC)",
        r"hlsp_.*|.*(eleanor|tglc).*\.fits.*",
        "images are wanted",
        is_told=True,
    ),
    _kind(
        "other FITS files",
        r".*\.(fits?|fts)(\.\w+)?",
        "they need the names of the mission",
        is_told=True,
    ),
)


def foreign_files(folder: str | os.PathLike, wanted: re.Pattern[str]) -> dict[Kind, list[str]]:
    """Sort the files in and below a folder that have not the names that are looked for.

    What a run has made in ``results`` here is passed over.

    Parameters
    ----------
    folder : path
    wanted : pattern
        Of the names of the files that are looked for.

    Returns
    -------
    dict of Kind to list of str
        Names of the files of each kind that occurs; files of no kind are left out.

    Raises
    ------
    InputDataError
        If the folder, or one below it, cannot be read.
    """
    kinds = [
        kind
        for kind in (WITHOUT_SECTOR, CUBES, FFIS, CUTOUTS, *KINDS)
        if kind.pattern is not wanted
    ]
    found: dict[Kind, list[str]] = {}
    own = os.path.join(os.path.abspath("results"), "")
    for name, path in walk_files(os.fspath(folder)):
        if os.path.abspath(path).startswith(own):
            continue
        if wanted.fullmatch(name) and not WITHOUT_SECTOR.pattern.fullmatch(name):
            continue
        kind = next((kind for kind in kinds if kind.pattern.fullmatch(name)), None)
        if kind is not None:
            found.setdefault(kind, []).append(name)
    return found


def foreign_lines(found: dict[Kind, list[str]]) -> list[str]:
    """Say of each kind how many there are, one name, and what to do."""
    return [
        f"{_count(kind, len(names))} ({min(names)}{', ...' if len(names) > 1 else ''}): "
        f"{kind.advice}"
        for kind, names in found.items()
    ]


def _count(kind: Kind, n: int) -> str:
    """Number and name; the first word of the name that ends in s is the one in the plural."""
    name = kind.name if n != 1 else re.sub(r"s\b", "", kind.name, count=1)
    return f"{n} {name}"


def puzzling_files(found: dict[Kind, list[str]]) -> list[str]:
    """Return a line for each kind of FITS files that do not belong among images."""
    return foreign_lines({kind: names for kind, names in found.items() if kind.is_told})


def missed_images(found: dict[Kind, list[str]], ccd_ids: list[CcdId]) -> Iterator[str]:
    """Yield a line for each kind of files that look like images of one of some CCDs."""
    wanted = set(ccd_ids)
    for kind, names in found.items():
        if kind.is_image:
            own = [name for name in names if _ccd_of(name) in wanted]
            if own:
                yield foreign_lines({kind: own})[0]


def _ccd_of(name: str) -> CcdId | None:
    """CCD that a name has, if any."""
    match = _CCD_OF_CUTOUT.search(Path(name).name)
    if match is None:
        return None
    sector, camera, ccd = (int(match[key]) for key in ("sector", "camera", "ccd"))
    is_possible = sector > 0 and 1 <= camera <= 4 and 1 <= ccd <= 4
    return CcdId(sector, camera, ccd) if is_possible else None
