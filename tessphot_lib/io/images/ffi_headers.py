"""``ffi_headers.zip``: the first two headers of images that have not been fetched yet.

One entry per image, by its file name: the image's first bytes, up to its pixels.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_checksum import CARD, check_begin, header_length

N_HEADERS = 2  # primary, image
BEGINNING = 14 * 2880  # [bytes] usually enough: the pixels of a SPOC image begin at 20160


def two_headers(content: bytes) -> bytes | None:
    """Cut the first two headers out; None if they do not end in ``content``.

    Raises
    ------
    InputDataError
        If it is not the beginning of a FITS file.
    """
    end = 0
    for _ in range(N_HEADERS):
        if len(content) < end + CARD:
            return None
        check_begin(content, end)
        length = header_length(content, end)
        if length is None:
            return None
        end += length
    return content[:end]


def write_headers(path: Path, entries: Iterable[tuple[str, bytes]]) -> None:
    """Write (file name, headers) of each image, as they come."""
    with (
        complete_file(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def read_headers(path: Path) -> dict[str, bytes]:
    """Read back what `write_headers` wrote.

    Raises
    ------
    InputDataError
        If the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise InputDataError(f"{path}: cannot be read: {error}") from None
