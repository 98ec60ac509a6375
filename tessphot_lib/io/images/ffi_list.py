"""``ffi_list.csv``: which images of a CCD an archive has, where, and how large they are.

Read whenever the workflow is; so it needs the standard library only.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.images.ffi_files import FfiFile, name_btjd, parse_ffi_name


class ListedFfi(NamedTuple):
    """One image in an archive."""

    name: str
    url: str
    size: int | None  # [bytes] where the archive tells it


def write_ffi_list(path: Path, listed: Iterable[ListedFfi]) -> None:
    """Write one line per image, in the order given."""
    with complete_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(ListedFfi._fields)
        writer.writerows(listed)


def read_ffi_list(path: Path) -> list[ListedFfi]:
    """Read back what `write_ffi_list` wrote.

    Raises
    ------
    InputDataError
        If it is no such list.
    """
    with path.open(newline="") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    try:
        if tuple(header) != ListedFfi._fields:
            raise ValueError(f"its columns are {header}")
        return [ListedFfi(name, url, int(size) if size else None) for name, url, size in lines]
    except ValueError as error:
        raise InputDataError(f"{path}: not a list of images: {error}; delete it") from None


def one_per_time(listed: Iterable[ListedFfi], ccd_id: CcdId) -> list[ListedFfi]:
    """Choose the images of a CCD: one for each time, the last processed, in order of time."""
    chosen: dict[str, ListedFfi] = {}
    for one in sorted(listed):
        parsed = parse_ffi_name(one.name)
        if parsed is not None and parsed[0] == ccd_id and one.name.endswith(".fits"):
            chosen[parsed[1]] = one
    return list(chosen.values())


def as_files(
    listed: Iterable[ListedFfi], folder: Path, time_range: tuple[float, float] | None
) -> list[FfiFile]:
    """Say where the images will lie once they have been fetched.

    Parameters
    ----------
    listed : iterable of ListedFfi
    folder : Path
    time_range : (float, float) or None
        First and last time of the wanted images [BTJD], by the stamps in their
        names: good to some minutes. None: all.
    """
    first, last = time_range or (float("-inf"), float("inf"))
    stamps = ((parse_ffi_name(one.name)[1], one.name) for one in listed)
    return [
        FfiFile(stamp, str(folder / name), False)
        for stamp, name in stamps
        if first <= name_btjd(stamp) <= last
    ]
