"""Every field of the sky: scenes that the standard case lacks, in small windows, against the truth.

    python benchmarks/scenes.py --folder /tmp/scenes                 # all of them
    python benchmarks/scenes.py --folder /tmp/scenes galaxy disc     # some of them

Each scene is a setting of the simulator; the window has 160 x 192
pixels, of reflections 320 x 384. Images that
exist are used again, everything else is made from the start.
"""

import argparse
import importlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.quality import LOCAL, all_diagnostics
from benchmarks.run import assign, steps
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.simulation.render import uncatalogued_light
from tessphot_lib.simulation.scene import Scene, background_truth, light_curve_truth
from tessphot_lib.simulation.stars import CONSTANT, OUTBURST
from tessphot_lib.simulation.truth_file import read_scene

CCD = CcdId(14, 1, 2)
WINDOW = Window(896, 1056, 1000, 1192)
LARGE = Window(832, 1152, 896, 1280)  # of reflections, beside which there must be sky
MIDDLE = [976.0, 1096.0]
SQUARE_DEGREES = 142.7  # of a CCD
FAINT_LIMIT = 15.0  # [Tmag] of the stars that are measured
BRIGHT = 13.0  # [Tmag] of those whose bias is shown
FOREIGN = 3.0  # [e-/s per pixel] of a reflection that should be flagged or modelled
MODELLED = 2.0  # [e-/s per pixel] error of a background that has it
QUIET: dict[str, Any] = {
    "n_images": 48,
    "gap_days": 0.0,
    "scattered_every": 0,
    "coarse_every": 0,
    "dump_every": 0,
    "zero_every": 0,
    "nan_every": 0,
    "failed_wcs_every": 0,
    "reflection_level": 0.0,
    "extended_center": MIDDLE,
}


@dataclass(frozen=True)
class Case:
    """Settings of the simulator and of the pipeline."""

    simulation: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    window: Window = WINDOW


def ghost(shape: str, level: float, radius: float, **more: Any) -> Case:
    """A reflection that drifts through the middle of the window."""
    return Case(
        {
            "reflection_shape": shape,
            "reflection_level": level,
            "reflection_radius": radius,
            "reflection_width": 6.0,
            "reflection_speed": 3.0,
            "reflection_center": MIDDLE,
            **more,
        },
        window=LARGE,
    )


def dense(per_square_degree: int, depth: float) -> Case:
    """So many stars to Tmag 17."""
    return Case(
        {
            "stars_per_ccd": round(per_square_degree * SQUARE_DEGREES),
            "clustered_fraction": 0.0,
            "uncatalogued_depth": depth,
        }
    )


SCENES = {
    "plain": Case({}),
    "galaxy": Case({"extended_light": "galaxy", "extended_level": 600.0}),
    "nebula": Case({"extended_light": "nebula", "extended_level": 100.0}),
    "bright_nebula": Case(
        {"extended_light": "bright_nebula", "extended_level": 3000.0, "extended_scale": 20.0}
    ),
    "cluster": Case({"extended_light": "cluster", "extended_level": 800.0, "extended_scale": 8.0}),
    "ring": ghost("ring", 100.0, 45.0),
    "disc": ghost("disc", 100.0, 45.0),
    "arc": ghost("arc", 60.0, 45.0),
    "plate": ghost("plate", 30.0, 30.0),
    "fixed_disc": ghost("disc", 60.0, 40.0, reflection_speed=0.0),
    "edge": Case(
        {
            "scattered_every": 48,
            "scattered_images": 40,
            "scattered_factor": 4.0,
            "scattered_edge": 0.5,
        }
    ),
    "nova": Case({"outbursts": 8, "outburst_tmag": [14.0, 8.0], "outburst_days": 0.3}),
    "dwarf_nova": Case({"outbursts": 8, "outburst_tmag": [14.5, 11.5], "outburst_days": 0.3}),
    "transient": Case({"outbursts": 8, "outburst_tmag": [19.0, 10.0], "outburst_days": 0.3}),
    "dense5": dense(5_000, 2.0),
    "dense10": dense(10_000, 2.0),
    "dense20": dense(20_000, 1.0),
    "dense50": dense(50_000, 0.3),
}
COLUMNS = {  # of the table: their heads
    "listed": "listed (%)",  # of the stars to Tmag `FAINT_LIMIT`
    "measured": "measured (%)",
    "pixels": "known pixels (%)",
    "bias": "bias (%)",  # of the whole flux of constant stars, median
    "bias90": "90 % within (%)",
    "scatter": "scatter / error",
    "sky": "sky, median (e-/s)",  # error of the background
    "sky_rms": "rms (e-/s)",
    "found": "foreign light found (%)",  # flagged or in the background
    "false": "flagged by mistake (%)",  # where there is none
    "over5": "over 5 sigma (%)",  # of the points with QUALITY 0
    "over8": "over 8 sigma (%)",
    "unflagged": "QUALITY 0 (%)",  # of the points; of outbursts where there are any
    "slope": "slope of outbursts",
}


