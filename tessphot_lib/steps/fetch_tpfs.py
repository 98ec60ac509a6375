"""Step: TIC numbers -> their target pixel files, from MAST."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import DownloadError, InputDataError
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.io.archives.download import Web, web_of
from tessphot_lib.io.archives.mast import read_tpf_script, tpf_script_url
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_checksum import verify_fits
from tessphot_lib.io.images.ffi_list import ListedFfi

log = logging.getLogger(__name__)

COLUMNS = ("tic_id", "sector", "cadence", "path")
MIN_HDUS = 3  # primary, pixels, aperture
Found = tuple[int, int, int, ListedFfi]  # TIC number, sector, cadence, file


def run_fetch_tpfs(
    output: Path,
    *,
    folder: Path,
    tic_ids: Sequence[int],
    cadences: Sequence[int],
    sectors: Sequence[int],
    settings: MastSettings,
) -> None:
    """Fetch the target pixel files that MAST has of some stars.

    Parameters
    ----------
    output : Path
        Table (CSV) of stars, sectors, cadences and files; what MAST does not have is a row
        without a file. MAST's lists of each sector are kept beside it.
    folder : Path
        Where the files go. Those that are there are not fetched again.
    tic_ids : sequence of int
    cadences : sequence of int
        [s] 120, 20 or both.
    sectors : sequence of int
    settings : MastSettings

    Raises
    ------
    DownloadError
        If a list or a file cannot be had, or there is no file of any of the stars.
    """
    web, servers = web_of(settings), settings.servers
    rows: list[tuple[int, int, int, str]] = []
    wanted: list[Found] = []
    for sector in sectors:
        for cadence in cadences:
            url = tpf_script_url(servers.archive, sector, cadence)
            script = output.parent / Path(url).name
            if not script.exists():
                web.download(url, script, verify=_verify_script)
            found = read_tpf_script(script, tic_ids, mast=servers.mast)
            wanted += [(tic_id, sector, cadence, one) for tic_id, one in found.items()]
            missing = [tic_id for tic_id in tic_ids if tic_id not in found]
            rows += [(tic_id, sector, cadence, "") for tic_id in missing]
            for tic_id in missing:
                log.warning(
                    "TIC %d: no target pixel file, sector %d, %d s", tic_id, sector, cadence
                )
    if not wanted:
        raise DownloadError(
            f"{servers.archive}: no target pixel file of any of {counted(len(tic_ids), 'star')} "
            f"in sectors {', '.join(map(str, sectors))}",
            permanent=True,
        )
    _fetch_each(web, folder, wanted, is_verified=settings.checksum)
    rows += [
        (tic_id, sector, cadence, str(folder / one.name)) for tic_id, sector, cadence, one in wanted
    ]
    with complete_file(output) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted(rows))
    log.info("%d stars, %d target pixel files", len(tic_ids), len(wanted))


def _fetch_each(web: Web, folder: Path, wanted: Sequence[Found], *, is_verified: bool) -> None:
    """Fetch the files that are not there yet."""
    verify = _verify_tpf if is_verified else None
    missing = [one for *_, one in wanted if not (folder / one.name).is_file()]
    log.info("%d files to fetch, %d are here already", len(missing), len(wanted) - len(missing))
    web.each(lambda one: web.download(one.url, folder / one.name, verify=verify), missing)


def _verify_tpf(path: Path) -> None:
    if verify_fits(path, n_hdus=MIN_HDUS) == 0:
        log.warning("%s has no checksums", path.name)


def _verify_script(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) != b"#!":
            raise InputDataError("it is no script")
