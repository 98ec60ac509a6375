"""What jobs ask for: exact numbers, since a job with too little memory is killed."""

import inspect
from types import SimpleNamespace

import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.plan.resources import cutout_memory, growing, memory


@pytest.mark.parametrize(("attempt", "expected"), [(1, 1001), (2, 1501), (3, 2252)])
def test_each_attempt_gets_half_as_much_again(attempt, expected):
    """1001, 1501.5 and 2252.25, whole numbers of MB."""
    assert growing(1001)(None, attempt) == expected


def test_snakemake_hands_over_wildcards_and_attempt_by_these_names():
    assert list(inspect.signature(growing(1)).parameters) == ["wildcards", "attempt"]


def test_memory_by_pixels_and_images():
    """1000 x 500 pixels; a megabyte is 1e6 bytes."""
    window = Window(100, 1100, 7, 507)
    assert memory(300, window, 8)(None, 1) == 300
    assert memory(300, window, 8, bytes_per_pixel=20)(None, 1) == 310
    assert memory(300, window, 8, bytes_per_block_pixel=9)(None, 1) == 336
    assert memory(300, window, 8, 20, 9)(None, 1) == 346
    assert memory(300, window, 8, 20, 9)(None, 3) == 778  # 346 * 2.25


def test_memory_of_the_whole_ccd():
    assert memory(1000, Window(), 64, 200, 9)(None, 1) == 1000 + 3254  # 2048^2 * 776 bytes


def test_memory_by_the_largest_cutout(tmp_path):
    """A compressed one counts twice; what is not there yet does not count."""
    paths = []
    for name, size in (("a.fits", 3_000_000), ("b.fits.gz", 2_000_000), ("c.fits", 1_000_000)):
        paths.append(str(tmp_path / name))
        with open(paths[-1], "wb") as file:
            file.truncate(size)

    def megabytes(paths, attempt=1):
        return cutout_memory(None, input=SimpleNamespace(cutouts=paths), attempt=attempt)

    assert megabytes(paths) == 1500 + 20  # b: 5 times 2 times 2 MB
    assert megabytes(paths[::2]) == 1500 + 15
    assert megabytes(paths, attempt=2) == 2280
    assert megabytes([str(tmp_path / "missing.fits")]) == 1500
    assert megabytes([]) == 1500
