"""The first page of the report: the whole run."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_tables import ccd_names
from tessphot_lib.report.site import figures
from tessphot_lib.report.site.ccd import ccd_numbers, ccd_warnings, noise_floor
from tessphot_lib.report.site.page import title_of, write_page
from tessphot_lib.report.site.stars import star_table, with_links

MAX_SHOWN = 20_000  # stars in the plots of a run
# What names of benchmark files add to the rule: a block, a tile, a sector, a star.
JOB_OF_RULE = re.compile(r"_(b\d+|r\d+c\d+|sector\d+|\d+)$")


def write_run_page(path: Path, todo: Path, record: Path, benchmarks: Path) -> None:
    """Write ``index.html``.

    Parameters
    ----------
    path : Path
        ``results/report/index.html``
    todo, record : Path
        ``todo.sqlite`` and ``run.json`` of the run.
    benchmarks : Path
        Folder with the tables of costs that Snakemake writes; it may be missing.

    Raises
    ------
    InputDataError
        If a product cannot be read.
    """
    try:
        run = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputDataError(f"{record}: cannot be read: {error}") from error
    stars = star_table(todo)
    of_ccd = ccd_names(stars)
    floor, cards, linked = None, [], []
    for name in run["ccds"]:
        on_ccd = stars[of_ccd == name]
        linked.append(with_links(on_ccd, (), f"{name}/"))
        prf = read_prf(todo.parent / name / "prf.fits")
        with PixelCube(todo.parent / name / "pixels.hdf5") as cube:
            window = cube.window
            center = (window.row0 + window.row1) / 2, (window.column0 + window.column1) / 2
            floor = floor or noise_floor(cube, prf, center)
            cards.append(
                {
                    "name": name,
                    "title": title_of(CcdId.from_string(name)),
                    "numbers": ccd_numbers(cube, prf, on_ccd),
                    "warnings": ccd_warnings(cube, prf, on_ccd),
                }
            )
    every = pd.concat(linked, ignore_index=True) if linked else with_links(stars, ())
    step = max(1, int(np.ceil(len(every) / MAX_SHOWN)))
    shown = every.sort_values("priority").iloc[::step]
    sources = figures.star_sources(shown)
    write_page(
        path,
        "run.html",
        depth=0,
        figures={
            "noise": figures.noise_figure(sources, floor),
            "aperture_size": figures.aperture_figure(sources),
            "contamination": figures.contamination_figure(sources),
        },
        numbers=_numbers(run),
        cards=cards,
        n_shown=len(shown),
        n_left_out=len(every) - len(shown),
        step=step,
        costs=costs_by_rule(benchmarks),
        settings=yaml.safe_dump(run["settings"], sort_keys=False, allow_unicode=True),
    )


def _numbers(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is known of the run in a few words."""
    counts = run["ccds"].values()
    return [
        ("software", run["software"]),
        ("began", _minute(run["began"])),
        ("ended", _minute(run["ended"])),
        ("source", run["settings"]["input"]["source"]),
        ("CCDs", str(len(run["ccds"]))),
        ("images used", f"{sum(c['images_used'] for c in counts)}"),
        ("stars", f"{sum(c['stars'] for c in counts)}"),
        ("light curves", f"{sum(c['light_curves'] for c in counts)}"),
    ]


def _minute(moment: str | None) -> str:
    return "unknown" if moment is None else moment[:16].replace("T", " ") + " UTC"


def costs_by_rule(benchmarks: Path) -> list[tuple[str, int, str, str, str]]:
    """Sum up the tables that Snakemake writes for each job.

    Returns
    -------
    list of (rule, jobs, CPU seconds, seconds of the longest job, largest memory in MB)
        The most expensive first; empty without tables.
    """
    tables = []
    for path in sorted(benchmarks.rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values="-")
        table["rule"] = JOB_OF_RULE.sub("", path.stem)
        tables.append(table)
    if not tables:
        return []
    rows = []
    for rule, jobs in pd.concat(tables, ignore_index=True).groupby("rule"):
        cpu, longest, memory = jobs["cpu_time"].sum(), jobs["s"].max(), jobs["max_rss"].max()
        rows.append((float(cpu), (str(rule), len(jobs), f"{cpu:.1f}", f"{longest:.1f}", memory)))
    ordered = [row for _, row in sorted(rows, key=lambda row: -row[0])]
    return [(*row[:4], "" if np.isnan(row[4]) else f"{row[4]:.0f}") for row in ordered]
