"""Step: targets -> their cutouts, from TESScut."""

import csv
import logging
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.catalog.proper_motion import CATALOG_EPOCH, MAS_PER_DEGREE, at_epoch
from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import DownloadError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.sectors import sector_year
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.io.archives.download import Web, web_of
from tessphot_lib.io.archives.tesscut_service import TicStar, ccds_at, fetch_cutouts, tic_stars
from tessphot_lib.io.files.atomic import complete_file

log = logging.getLogger(__name__)

COLUMNS = ("target", "ra", "dec", "ccd_id", "path")
TYPICAL_SECTOR = 30.0  # in whose year TESScut is asked for all sectors: near enough
SMALL_MOTION = 5.0 / 3600  # [deg] since 2000: a quarter of a pixel


def run_fetch_cutouts(
    output: Path,
    *,
    folder: Path,
    targets: Sequence[int | Sequence[float]],
    size: int,
    asked: AskedCcds,
    settings: MastSettings,
) -> None:
    """Fetch a cutout of each target on each of the wanted CCDs that saw it.

    Its middle is where the star was in the sector: some have gone 10 pixels since 2000.

    Parameters
    ----------
    output : Path
        Table (CSV) of targets and files; a target that no wanted CCD saw has a
        row without a file, and so has a CCD that TESScut has no cutout of.
    folder : Path
        Where the cutouts go. Those that are there are not fetched again.
    targets : sequence
        TIC numbers, or [ra, dec] [deg].
    size : int
        Rows and columns of a cutout [pixels].
    asked : AskedCcds
        The wanted ones.
    settings : MastSettings

    Raises
    ------
    DownloadError
        If a cutout cannot be had, or no target was seen.
    """
    if not targets:
        raise DownloadError("input.cutouts.targets: there are none", permanent=True)
    web, mast = web_of(settings), settings.servers.mast
    known = tic_stars(web, mast, [target for target in targets if isinstance(target, int)])
    stars = [known[one] if isinstance(one, int) else TicStar(*one) for one in targets]
    typical = partial(position_in, sector=float(np.mean(asked.sectors or TYPICAL_SECTOR)))
    seen = web.each(lambda star: ccds_at(web, mast, *typical(star)), stars)
    wanted = [[ccd_id for ccd_id in found if ccd_id in asked] for found in seen]
    if not any(wanted):
        raise DownloadError(
            f"none of {counted(len(targets), 'target')} was seen by a CCD of the configuration",
            permanent=True,
        )
    rows = _fetch_each(web, mast, folder, stars, wanted, size)
    for index, _, _, ccd_id, path in rows:
        if not path:
            log.warning("target %s: TESScut has no cutout of %s", targets[index], ccd_id)
    if not any(row[-1] for row in rows):
        raise DownloadError(
            f"{mast}: TESScut gave no cutout of any of {counted(len(targets), 'target')}",
            permanent=True,
        )
    for index, found in enumerate(wanted):
        if not found:
            log.warning("target %s: no CCD of the configuration saw it", targets[index])
            rows.append((index, *typical(stars[index]), "", ""))
    _write(output, sorted(rows, key=lambda row: (row[0], row[3])), targets)
    log.info("%d targets, %d cutouts", len(targets), sum(bool(row[-1]) for row in rows))


def _fetch_each(
    web: Web,
    mast: str,
    folder: Path,
    stars: Sequence[TicStar],
    wanted: Sequence[Sequence[CcdId]],
    size: int,
) -> list[tuple[int, float, float, str, str]]:
    """Fetch the cutouts of all stars: number of the star, ra, dec, CCD and path, maybe empty."""
    tasks = [
        (index, list(group))
        for index, found in enumerate(wanted)
        for _, group in groupby(found, key=lambda ccd_id: ccd_id.sector)
    ]
    positions = [position_in(stars[index], group[0].sector) for index, group in tasks]
    fetched = web.each(
        lambda task: fetch_cutouts(web, mast, folder, task[0][1], *task[1], size),
        list(zip(tasks, positions, strict=True)),
    )
    return [
        (index, *position, str(ccd_id), str(path or ""))
        for (index, group), position, paths in zip(tasks, positions, fetched, strict=True)
        for ccd_id, path in zip(group, paths, strict=True)
    ]


def position_in(star: TicStar, sector: float) -> tuple[float, float]:
    """Where a star is in a sector, (ra, dec) [deg]; where it was in 2000 if it hardly moves."""
    years = sector_year(sector) - CATALOG_EPOCH
    if np.hypot(star.pm_ra, star.pm_dec) / MAS_PER_DEGREE * years < SMALL_MOTION:
        return star.ra, star.dec
    row = pd.DataFrame([star._asdict()]).rename(columns={"ra": "ra_j2000", "dec": "dec_j2000"})
    ra, dec = at_epoch(row, CATALOG_EPOCH + years)
    return float(ra[0]), float(dec[0])


def _write(path: Path, rows: list, targets: Sequence) -> None:
    with complete_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for index, *of_cutout in rows:
            target = targets[index] if isinstance(targets[index], int) else ""
            writer.writerow((target, *of_cutout))
