"""Memory and time that jobs ask for; more for a second and third attempt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tessphot_lib.core.geometry import Window

GROWTH = 1.5  # from one attempt to the next
CUTOUT_BASE = 1500  # [MB] of a job that reads cutouts, before their pixels
CUTOUT_COPIES = 5  # a cutout is held about this many times
GZIP_RATIO = 2  # cutouts take about this many times their compressed size
Resource = Callable[[Any, int], int]  # of the wildcards and the attempt, as Snakemake wants it


def growing(amount: float) -> Resource:
    """Return memory or time for a job, as a function of the attempt (see ``--retries``)."""

    def resource(wildcards: Any, attempt: int) -> int:
        return int(amount * GROWTH ** (attempt - 1))

    return resource


def memory(
    base: float,
    window: Window,
    block_size: int,
    bytes_per_pixel: float = 0,
    bytes_per_block_pixel: float = 0,
) -> Resource:
    """Return memory [MB] for a job that holds images.

    Parameters
    ----------
    base : float
        Memory [MB] whatever the size of the images.
    window : Window
        The pixels of an image.
    block_size : int
        Number of images in a block of time.
    bytes_per_pixel, bytes_per_block_pixel : float
        What is held for each pixel once, and for each pixel of each image of
        a block [bytes].
    """
    n_pixels = window.shape[0] * window.shape[1]
    n_bytes = bytes_per_pixel + bytes_per_block_pixel * block_size
    return growing(base + int(n_pixels * n_bytes / 1e6))


def cutout_memory(wildcards: Any, input: Any, attempt: int) -> int:
    """Return memory [MB] for a job that reads cutouts: by the largest of ``input.cutouts``.

    Called by Snakemake, hence the names of the arguments. Cutouts that are not
    there yet do not count.
    """
    sizes = [
        Path(cutout).stat().st_size * (GZIP_RATIO if cutout.endswith(".gz") else 1)
        for cutout in input.cutouts
        if Path(cutout).exists()
    ]
    largest = max(sizes, default=0)
    return growing(CUTOUT_BASE + int(CUTOUT_COPIES * largest / 1e6))(wildcards, attempt)
