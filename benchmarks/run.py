"""The standard case: one simulated full-size CCD, each step measured by itself, truth compared.

    python benchmarks/run.py --folder /tmp/benchmark --images 64

Every step runs in a process of its own, whose CPU seconds (user and system)
and peak memory are those that the operating system counted for it; the
imports, which a job of the workflow pays too, are told apart.
"""

import argparse
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.probe import probe
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import Configuration
from tessphot_lib.core.tiles import tiles_in
from tessphot_lib.simulation.schedule import ffi_names

CHILD = """
import importlib, pickle, sys
sys.path.insert(0, {project!r})
module, name, args, kwargs = pickle.load(sys.stdin.buffer)
getattr(importlib.import_module(module), name)(*args, **kwargs)
"""
PREPARE = ("ffi_table", "catalog", "backgrounds", "jitter", "average_image", "hdf5", "prf")
AFTER = ("trends", "photometry", "collect", "check")


@dataclass
class Cost:
    """What a step took: CPU seconds, peak memory [MB], number of processes."""

    cpu: float = 0.0
    memory: float = 0.0
    jobs: int = 0


def measure(module: str, function: str, *args: Any, **kwargs: Any) -> Cost:
    """Run one function of a module in a new Python process."""
    call = pickle.dumps((module, function, args, kwargs))
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(project=str(PROJECT))],
        stdin=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    process.stdin.write(call)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{module}.{function} failed")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, 1)


def assign(config: dict[str, Any], assignments: Iterable[str]) -> None:
    """Change a configuration by what was given as ``SECTION.KEY=VALUE``."""
    for assignment in assignments:
        keys, value = assignment.split("=", 1)
        *path, last = keys.split(".")
        section = config
        for key in path:
            section = section.setdefault(key, {})
        section[last] = yaml.safe_load(value)


@dataclass(frozen=True)
class Step:
    """One job: a function of a step, its arguments, and the rule it belongs to."""

    rule: str
    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, rule: str, *args: Any, function: str | None = None, **kwargs: Any) -> "Step":
        return cls(rule, function or f"run_{rule}", args, kwargs)

    def measure(self) -> Cost:
        """Run it in a new Python process."""
        return measure(f"tessphot_lib.steps.{self.rule}", self.function, *self.args, **self.kwargs)


def steps(folder: Path, ccd_id: CcdId, window: Window, config: dict[str, Any]) -> Iterator[Step]:
    """The whole way of the data, one step after the other."""
    chosen = Configuration.from_mapping(config)
    prepare, photometry = chosen.prepare, chosen.photometry
    results = folder / "results" / str(ccd_id)
    names = ffi_names(ccd_id, chosen.simulation)
    images = [folder / "simulated" / str(ccd_id) / name for name in names]
    tic, truth = results / "tic.csv", results / "truth.hdf5"
    size = prepare.block_size
    groups = [images[first : first + size] for first in range(0, len(images), size)]
    blocks = [results / "blocks" / f"b{index:07d}.hdf5" for index in range(len(groups))]
    simulated = {
        "window": window,
        "settings": chosen.simulation,
        "faint_limit": chosen.catalog.faint_limit,
    }
    ffis, catalog = results / "ffis.ecsv", results / "catalog.sqlite"
    average, jitter = results / "average_image.fits", results / "jitter.ecsv"
    corrected = photometry.correction.method == "trends"
    trends = results / "trends.hdf5"
    checks = {name: results / f"{name}.ecsv" for name in ("list_check", "unlisted")}
    moving = results / "moving.ecsv"
    transients = results / "transients.ecsv"
    correcting = {"trends": trends if corrected else None, "moving": moving}
    correcting |= {"transients": transients}
    files = CcdFiles.in_folder(results, **correcting, **checks)
    spacecraft = results.parent / f"spacecraft_sector{ccd_id.sector}.ecsv"
    run_todo, summary = results.parent / "todo.sqlite", results.parent / "summary.txt"

    scene = ccd_id, tic, truth
    yield Step.of("simulate_scene", *scene, **simulated)
    for group in groups:
        yield Step.of("simulate", ccd_id, group, **simulated)
    yield Step.of("ffi_table", images, ffis, ccd_id, on_bad_image="error")
    of_ccd = {"window": window, "settings": chosen.catalog}
    yield Step.of("catalog", ffis, tic, catalog, ccd_id, **of_ccd)
    of_ccd = {"window": window, "settings": prepare, "on_bad_image": "error"}
    for group, block in zip(groups, blocks, strict=True):
        yield Step.of("backgrounds", group, ffis, catalog, block, ccd_id, **of_ccd)
    yield Step.of("jitter", blocks, jitter, ccd_id, settings=prepare)
    foreign = {"foreign_light": results / "foreign_light.hdf5"}
    made = blocks, catalog, jitter, average, ccd_id
    yield Step.of("average_image", *made, **foreign, settings=prepare)
    yield Step.of("spacecraft", [ffis], spacecraft, ccd_id.sector, ephemeris=None)
    made = {"average_image": average, "jitter": jitter, "spacecraft": spacecraft} | foreign
    made |= {"catalog": catalog, "output": files.pixels}
    yield Step.of("hdf5", blocks, ccd_id, **made, settings=prepare)
    made = files.pixels, catalog, files.prf, ccd_id
    yield Step.of("prf", *made, **checks, settings=chosen.prf)
    made = files.pixels, files.prf, moving, ccd_id
    found = {"catalog": catalog, "transients": transients, "unlisted": checks["unlisted"]}
    yield Step.of("moving", *made, **found, settings=chosen.moving)
    made = {"pixels": files.pixels, "catalog": catalog, "prf": files.prf, "output": files.todo}
    made |= checks | {"transients": transients}
    of_todo = {"settings": chosen.todo, "photometry": photometry}
    yield Step.of("todo", ccd_id, **made, **of_todo)
    if corrected:
        before = replace(files, trends=None)
        yield Step.of("trends", before, ccd_id, output=trends, settings=photometry)
    of_tile = {
        "settings": photometry,
        "output_settings": chosen.output,
        "threads": 1,
    }
    diagnostics = []
    for tile in tiles_in(window, photometry.tiles):
        diagnostics.append(results / "diagnostics" / f"{tile}.ecsv")
        written = {"light_curves": results / "lightcurves" / tile, "diagnostics": diagnostics[-1]}
        yield Step.of("photometry", files, ccd_id, tile=tile, **written, **of_tile)
    yield Step.of("collect", [files.todo], diagnostics, run_todo)
    of_run = {"tic_ids": [], "ffi_tables": [ffis], "pixels": [files.pixels], "prfs": [files.prf]}
    of_run["list_checks"] = [checks["list_check"]]
    yield Step.of("check", run_todo, summary, results.parent / "run.json", **of_run, config=config)


