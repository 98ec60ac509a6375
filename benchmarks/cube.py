"""What a long sector costs: memory of the jobs that see all blocks, and reading of stars' pixels.

    python benchmarks/cube.py <folder of a CCD made by run.py> <scratch folder>

Stand-ins make the sector long: copies of its blocks, one after the other in the
same span of time, as if the cadence were shorter. The steps after `backgrounds`
are run over them in processes of their own; then all cadences of the pixels of a
tile are read, as photometry does.
"""

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (registers the filters)
import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.probe import probe
from benchmarks.run import Cost, Step, measure
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.stars.catalog_sqlite import read_catalog

TIMES = ("time", "time_start", "time_stop")
STARS_IN_TILE = 1000
FAINT_LIMIT = 15.0  # [Tmag]
MARGIN = 7  # [pixels] of a stamp of 15 x 15 beyond the pixel of its star


def stand_ins(blocks: list[Path], folder: Path, count: int) -> list[Path]:
    """Copy blocks again and again, closer in time, until there are ``count``."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(blocks[0]) as first, h5py.File(blocks[-1]) as last:
        start, stop = float(first["images/time"][0]), float(last["images/time"][-1])
        length = float(last["images/time_stop"][-1]) - stop
        numbers = int(first["images/cadenceno"][0]), int(last["images/cadenceno"][-1])
    turn_length = stop - start + 2 * length
    scale = 0.99 * (stop - start) / turn_length / -(-count // len(blocks))
    made = []
    for index in range(count):
        turn, place = divmod(index, len(blocks))
        made.append(folder / f"b{index:07d}.hdf5")
        shutil.copyfile(blocks[place], made[-1])
        with h5py.File(made[-1], "r+") as file:
            for name in TIMES:
                later = file[f"images/{name}"][()] - start + turn * turn_length
                file[f"images/{name}"][...] = start + scale * later
            file["images/cadenceno"][...] += turn * (numbers[1] - numbers[0] + 5)
            file.attrs["digest"] = f"stand-in {index}"
    return made


def steps_of_all_blocks(results: Path, scratch: Path, blocks: list[Path]) -> list[Step]:
    """The steps that see all blocks of a CCD; they write into the scratch folder."""
    ccd_id = CcdId.from_string(results.name)
    settings = PrepareSettings()
    catalog, average = results / "catalog.sqlite", scratch / "average_image.fits"
    jitter, foreign = scratch / "jitter.ecsv", {"foreign_light": scratch / "foreign_light.hdf5"}
    spacecraft = results.parent / f"spacecraft_sector{ccd_id.sector}.ecsv"
    made = {"average_image": average, "jitter": jitter, "catalog": catalog} | foreign
    made |= {"spacecraft": spacecraft, "output": scratch / "pixels.hdf5"}
    to_average = blocks, catalog, jitter, average, ccd_id
    return [
        Step.of("jitter", blocks, jitter, ccd_id, settings=settings),
        Step.of("average_image", *to_average, **foreign, settings=settings),
        Step.of("hdf5", blocks, ccd_id, **made, settings=settings),
    ]


def tile_of_stars(results: Path, window: Window) -> tuple[Window, int]:
    """Square of pixels with some thousand stars to be measured, stamps included."""
    stars, _ = read_catalog(results / "catalog.sqlite")
    bright = stars[stars["tmag"] < FAINT_LIMIT]
    row, column = bright["row"].to_numpy(), bright["column"].to_numpy()
    density = window.contains(row, column).sum() / np.prod(window.shape)
    side = min(round(np.sqrt(STARS_IN_TILE / density)), *window.shape)
    tile = Window(window.row0, window.row0 + side, window.column0, window.column0 + side)
    widened = replace(tile, row1=tile.row1 + MARGIN, column1=tile.column1 + MARGIN)
    return widened.intersect(window), int(tile.contains(row, column).sum())


def read_tile(pixels: Path, region: list[int]) -> None:
    """Read all cadences of a region block by block, as photometry does."""
    with PixelCube(pixels) as cube:
        for cadences in cube.block_slices():
            for name in ("flux", "flux_err", "pixel_flags"):
                cube.read(name, Window(*region), cadences)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 5, 20])
    arguments = parser.parse_args()
    blocks = sorted((arguments.results / "blocks").iterdir())
    made = stand_ins(blocks, arguments.scratch / "blocks", max(arguments.blocks))
    rules = [step.rule for step in steps_of_all_blocks(arguments.results, arguments.scratch, made)]
    print("| images | " + " | ".join(f"{rule}: CPU s, MB" for rule in rules) + " |")
    print("|---" * (len(rules) + 1) + "|")
    for count in arguments.blocks:
        steps = steps_of_all_blocks(arguments.results, arguments.scratch, made[:count])
        costs = [step.measure() for step in steps]
        with PixelCube(arguments.scratch / "pixels.hdf5") as cube:
            n_images, window = cube.n_cadences, cube.window
        row = " | ".join(f"{cost.cpu:.1f}, {cost.memory:.0f}" for cost in costs)
        print(f"| {n_images} | {row} |", flush=True)
    region, n_stars = tile_of_stars(arguments.results, window)
    nothing = measure_reading(arguments.scratch, [])
    cost = measure_reading(arguments.scratch, region.as_list())
    each = 1e3 * (cost.cpu - nothing.cpu) / n_stars
    print(
        f"\n{region.shape[0]} x {region.shape[1]} pixels, {n_stars} stars, {n_images} images: "
        f"{each:.2f} CPU ms per star ({each / probe() / 1e3:.4f} probes), {cost.memory:.0f} MB"
    )


def measure_reading(scratch: Path, region: list[int]) -> Cost:
    """Cost of reading a region in a process of its own; of one pixel without a region."""
    pixels = scratch / "pixels.hdf5"
    with PixelCube(pixels) as cube:
        one = [cube.window.row0, cube.window.row0 + 1, cube.window.column0, cube.window.column0 + 1]
    return measure("benchmarks.cube", "read_tile", pixels, region or one)


if __name__ == "__main__":
    main()
