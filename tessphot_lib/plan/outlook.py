"""What a run will need, said before it starts: images, disk, computing time."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.counts import counted
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.plan.resources import GZIP_RATIO
from tessphot_lib.plan.run import Plan

# Measured, see benchmarks/README.md and docs/cluster.md: on full CCDs,
BYTES_PER_PIXEL = 6.8e6 / (SCIENCE_ROWS * SCIENCE_COLUMNS)  # of one image, compressed
CPU_SECONDS_PER_IMAGE, CPU_SECONDS_PER_CCD = 0.48, 140.0  # of a full CCD, up to the todo list
# and on 1,000 target pixel files with 18,000 cadences of 11 x 11 pixels, and 10 with 120,000, from
# the first step to the last. All of it goes with their uncompressed size (44 and 294 MB).
RESULTS_OF_STAMPS = 0.15  # of that size: blocks 0.09-0.12, light curves 0.03-0.04, pixels.hdf5
CPU_SECONDS_PER_STAMP_GB, CPU_SECONDS_PER_STAMP_CCD = 4.0, 20.0
MEMORY_OF_STAMPS = 1.3  # [GB] of the largest job; hardly more with more files
SMALL = 0.1  # [GB] less is not worth a line
GB = 1e9


def outlook(plan: Plan, folder: Path = Path()) -> tuple[list[str], list[str]]:
    """Say what a run will need, as far as its pixels are not there already.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Of the run.

    Returns
    -------
    notes, warnings : lists of str
        A line each. Nothing of cutouts, of files that are not there yet, of runs that only
        fetch lists, and where all pixels are there or take less than 0.1 GB.
    """
    if plan.first_products:
        return [], []
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free / GB
    parts = [(needed, note) for needed, note in _parts(plan, folder, free) if needed >= SMALL]
    notes, needed = [note for _, note in parts], sum(needed for needed, _ in parts)
    if needed > free:
        return notes, [
            f"results/: about {needed:.0f} GB are needed for the pixels, and only {free:.0f} GB "
            "are free on this disk"
        ]
    return notes, []


def _parts(plan: Plan, folder: Path, free: float) -> Iterator[tuple[float, str]]:
    """Yield the disk space [GB] for images and for target pixel files, and what to say of it."""
    if not plan.source.has_cutouts:
        yield _images(plan, folder, free)
    if plan.stamp_ccds:
        yield _stamps(plan, folder, free)


def _images(plan: Plan, folder: Path, free: float) -> tuple[float, str]:
    counts = [
        sum(len(images) for images in _not_there(plan, ccd_id, folder))
        for ccd_id in plan.image_ccds
    ]
    rows, columns = plan.window.shape
    needed = sum(counts) * rows * columns * BYTES_PER_PIXEL / GB
    seconds = sum(counts) * CPU_SECONDS_PER_IMAGE
    seconds += sum(count > 0 for count in counts) * CPU_SECONDS_PER_CCD
    hours = rows * columns / (SCIENCE_ROWS * SCIENCE_COLUMNS) * seconds / 3600
    to_read = f"{counted(sum(counts), 'image')} of {counted(len(counts), 'CCD')}"
    return needed, (
        f"{to_read} to read: about {needed:.1f} GB of pixels in results/ "
        f"({free:.0f} GB are free), {hours:.1f} core hours until the stars are listed"
    )


def _stamps(plan: Plan, folder: Path, free: float) -> tuple[float, str]:
    sizes = {
        ccd_id: [
            _uncompressed(path)
            for paths in _not_there(plan, ccd_id, folder)
            for path in map(Path, paths)
            if path.is_file()
        ]
        for ccd_id in plan.stamp_ccds
    }
    to_read = {ccd_id: of_ccd for ccd_id, of_ccd in sizes.items() if of_ccd}
    n_files, total = sum(map(len, to_read.values())), sum(map(sum, to_read.values())) / GB
    n_ccds = len({ccd_id.of_images for ccd_id in to_read})  # each once, with all its cadences
    needed = total * RESULTS_OF_STAMPS
    seconds = total * CPU_SECONDS_PER_STAMP_GB + len(to_read) * CPU_SECONDS_PER_STAMP_CCD
    return needed, (
        f"{counted(n_files, 'target pixel file')} of {counted(n_ccds, 'CCD')} to read: about "
        f"{needed:.1f} GB in results/ ({free:.0f} GB are free), {seconds / 60:.0f} core "
        f"minutes by apertures, jobs of up to {MEMORY_OF_STAMPS} GB of memory"
    )


def _not_there(plan: Plan, ccd_id: CcdId, folder: Path) -> Iterator[list[str]]:
    """Yield the images or files of the blocks that are to be made."""
    made = folder / "results" / str(ccd_id) / "blocks"
    for name, images in plan.source_of(ccd_id).blocks_of(ccd_id).items():
        if not (made / f"{name}.hdf5").exists():
            yield images


def _uncompressed(path: Path) -> int:
    """Size of a file [bytes], roughly if it is gzipped."""
    return path.stat().st_size * (GZIP_RATIO if path.suffix == ".gz" else 1)
