"""Where MAST keeps the full-frame images, in the public cloud and on its own servers.

Cloud: bucket ``stpubdata``, ``tess/public/ffi/s0008/2019/033/3-4/<name>``, listed
by s3fs without an account. Own servers: a shell script per sector with a line
``curl -C - -L -o <name> <address>`` for each image of all 16 CCDs.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tessphot_lib.core.errors import DownloadError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.ffi_list import ListedFfi, one_per_time

BUCKET = "stpubdata"
FFI_FOLDER = "tess/public/ffi"
SCRIPT = "missions/tess/download_scripts/sector/tesscurl_sector_{sector}_ffic.sh"
SCRIPT_LINE = re.compile(r"-o\s+(?P<name>\S+_ffic\.fits)\s+(?P<url>https?://\S+)")
TPF_SCRIPTS = {
    120: "missions/tess/download_scripts/sector/tesscurl_sector_{sector}_tp.sh",
    20: "missions/tess/download_scripts/sector/tesscurl_sector_{sector}_fast-tp.sh",
}
TPF_LINE = re.compile(
    r"-o\s+(?P<name>tess\d{13}-s\d{4}-(?P<tic>\d{16})-\S+_(?:fast-)?tp\.fits)\s+(?P<url>https?://\S+)"
)
AMAZON = "amazonaws.com"
SILENCE = 60  # [s] how long the bucket may be silent


def script_url(archive: str, sector: int) -> str:
    """Return the address of the script that lists the images of a sector."""
    return f"{archive.rstrip('/')}/{SCRIPT.format(sector=sector)}"


def read_script(path: Path, ccd_id: CcdId, *, mast: str) -> list[ListedFfi]:
    """Find the images of a CCD in the script of its sector.

    Parameters
    ----------
    path : Path
    ccd_id : CcdId
    mast : str
        The server that takes the place of the one named in the script.
    """
    listed = []
    for line in path.read_text().splitlines():
        match = SCRIPT_LINE.search(line)
        if match is not None:
            address = urlsplit(match["url"])
            there = address._replace(scheme="", netloc="").geturl()
            listed.append(ListedFfi(match["name"], mast.rstrip("/") + there, None))
    return one_per_time(listed, ccd_id)


def tpf_script_url(archive: str, sector: int, cadence: int) -> str:
    """Return the address of the script that lists the target pixel files of a sector."""
    return f"{archive.rstrip('/')}/{TPF_SCRIPTS[cadence].format(sector=sector)}"


def read_tpf_script(path: Path, tic_ids: Iterable[int], *, mast: str) -> dict[int, ListedFfi]:
    """Find the target pixel files of some stars in the script of a sector and cadence.

    Parameters
    ----------
    path : Path
    tic_ids : iterable of int
    mast : str
        The server that takes the place of the one named in the script.

    Returns
    -------
    dict of int to ListedFfi
        By TIC number; of several files of a star the last by name. Stars without one are missing.
    """
    wanted, found = set(tic_ids), {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            match = TPF_LINE.search(line)
            if match is None or (tic_id := int(match["tic"])) not in wanted:
                continue
            there = urlsplit(match["url"])._replace(scheme="", netloc="").geturl()
            one = ListedFfi(match["name"], mast.rstrip("/") + there, None)
            found[tic_id] = max(found.get(tic_id, one), one)
    return found


def list_bucket(ccd_id: CcdId, *, cloud: str, retries: int) -> list[ListedFfi]:
    """List the images of a CCD in the cloud.

    Parameters
    ----------
    ccd_id : CcdId
    cloud : str
        The S3 server.
    retries : int
        Tries after the first one; with botocore's own back-off.

    Raises
    ------
    DownloadError
        If the server cannot be asked, or there is no such sector.
    """
    import s3fs
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = s3fs.S3FileSystem(
        anon=True,
        endpoint_url=cloud,
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={
            "retries": {"mode": "standard", "total_max_attempts": retries + 1},
            "connect_timeout": SILENCE,
            "read_timeout": SILENCE,
        },
        client_kwargs={"region_name": "us-east-1"},
    )
    bucket.retries = 1  # botocore does it
    top = f"{BUCKET}/{FFI_FOLDER}/s{ccd_id.sector:04d}"
    try:
        days = [day for year in _folders(bucket, top) for day in _folders(bucket, year)]
        listed = [
            _listed(entry, cloud)
            for day in days
            if (below := f"{day}/{ccd_id.camera}-{ccd_id.ccd}") in _folders(bucket, day)
            for entry in bucket.ls(below, detail=True)
        ]
    except FileNotFoundError:
        raise DownloadError(f"{cloud}: there is no {top}/", permanent=True) from None
    except (OSError, BotoCoreError, ClientError) as error:
        raise DownloadError(f"{cloud}: {top}/ cannot be listed: {error}") from None
    return one_per_time(listed, ccd_id)


def _folders(bucket: object, path: str) -> list[str]:
    """The folders in a folder of a bucket."""
    return [e["name"] for e in bucket.ls(path, detail=True) if e["type"] == "directory"]


def _listed(entry: Mapping, cloud: str) -> ListedFfi:
    """Turn an entry of a bucket into an image; its size and its address over http."""
    key = entry["name"].removeprefix(f"{BUCKET}/")
    server = urlsplit(cloud)
    if server.netloc.endswith(AMAZON):
        base = f"{server.scheme}://{BUCKET}.{server.netloc}"
    else:
        base = f"{cloud.rstrip('/')}/{BUCKET}"
    return ListedFfi(key.rsplit("/", 1)[-1], f"{base}/{key}", int(entry["size"]))
