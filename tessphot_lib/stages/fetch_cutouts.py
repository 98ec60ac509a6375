"""Step: targets -> their cutouts, from TESScut."""

import csv
import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tessphot_lib.errors import DownloadError
from tessphot_lib.io.atomic import complete_file
from tessphot_lib.io.tesscut_service import ccds_at, fetch_cutouts, tic_positions
from tessphot_lib.model import CcdId
from tessphot_lib.stages.fetch import web_of

log = logging.getLogger(__name__)

COLUMNS = ("target", "ra", "dec", "ccd_id", "path")


def run_fetch_cutouts(
    output: Path,
    *,
    folder: Path,
    targets: Sequence[int | Sequence[float]],
    size: int,
    ccd_ids: Sequence[CcdId],
    settings: Mapping[str, Any],
) -> None:
    """Fetch a cutout of each target on each of the wanted CCDs that saw it.

    Parameters
    ----------
    output : Path
        Table (CSV) of targets and files; a target that no wanted CCD saw has a
        row without a file.
    folder : Path
        Where the cutouts go. Those that are there are not fetched again.
    targets : sequence
        TIC numbers, or [ra, dec] [deg].
    size : int
        Rows and columns of a cutout [pixels].
    ccd_ids : sequence of CcdId
        The wanted ones.
    settings : mapping
        Section ``input.mast`` of the configuration.

    Raises
    ------
    DownloadError
        If a cutout cannot be had, or no target was seen.
    """
    if not targets:
        raise DownloadError("input.cutouts.targets: there are none", permanent=True)
    web, mast = web_of(settings), settings["servers"]["mast"]
    known = tic_positions(web, mast, [target for target in targets if isinstance(target, int)])
    positions = [known[one] if isinstance(one, int) else (one[0], one[1]) for one in targets]
    seen = web.each(lambda position: ccds_at(web, mast, *position), positions)
    wanted = [[ccd_id for ccd_id in found if ccd_id in ccd_ids] for found in seen]
    if not any(wanted):
        raise DownloadError(
            f"none of the {len(targets)} targets was seen by a CCD of the configuration",
            permanent=True,
        )
    tasks = [
        (index, list(group))
        for index, found in enumerate(wanted)
        for _, group in groupby(found, key=lambda ccd_id: ccd_id.sector)
    ]
    fetched = web.each(
        lambda task: fetch_cutouts(web, mast, folder, task[1], *positions[task[0]], size), tasks
    )
    rows = [
        (index, str(ccd_id), str(path))
        for (index, group), paths in zip(tasks, fetched, strict=True)
        for ccd_id, path in zip(group, paths, strict=True)
    ]
    for index, found in enumerate(wanted):
        if not found:
            log.warning("target %s: no CCD of the configuration saw it", targets[index])
            rows.append((index, "", ""))
    _write(output, sorted(rows), targets, positions)
    log.info("%d targets, %d cutouts", len(targets), sum(bool(path) for _, _, path in rows))


def _write(path: Path, rows: list, targets: Sequence, positions: Sequence) -> None:
    with complete_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for index, ccd_id, cutout in rows:
            target = targets[index] if isinstance(targets[index], int) else ""
            writer.writerow((target, *positions[index], ccd_id, cutout))
