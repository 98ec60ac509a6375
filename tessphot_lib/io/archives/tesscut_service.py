"""TESScut and the TIC at MAST, as services: where a target is, which CCDs saw it, its cutouts.

``/tesscut/api/v0.1/sector?ra=…&dec=…`` names sectors and CCDs;
``/tesscut/api/v0.1/astrocut?ra=…&dec=…&y=…&x=…&units=px&sector=…`` gives a zip
file with one cutout per CCD; ``/api/v0/invoke`` looks stars up in the TIC, and
says EXECUTING while it does, which means to ask the same again. More than five
questions a second are answered by 503, which is tried again, too.
"""

import json
import logging
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from tessphot_lib.core.errors import ConfigError, DownloadError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.archives.download import Web
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_checksum import verify_fits

log = logging.getLogger(__name__)

TESSCUT = "tesscut/api/v0.1"
TIC_SERVICE = "Mast.Catalogs.Filtered.Tic.Rows"
STARS_AT_ONCE = 500  # looked up in one question; MAST gives 1000 rows where no number is said
MEMBER = re.compile(r"(?:.*/)?tess-s(\d{4})-([1-4])-([1-4])_.*\.fits")
CUTOUT_HDUS = 3  # primary, pixels, aperture
N_WORDS = 200  # [characters] of an answer that is not what was asked for


class TicStar(NamedTuple):
    """Where a star of the TIC is and how it moves: ICRS, epoch 2000 [deg], [mas/yr], [mag]."""

    ra: float
    dec: float
    pm_ra: float = 0.0  # cos(dec) included; zero where it is not known
    pm_dec: float = 0.0
    tmag: float = math.nan  # where it is not known


def cutout_name(ccd_id: CcdId, ra: float, dec: float, size: int) -> str:
    """Name of the file of a cutout; always the same, so that it is found again."""
    where = f"tess-s{ccd_id.sector:04d}-{ccd_id.camera}-{ccd_id.ccd}_{ra:.6f}_{dec:.6f}"
    return f"{where}_{size}x{size}_astrocut.fits"


def tic_stars(web: Web, mast: str, tic_ids: Iterable[int]) -> dict[int, TicStar]:
    """Look up where stars of the TIC are.

    Raises
    ------
    DownloadError
        If a number is not in the TIC, or MAST gives no proper answer.
    """
    tic_ids = list(dict.fromkeys(tic_ids))
    url = f"{mast}/api/v0/invoke"
    found: dict[int, TicStar] = {}
    for first in range(0, len(tic_ids), STARS_AT_ONCE):
        found |= _tic_rows(web, url, tic_ids[first : first + STARS_AT_ONCE])
    unknown = [str(tic_id) for tic_id in tic_ids if tic_id not in found]
    if unknown:
        raise DownloadError(f"{url}: not in the TIC: {', '.join(unknown)}", permanent=True)
    return found


def ccds_at(web: Web, mast: str, ra: float, dec: float) -> list[CcdId]:
    """Ask which CCDs saw a position [deg], in which sectors."""
    url = f"{mast}/{TESSCUT}/sector?{urlencode({'ra': ra, 'dec': dec})}"
    answer = ask_for_json(web, url)
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise DownloadError(f"{url}: the answer is none of TESScut: {_words(str(answer).encode())}")
    return sorted(filter(None, map(_ccd_of_row, rows)))


def fetch_cutouts(
    web: Web, mast: str, folder: Path, ccd_ids: Iterable[CcdId], ra: float, dec: float, size: int
) -> list[Path | None]:
    """Fetch the cutouts of one position in one sector.

    Parameters
    ----------
    web : Web
    mast : str
        Server.
    folder : Path
        Gets one file per CCD, each complete and verified or not at all; those
        that are there already are kept.
    ccd_ids : iterable of CcdId
        Of one sector: the wanted ones.
    ra, dec : float
        Centre [deg].
    size : int
        Rows and columns [pixels].

    Returns
    -------
    list of Path or None
        One per CCD, in the same order; None where TESScut gives no cutout, as it does
        for some positions at the edge of a CCD that it says has seen them.

    Raises
    ------
    DownloadError
        If they cannot be had, or are damaged.
    """
    paths = {ccd_id: folder / cutout_name(ccd_id, ra, dec, size) for ccd_id in ccd_ids}
    missing = {ccd_id for ccd_id, path in paths.items() if not path.is_file()}
    if not missing:
        return list(paths.values())
    (sector,) = {ccd_id.sector for ccd_id in paths}
    query = {"ra": ra, "dec": dec, "y": size, "x": size, "units": "px", "sector": sector}
    url = f"{mast}/{TESSCUT}/astrocut?{urlencode(query)}"
    packed = folder / f".{sector:04d}_{ra:.6f}_{dec:.6f}_{size}.zip"
    web.download(url, packed, verify=_verify_zip)
    try:
        with zipfile.ZipFile(packed) as archive:
            for member in archive.namelist():
                match = MEMBER.fullmatch(member)
                ccd_id = _possible_ccd(*map(int, match.groups())) if match else None
                if ccd_id in missing:
                    _unpack(url, archive.read(member), paths[ccd_id])
                    missing.remove(ccd_id)
    finally:
        packed.unlink()
    return [None if ccd_id in missing else path for ccd_id, path in paths.items()]


