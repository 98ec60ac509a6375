"""The same light curves for any number of cores, any blocks and any tiles: make test-same.

Whole runs on the same images. Stars are measured by all methods: some by those that are asked
for, the others by those that `auto` finds.
"""

import itertools
import os
import shutil
import sqlite3

import pytest
from astropy.io import fits
from pipeline_run import CONFIG, Run, assert_same_light_curves, changed

from tests.pipeline.test_same_result import apertures, listed, methods_by_turns

CORES, BLOCK_SIZES, TILES = (1, 4), (7, 64), ((1, 1), (8, 8))
WAYS = list(itertools.product(CORES, BLOCK_SIZES, TILES))
BLOCKS = {7: 5, 64: 1}  # of these images, by the size of a block
TILES_WITH_PIXELS = {(1, 1): 1, (8, 8): 4}


@pytest.fixture(scope="session")
def methods(small_run):
    return methods_by_turns(small_run)


def measured(small_run, home, methods, cores, block_size, tiles):
    """A finished run from the images on."""
    (home / "ffi").mkdir(parents=True)
    for image in small_run.images():
        os.link(image, home / "ffi" / image.name)
    shutil.copy(small_run.ccd / "tic.csv", home / "tic.csv")
    config = changed(
        CONFIG,
        input={"source": "ffi", "ffi_dir": "../ffi"},
        catalog={"source": "file", "file": "../tic.csv"},
        prepare={"block_size": block_size},
        todo={"methods": methods},
        photometry={"tiles": list(tiles)},
        output={"pictures": False},
    )
    run = Run(home, config)
    counted = run.finish(cores=cores)
    assert counted["backgrounds"] == BLOCKS[block_size]
    assert counted["tile_photometry"] == TILES_WITH_PIXELS[tiles]
    return run


@pytest.fixture(scope="session")
def first(small_run, methods, tmp_path_factory):
    return measured(small_run, tmp_path_factory.mktemp("first"), methods, *WAYS[0])


def test_all_methods_are_in_it(first):
    used = [fits.getheader(path)["PHOTMET"] for path in first.light_curves.values()]
    assert used.count("halo") == 1
    assert min(used.count(method) for method in ("aperture", "linpsf", "psf")) > 10


@pytest.mark.parametrize(("cores", "block_size", "tiles"), WAYS[1:])
def test_same_result(first, small_run, methods, tmp_path, cores, block_size, tiles):
    run = measured(small_run, tmp_path, methods, cores, block_size, tiles)
    assert_same_light_curves(run, first, rtol=1e-6)
    assert apertures(run.ccd / "todo.sqlite") == apertures(first.ccd / "todo.sqlite")
    assert listed(run.results / "todo.sqlite") == listed(first.results / "todo.sqlite")
    with sqlite3.connect(run.results / "todo.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM diagnostics").fetchone()[0] > 50
