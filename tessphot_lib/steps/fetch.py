"""Steps: list of the images of a CCD, their headers, and the images, from MAST."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tessphot_lib.core.errors import DownloadError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.io.archives.download import Web, web_of
from tessphot_lib.io.archives.mast import list_bucket, read_script, script_url
from tessphot_lib.io.files.fits_checksum import verify_fits
from tessphot_lib.io.images.ffi_files import INCOMING
from tessphot_lib.io.images.ffi_headers import BEGINNING, two_headers, write_headers
from tessphot_lib.io.images.ffi_list import ListedFfi, read_ffi_list, write_ffi_list

log = logging.getLogger(__name__)

FFI_HDUS = 3  # primary, image, uncertainty
HEADERS_AT_A_TIME = 256
LONGEST_HEADERS = 1 << 20  # [bytes]


def run_fetch_script(output: Path, *, sector: int, settings: MastSettings) -> None:
    """Fetch MAST's list of all images of a sector: a shell script."""
    url = script_url(settings.servers.archive, sector)
    web_of(settings).download(url, output, verify=_verify_script)


def run_fetch_list(
    scripts: list[Path], output: Path, ccd_id: CcdId, *, settings: MastSettings
) -> None:
    """List the images of a CCD.

    Parameters
    ----------
    scripts : list of Path
        MAST's script for the sector; empty: ask the cloud.
    output : Path
        ``ffi_list.csv``.
    settings : MastSettings

    Raises
    ------
    DownloadError
        If there are none.
    """
    servers = settings.servers
    if scripts:
        origin = str(scripts[0])
        listed = read_script(scripts[0], ccd_id, mast=servers.mast)
    else:
        origin = servers.cloud
        listed = list_bucket(ccd_id, cloud=origin, retries=settings.retries)
    if not listed:
        raise DownloadError(f"{origin}: no image of {ccd_id}", permanent=True)
    write_ffi_list(output, listed)
    sizes = [one.size for one in listed if one.size is not None]
    total = f", {sum(sizes) / 1e9:.1f} GB" if sizes else ""
    log.info("%s: %d images%s", ccd_id, len(listed), total)


def run_fetch_headers(
    ffi_list: Path, output: Path, *, images: list[Path], settings: MastSettings
) -> None:
    """Fetch the first headers of images, without their pixels.

    They tell times, quality and WCS: so a whole CCD is known before the first
    image is there, and no more than a few blocks have to be on the disk at a time.

    Parameters
    ----------
    ffi_list : Path
        ``ffi_list.csv``.
    output : Path
        ``ffi_headers.zip``.
    images : list of Path
        Which ones; of these paths only the names matter.
    settings : MastSettings
    """
    listed = _find(ffi_list, images)
    web = web_of(settings)

    def entries() -> Iterator[tuple[str, bytes]]:
        for first in range(0, len(listed), HEADERS_AT_A_TIME):
            some = listed[first : first + HEADERS_AT_A_TIME]
            fetched = web.each(partial(_fetch_headers, web), some)
            yield from zip((one.name for one in some), fetched, strict=True)
            log.info("%d of %d headers fetched", first + len(some), len(listed))

    write_headers(output, entries())


def run_fetch(ffi_list: Path, images: list[Path], *, settings: MastSettings) -> None:
    """Fetch the images of a block of time.

    An image that has come goes to a hidden folder beside; all get their final
    names when all are there, since Snakemake deletes the outputs of a job that
    fails. The next try finds them there and checks them, but does not fetch
    them again.

    Parameters
    ----------
    ffi_list : Path
        ``ffi_list.csv``.
    images : list of Path
        To be written, all in one folder.
    settings : MastSettings

    Raises
    ------
    DownloadError
        If an image cannot be had, or is damaged.
    """
    listed = _find(ffi_list, images)
    verify = _verify_ffi if settings.checksum else None
    web = web_of(settings)
    incoming = images[0].parent / INCOMING
    here = [one for one in listed if _is_complete(incoming / one.name, one, verify)]
    missing = [one for one in listed if one not in here]
    log.info("%d images to fetch, %d are here already", len(missing), len(here))
    web.each(
        lambda one: web.download(one.url, incoming / one.name, size=one.size, verify=verify),
        missing,
    )
    for image in images:
        (incoming / image.name).replace(image)
    log.info("%d images complete", len(images))


def _find(ffi_list: Path, images: list[Path]) -> list[ListedFfi]:
    """Look images up in the list, by their names."""
    by_name = {one.name: one for one in read_ffi_list(ffi_list)}
    unknown = [image.name for image in images if image.name not in by_name]
    if unknown:
        raise InputDataError(
            f"{ffi_list}: {unknown[0]} is not in it (any more); start Snakemake again"
        )
    return [by_name[image.name] for image in images]


def _fetch_headers(web: Web, one: ListedFfi) -> bytes:
    """Fetch as much of an image as its first two headers take."""
    n_bytes = BEGINNING
    while n_bytes <= LONGEST_HEADERS:
        try:
            headers = two_headers(web.read(one.url, n_bytes=n_bytes))
        except InputDataError as error:
            raise DownloadError(f"{one.url}: {error}", permanent=True) from None
        if headers is not None:
            return headers
        n_bytes *= 4
    raise DownloadError(f"{one.url}: its headers do not end", permanent=True)


def _is_complete(path: Path, one: ListedFfi, verify: Any) -> bool:
    """Return whether an image has come before."""
    if not path.is_file() or one.size not in (None, path.stat().st_size):
        return False
    try:
        if verify is not None:
            verify(path)
    except InputDataError as error:
        log.warning("%s: %s; it is fetched again", path, error)
        return False
    return True


def _verify_ffi(path: Path) -> None:
    if verify_fits(path, n_hdus=FFI_HDUS) == 0:
        log.warning("%s has no checksums", path.name)


def _verify_script(path: Path) -> None:
    if b"_ffic.fits" not in path.read_bytes():
        raise InputDataError("it names no images")