def main() -> None:
    """Run the scenes that are asked for, and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenes", nargs="*", metavar="scene", help=", ".join(SCENES))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args()
    print("| scene |", " | ".join(COLUMNS.values()), "|")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name in options.scenes or SCENES:
        try:
            figures = run(options.folder / name, SCENES[name], options.set)
        except InputDataError as err:
            print(f"| {name} | {err} |", flush=True)
            continue
        shown = " | ".join(f"{figures[key]:.3g}" if key in figures else "" for key in COLUMNS)
        print(f"| {name} | {shown} |", flush=True)


def run(folder: Path, case: Case, assignments: Sequence[str] = ()) -> dict[str, float]:
    """Simulate a scene, run all steps on it with some settings changed, and compare."""
    config: dict[str, Any] = {
        "sectors": [CCD.sector],
        "cameras": [CCD.camera],
        "ccds": [CCD.ccd],
        "input": {"source": "simulated", "window": case.window.as_list()},
        "catalog": {"source": "simulated"},
        "prepare": {"block_size": 20},
        "photometry": {"tiles": [1, 1]},
        "simulation": QUIET | case.simulation,
        **case.settings,
    }
    assign(config, assignments)
    results = folder / "results" / str(CCD)
    for old in ("lightcurves", "diagnostics"):
        shutil.rmtree(results / old, ignore_errors=True)
    for path in results.parent.glob("todo.sqlite"):
        path.unlink()
    for step in steps(folder, CCD, case.window, config):
        if step.rule == "simulate" and all(path.is_file() for path in step.args[1]):
            continue
        module = importlib.import_module(f"tessphot_lib.steps.{step.rule}")
        getattr(module, step.function)(*step.args, **step.kwargs)
    return figures_of(results)


def figures_of(folder: Path) -> dict[str, float]:
    """Compare the products of a scene with its truth: a number for each of `COLUMNS`."""
    scene = read_scene(folder / "truth.hdf5")
    return _stars(folder, scene) | _pixels(folder, scene)


def _stars(folder: Path, scene: Scene) -> dict[str, float]:
    stars = scene.stars
    inside = scene.window.contains(stars.row, stars.column) & stars.known
    inside &= stars.tmag < FAINT_LIMIT
    wanted = set(stars.tic_id[inside].tolist())
    table = read_todo(folder / "todo.sqlite").merge(
        all_diagnostics(folder), on="priority", suffixes=("", "_measured")
    )
    listed = wanted & set(table["tic_id"].tolist())
    table = table[table["lightcurve"].notna()]
    measured = wanted & set(table["tic_id"].tolist())
    bias, scatter, over, outburst = [], [], [], []
    for star in table.itertuples():
        if star.tic_id not in wanted:
            continue
        index = scene.star_index(star.tic_id)
        kind = stars.variability[index]
        curve = _read(folder / star.lightcurve, scene)
        truth = light_curve_truth(scene, star.tic_id)[curve["index"]]
        good = curve["quality"] == 0
        if kind == OUTBURST:
            light = np.isfinite(curve["flux"])
            slope = np.polyfit(stars.flux[index] * truth[light], curve["flux"][light], 1)[0]
            outburst.append((good.mean(), slope))
        if kind != CONSTANT or good.sum() < 5:
            continue
        flux, error = curve["flux"], curve["error"]
        own = flux[good].mean() - (1 - curve["crowdsap"]) * np.median(flux[good])
        if stars.tmag[index] < BRIGHT and stars.tmag[index] > 7:
            bias.append(own / curve["flfrcsap"] / stars.flux[index] - 1)
        pull = np.abs(flux - np.median(flux[good])) / error
        over.append(((pull[good] > 5).sum(), (pull[good] > 8).sum(), good.sum(), good.size))
        scatter.append(1.4826 * np.median(pull[good]))
    counts = np.array(over).reshape(-1, 4).sum(axis=0)
    figures = {
        "listed": 100 * len(listed) / max(len(wanted), 1),
        "measured": 100 * len(measured) / max(len(wanted), 1),
        "bias": 100 * float(np.median(bias)),
        "bias90": 100 * float(np.quantile(np.abs(bias), 0.9)),
        "scatter": float(np.median(scatter)),
        "over5": 100 * counts[0] / counts[2],
        "over8": 100 * counts[1] / counts[2],
        "unflagged": 100 * counts[2] / counts[3],
    }
    if outburst:
        figures["unflagged"] = 100 * float(np.mean([good for good, _ in outburst]))
        figures["slope"] = float(np.median([slope for _, slope in outburst]))
    return figures


def _read(path: Path, scene: Scene) -> dict[str, Any]:
    """A light curve, and the number of the image of each of its points."""
    with fits.open(path) as hdus:
        data, header = hdus["LIGHTCURVE"].data, hdus[0].header
        return {
            "flux": np.array(data["FLUX_RAW"], dtype=float),
            "error": np.array(data["FLUX_RAW_ERR"], dtype=float),
            "quality": np.array(data["QUALITY"]),
            "index": np.searchsorted(scene.cadencenos, data["CADENCENO"]),
            "crowdsap": header.get("CROWDSAP", 1.0),
            "flfrcsap": header.get("FLFRCSAP", 1.0),
        }


def _pixels(folder: Path, scene: Scene) -> dict[str, float]:
    """Pixels with foreign light that are flagged or modelled, others flagged; error of the sky."""
    still = replace(scene, settings=replace(scene.settings, reflection_level=0.0))
    steady = replace(scene, stars=scene.stars.select(scene.stars.variability != OUTBURST))
    unknown = ndimage.uniform_filter(uncatalogued_light(steady), LOCAL, mode="nearest")
    found: list[NDArray] = []
    false: list[NDArray] = []
    error = []
    with PixelCube(folder / "pixels.hdf5") as cube:
        known = float(np.isfinite(cube.average_image(cube.window)).mean())
        flags = (cube.read("pixel_flags") & int(PixelFlag.BACKGROUND_ANOMALY)) != 0
        for number in range(cube.n_cadences):
            index = int(np.searchsorted(scene.cadencenos, cube.cadenceno[number]))
            plain = background_truth(still, index)
            truth = background_truth(scene, index)
            light = truth - plain
            # Light that no catalog knows is part of the sky.
            model = cube.grid.evaluate(cube.background[number][None], cube.window)[0]
            off = model - truth - unknown
            is_modelled = np.abs(off) < MODELLED
            found.append((flags[number] | is_modelled)[np.abs(light) > FOREIGN])
            false.append(flags[number][np.abs(light) < 0.1])
            error.append(off[~flags[number]])
    every = np.concatenate(found)
    typical = np.concatenate(error)
    figures = {"pixels": 100 * known, "false": 100 * float(np.concatenate(false).mean())}
    if typical.size:
        figures |= {"sky": float(np.median(typical))}
        figures |= {"sky_rms": float(np.sqrt(np.mean(typical**2)))}
    if every.size:
        figures["found"] = 100 * float(every.mean())
    return figures


if __name__ == "__main__":
    main()