def report(folder: Path, ccd_id: CcdId, costs: dict[str, Cost], n_images: int, unit: float) -> None:
    """Print the tables of `benchmarks/README.md`."""
    from benchmarks.quality import (
        background_error_quality,
        background_quality,
        motion_quality,
        photometry_quality,
    )
    from tessphot_lib.io.products.todo_sqlite import read_diagnostics

    results = folder / "results" / str(ccd_id)
    n_stars = len(read_diagnostics(folder / "results" / "todo.sqlite"))
    print(f"\nprobe: {unit:.3f} CPU s; {n_images} images, {n_stars} light curves\n")
    print("| rule | jobs | CPU s | CPU s per image | probes per image | peak MB |")
    print("|---|---|---|---|---|---|")
    for rule, cost in costs.items():
        each = cost.cpu / n_images
        print(
            f"| {rule} | {cost.jobs} | {cost.cpu:.1f} | {each:.3f} | {each / unit:.2f} "
            f"| {cost.memory:.0f} |"
        )
    before = sum(costs[rule].cpu for rule in PREPARE if rule in costs) / n_images
    after = sum(costs[rule].cpu for rule in AFTER if rule in costs)
    memory = max(cost.memory for rule, cost in costs.items() if rule != "simulate")
    size = sum(path.stat().st_size for path in (results / "blocks").iterdir())
    size += (results / "pixels.hdf5").stat().st_size
    light_curves = list((results / "lightcurves").rglob("*.fits.gz"))
    per_star = sum(path.stat().st_size for path in light_curves) / max(len(light_curves), 1)
    rows = [
        (
            "before todo, per image",
            f"{before:.3f} CPU s = {before / unit:.2f} probes",
            "1.5 probes",
        ),
        (
            "after todo",
            f"{n_stars / after:.1f} stars per CPU s, {after / n_stars / unit:.4f} probes per star",
            "8 stars per CPU s",
        ),
        ("memory of a job", f"{memory / 1e3:.2f} GB", "2.5 GB"),
        ("cubes on disk", f"{size / n_images / 1e6:.2f} MB per image", "12 MB per image"),
        ("light curves on disk", f"{per_star / 1e3:.1f} kB per star", ""),
    ]
    print("\n| what | measured | goal |\n|---|---|---|")
    for what, value, goal in rows:
        print(f"| {what} | {value} | {goal} |")
    print("\n| against the truth | measured |\n|---|---|")
    functions = background_quality, background_error_quality, motion_quality, photometry_quality
    for function in functions:
        for what, value, note in function(results):
            print(f"| {what} | {value:.4g} {note} |", flush=True)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=PROJECT / "benchmark-run")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--ccd", default="s0014-cam1-ccd1", type=CcdId.from_string)
    parser.add_argument("--window", type=int, nargs=4, metavar=("ROW0", "ROW1", "COL0", "COL1"))
    parser.add_argument("--first", metavar="RULE", help="what comes before is there already")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    config = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())
    config["simulation"]["n_images"] = arguments.images
    assign(config, arguments.set)
    window = Window.from_config(arguments.window)
    unit = probe()
    costs: dict[str, Cost] = {}
    wanted = arguments.first is None
    for step in steps(arguments.folder, arguments.ccd, window, config):
        wanted = wanted or step.rule == arguments.first
        if not wanted:
            continue
        cost = step.measure()
        total = costs.setdefault(step.rule, Cost())
        total.cpu += cost.cpu
        total.jobs += cost.jobs
        total.memory = max(total.memory, cost.memory)
        print(
            f"{step.rule}: {cost.cpu:.1f} CPU s, {cost.memory:.0f} MB", file=sys.stderr, flush=True
        )
    report(arguments.folder, arguments.ccd, costs, arguments.images, 0.5 * (unit + probe()))


if __name__ == "__main__":
    main()
