"""Photometry with the PRF of two families that differ in kind, by each method, against the truth.

    python benchmarks/prf_shapes.py --folder /tmp/shapes                  # both families
    python benchmarks/prf_shapes.py --folder /tmp/shapes asymmetric       # one of them

60 images of 384 x 384 pixels without scattered light, foreign light and bad images. Images
that exist are used again, everything else is made from the start. Fluxes are those of constant
stars; in each row: bias of the whole flux and what 90 % of the stars stay within, scatter from
image to image over the Cramer-Rao floor of the true PRF, chi2 per degree of freedom (median
and 90th percentile; that of noise of 60 images is 1.24).
"""

import argparse
import importlib
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.quality import CONTAMINATED, all_diagnostics, measure_star
from benchmarks.run import steps
from benchmarks.scenes import QUIET
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.simulation.prf import FAMILIES
from tessphot_lib.simulation.render import star_image
from tessphot_lib.simulation.scene import background_truth, noise_truth
from tessphot_lib.simulation.truth_file import read_scene

CCD = CcdId(14, 1, 1)
WINDOW = Window(1000, 1384, 1000, 1384)
METHODS = "aperture", "linpsf", "psf"
BINS = (6, 8, 9, 10, 11, 12, 13, 14, 15)  # [Tmag] limits
MIN_STARS = 3  # for a row


def main() -> None:
    """Run the families that are asked for, and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", metavar="family", help=", ".join(FAMILIES))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    options = parser.parse_args()
    head = "Tmag", "stars", "bias (%)", "90 % within (%)", "scatter / floor", "chi2", "90 %"
    for family in options.families or FAMILIES:
        for number, method in enumerate(options.methods):
            results = run(options.folder / family, family, method, is_first=number == 0)
            print(f"\n{family}, {method}\n\n| {' | '.join(head)} |")
            print("|---" * len(head) + "|")
            for row in rows_of(results):
                print("| " + " | ".join(f"{value:.3g}" for value in row) + " |", flush=True)


def run(folder: Path, family: str, method: str, *, is_first: bool) -> Path:
    """Simulate and measure; what does not depend on the method is made by the first one."""
    config: dict[str, Any] = {
        "sectors": [CCD.sector],
        "cameras": [CCD.camera],
        "ccds": [CCD.ccd],
        "input": {"source": "simulated", "window": WINDOW.as_list()},
        "catalog": {"source": "simulated"},
        "prepare": {"block_size": 20},
        "photometry": {"tiles": [1, 1], "method": method, "correction": {"method": "none"}},
        "simulation": QUIET | {"n_images": 60, "prf_family": family},
    }
    results = folder / "results" / str(CCD)
    for old in ("lightcurves", "diagnostics"):
        shutil.rmtree(results / old, ignore_errors=True)
    for path in results.parent.glob("todo.sqlite"):
        path.unlink()
    wanted = is_first
    for step in steps(folder, CCD, WINDOW, config):
        wanted = wanted or step.rule == "todo"
        is_made = step.rule == "simulate" and all(path.is_file() for path in step.args[1])
        if wanted and not is_made and step.rule != "check":
            module = importlib.import_module(f"tessphot_lib.steps.{step.rule}")
            getattr(module, step.function)(*step.args, **step.kwargs)
    return results


def rows_of(folder: Path) -> list[tuple[float, ...]]:
    """Rows of the table of a CCD."""
    scene = read_scene(folder / "truth.hdf5")
    todo = read_todo(folder / "todo.sqlite")
    stars = todo.merge(all_diagnostics(folder), on="priority", suffixes=("", "_measured"))
    stars = stars[stars["lightcurve"].notna() & (stars["contamination"] <= CONTAMINATED)]
    light = background_truth(scene, 0) + star_image(scene, scene.stars)
    sigma, quiet = noise_truth(scene, light), np.ones(scene.n_images, dtype=bool)
    rows = []
    for low, high in pairwise(BINS):
        near = stars[(stars["tmag"] >= low) & (stars["tmag"] < high)]
        found = [measure_star(scene, folder, star, sigma, quiet) for star in near.itertuples()]
        found = [star for star in found if star is not None]
        if len(found) < MIN_STARS:
            continue
        bias, noise, floor, chi2 = (
            np.array([star[key] for star in found]) for key in ("bias", "ptp", "floor", "variance")
        )
        row = 100 * np.median(bias), 100 * np.quantile(np.abs(bias), 0.9)
        row += np.median(noise / floor), np.median(chi2), np.quantile(chi2, 0.9)
        rows.append((0.5 * (low + high), len(found), *row))
    return rows


if __name__ == "__main__":
    main()
