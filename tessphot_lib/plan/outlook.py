"""What a run will need, said before it starts: images, disk, computing time."""

import shutil
from pathlib import Path

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.counts import counted
from tessphot_lib.plan.run import Plan

# Measured on full CCDs, see benchmarks/README.md and docs/cluster.md.
BYTES_PER_PIXEL = 6.8e6 / (SCIENCE_ROWS * SCIENCE_COLUMNS)  # of one image, compressed
CPU_SECONDS_PER_IMAGE, CPU_SECONDS_PER_CCD = 0.48, 140.0  # of a full CCD, up to the todo list
SMALL = 0.1  # [GB] less is not worth a line
GB = 1e9


def outlook(plan: Plan, folder: Path = Path()) -> tuple[list[str], list[str]]:
    """Say what a run of images will need, as far as its pixels are not there already.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Of the run.

    Returns
    -------
    notes, warnings : lists of str
        A line each. Nothing of cutouts and stamps, of runs that only fetch lists, and
        where all pixels are there or take less than 0.1 GB.
    """
    if plan.source.has_cutouts or plan.first_products:
        return [], []
    counts = []
    for ccd_id in plan.image_ccds:
        blocks = plan.source.blocks_of(ccd_id)
        made = folder / "results" / str(ccd_id) / "blocks"
        counts.append(
            sum(len(b) for name, b in blocks.items() if not (made / f"{name}.hdf5").exists())
        )
    rows, columns = plan.window.shape
    pixels = sum(counts) * rows * columns
    needed = pixels * BYTES_PER_PIXEL / GB
    if needed < SMALL:
        return [], []
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free / GB
    seconds = sum(counts) * CPU_SECONDS_PER_IMAGE
    seconds += sum(count > 0 for count in counts) * CPU_SECONDS_PER_CCD
    hours = rows * columns / (SCIENCE_ROWS * SCIENCE_COLUMNS) * seconds / 3600
    to_read = f"{counted(sum(counts), 'image')} of {counted(len(counts), 'CCD')}"
    notes = [
        f"{to_read} to read: about {needed:.1f} GB of pixels in results/ "
        f"({free:.0f} GB are free), {hours:.1f} core hours until the stars are listed"
    ]
    if needed > free:
        return notes, [
            f"results/: about {needed:.0f} GB are needed for the pixels, and only {free:.0f} GB "
            "are free on this disk"
        ]
    return notes, []