def _ccd_of_row(row: object) -> CcdId | None:
    """Return the CCD of a row of the service; None, with a warning, if there is none."""
    try:
        return _possible_ccd(*(int(row[name]) for name in ("sector", "camera", "ccd")))
    except (KeyError, TypeError, ValueError):
        log.warning("a row of TESScut names no CCD: %s: left out", row)
        return None


def _possible_ccd(sector: int, camera: int, ccd: int) -> CcdId | None:
    """Return the CCD; None if there is none, as where the service knows no camera (0)."""
    try:
        return CcdId(sector, camera, ccd)
    except ConfigError:
        log.warning("TESScut names sector %d, camera %d, CCD %d: left out", sector, camera, ccd)
        return None


def _tic_rows(web: Web, url: str, tic_ids: list[int]) -> dict[int, TicStar]:
    """Ask for some stars of the TIC; those that it does not have are left out."""
    request = {
        "service": TIC_SERVICE,
        "format": "json",
        "pagesize": len(tic_ids) + 1,
        "params": {
            "columns": "ID,ra,dec,pmRA,pmDEC,Tmag",
            "filters": [{"paramName": "ID", "values": [str(tic_id) for tic_id in tic_ids]}],
        },
    }
    answer = ask_for_json(web, url, {"request": json.dumps(request)}, is_ready=is_executed)
    try:
        if answer["status"] != "COMPLETE":
            raise DownloadError(f"{url}: {answer['status']}: {answer.get('msg', 'no message')}")
        return {
            int(row["ID"]): TicStar(
                float(row["ra"]),
                float(row["dec"]),
                *map(_motion, (row["pmRA"], row["pmDEC"])),
                tmag=math.nan if row.get("Tmag") in (None, "") else float(row["Tmag"]),
            )
            for row in answer["data"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DownloadError(f"{url}: the answer is none of the TIC: {error!r}") from None


def _motion(value: float | str | None) -> float:
    """Proper motion [mas/yr], zero where it is not known."""
    motion = 0.0 if value in (None, "") else float(value)
    return motion if math.isfinite(motion) else 0.0


def is_executed(content: bytes) -> bool:
    """Return whether MAST has done with a question."""
    try:
        return json.loads(content)["status"] != "EXECUTING"
    except (ValueError, KeyError, TypeError):
        return True  # something else that is told as it is


def ask_for_json(
    web: Web,
    url: str,
    form: dict[str, str] | None = None,
    is_ready: Callable[[bytes], bool] | None = None,
) -> dict:
    """Ask a service that answers with JSON.

    Parameters
    ----------
    web : Web
    url : str
    form : dict, optional
        To be posted.
    is_ready : callable, optional
        Whether an answer, as bytes, is the last one; else the same is asked again.

    Raises
    ------
    DownloadError
        If there is no answer, or it is no JSON.
    """
    content = web.read(url, form=form, is_ready=is_ready)
    try:
        return json.loads(content)
    except ValueError:
        raise DownloadError(f"{url}: the answer is no JSON: {_words(content)}") from None


def _unpack(url: str, content: bytes, path: Path) -> None:
    try:
        with complete_file(path) as partial:
            partial.write_bytes(content)
            verify_fits(partial, n_hdus=CUTOUT_HDUS)
    except InputDataError as error:
        raise DownloadError(f"{url}: {path.name}: {error}", permanent=True) from None


def _verify_zip(path: Path) -> None:
    """Check a zip file and the checksums in it; TESScut tells errors in words."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile:
        with path.open("rb") as file:
            said = _words(file.read(N_WORDS))
        raise InputDataError(f"the answer is no zip file: {said}") from None
    except (zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise InputDataError(f"the answer is a damaged zip file: {error}") from None
    if damaged is not None:
        raise InputDataError(f"{damaged} is damaged")


def _words(content: bytes) -> str:
    """Show the beginning of an answer."""
    return repr(content[:N_WORDS].decode(errors="replace"))
