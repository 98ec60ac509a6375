"""A small simulated CCD, run with the real steps and the real Snakemake, for test_pipeline_*."""

import copy
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from astropy.io import fits
from paths import PROJECT

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import CorrectionSettings, OutputSettings, PhotometrySettings
from tessphot_lib.io.products.diagnostics_ecsv import read_diagnostics_table
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.steps.photometry import run_photometry

CCD = "s0014-cam3-ccd4"
# Not square, not in the middle, its borders no multiples of anything; row 1792 begins a tile.
WINDOW = [1744, 1840, 204, 316]
# Image 1 and 21 are momentum dumps, 2 is coarse, 3 all NaN, 6 all zero; the transit and the
# eclipses lie in quiet ones. Image 16 has an absurd WCS. Blocks of 9, 10 and 5 images.
CONFIG = {
    "sectors": [14],
    "cameras": [3],
    "ccds": [4],
    "input": {"source": "simulated", "window": WINDOW},
    "catalog": {"source": "simulated"},
    "prepare": {"block_size": 10},
    "photometry": {"tiles": [16, 1]},
    "simulation": {
        "seed": 9,
        "n_images": 24,
        "gap_after": 19,
        "gap_days": 0.1,
        "showcase": True,
        "scattered_every": 24,
        "scattered_images": 3,
        "reflection_level": 0,
        "dump_every": 12,
        "coarse_every": 24,
        "zero_every": 24,
        "nan_every": 24,
        "failed_wcs_every": 24,
    },
    "output": {
        "pictures": True,
        "hlsp": {"id": "small", "name": "A small window", "lead": "A. Person"},
    },
}
DUMPS, COARSE, NAN, ZERO = (1, 21), 2, 3, 6
SHOWCASE = {"saturated": 0, "transit": 1, "eclipse": 2, "pulsation": 3, "faint pulsation": 4}
SHOWCASE = {name: 14_349_000_001 + number for name, number in SHOWCASE.items()}
MAY_DIFFER = {"DATE", "CHECKSUM", "DATASUM"}


@dataclass(frozen=True)
class Run:
    """A folder with a configuration and the folder ``run`` of the workflow."""

    home: Path
    config: dict

    @property
    def folder(self):
        return self.home / "run"

    @property
    def results(self):
        return self.folder / "results"

    @property
    def ccd(self):
        return self.results / CCD

    @cached_property
    def light_curves(self):
        """Paths of the light curves of all tiles, by TIC number."""
        return by_tic_id(self.ccd / "lightcurves")

    def images(self):
        return sorted((self.folder / "simulated" / CCD).glob("*.fits"))

    def command(self, *arguments):
        config_file = self.home / "user.yaml"
        config_file.write_text(yaml.safe_dump(self.config))
        command = [sys.executable, "-m", "snakemake"]
        command += ["--snakefile", str(PROJECT / "workflow" / "Snakefile")]
        command += ["--configfile", str(config_file), "--directory", str(self.folder)]
        return [*command, *map(str, arguments)]

    def environment(self, **variables):
        ours = ("TESSPHOT_INPUT", "TESSPHOT_OUTPUT")
        known = {key: value for key, value in os.environ.items() if key not in ours}
        return known | {"XDG_CACHE_HOME": str(self.home / "cache")} | variables

    def start(self, *arguments, said=subprocess.DEVNULL, **variables):
        """Start Snakemake as the leader of a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.home,
            env=self.environment(**variables),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )

    def snakemake(self, *arguments, **variables):
        """Run Snakemake; returns its exit status and all that stands on the terminal."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.home,
            env=self.environment(**variables),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout

    def finish(self, *arguments, cores=2, **variables):
        """Run Snakemake, which must succeed; returns the number of jobs by rule."""
        status, output = self.snakemake("--cores", cores, *arguments, **variables)
        assert status == 0, output
        return jobs(output)

    def plan(self, *arguments):
        """Number of jobs by rule of a dry run; none if there is nothing to be done."""
        status, output = self.snakemake("-n", *arguments)
        assert status == 0, output
        return jobs(output)

    def copy(self, home, **changes):
        """Copy the run, images as links, with some sections of the configuration changed."""
        shutil.copytree(self.folder, home / "run", copy_function=link_image, dirs_exist_ok=True)
        return Run(home, changed(self.config, **changes))


def changed(config, **sections):
    """Return a configuration with some keys of some sections, or whole keys, replaced."""
    config = copy.deepcopy(config)
    for name, values in sections.items():
        config[name] = config.get(name, {}) | values if isinstance(values, dict) else values
    return config


def link_image(source, target):
    """Copy a file with its times; an image, sparse and never changed, becomes a hard link."""
    if source.endswith("_ffic.fits"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def jobs(output):
    """Jobs that Snakemake counts: rule to number; none: nothing to be done."""
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return {}
    table = output[output.index("Job stats:") :].split("\ntotal")[0]
    counted = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {name: int(count) for name, count in counted if name != "all"}


def by_tic_id(folder):
    return {int(path.name[4:15]): path for path in sorted(folder.rglob("*_lc.fits.gz"))}


def assert_same_light_curve(path, expected, *, rtol=0.0):
    """All headers, columns and images equal; fluxes, errors and positions within ``rtol``."""
    with fits.open(path) as found, fits.open(expected) as wanted:
        assert [hdu.name for hdu in found] == [hdu.name for hdu in wanted]
        for ours, theirs in zip(found, wanted, strict=True):
            assert list(ours.header) == list(theirs.header)
            for key in set(theirs.header) - MAY_DIFFER:
                assert_close(ours.header[key], theirs.header[key], rtol, key)
            if ours.data is None:
                continue
            for name in ours.data.dtype.names or [None]:
                values = ours.data if name is None else ours.data[name]
                others = theirs.data if name is None else theirs.data[name]
                assert_close(values, others, rtol, f"{ours.name} {name}")


def assert_close(found, wanted, rtol, name):
    if isinstance(wanted, float) or getattr(wanted, "dtype", np.dtype(int)).kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12, err_msg=name)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def assert_same_light_curves(run, expected, *, rtol=0.0):
    """Every star of one run has the same light curve in the other, whatever its tile."""
    assert set(run.light_curves) == set(expected.light_curves)
    assert len(run.light_curves) > 50
    for tic_id, path in run.light_curves.items():
        assert_same_light_curve(path, expected.light_curves[tic_id], rtol=rtol)


def measure_anew(run, folder, method, tic_ids=None):
    """Measure stars of a finished run by another method: whole tiles, without correction.

    Of ``tic_ids`` the method is changed and the tiles are measured; None: all stars. Returns the
    files of the run that are needed for one star, the settings and the diagnostics.
    """
    todo = folder / "todo.sqlite"
    shutil.copy(run.ccd / "todo.sqlite", todo)
    stars = read_todo(todo, tic_ids=tic_ids)
    with closing(sqlite3.connect(todo)) as connection, connection:
        connection.executemany(
            "UPDATE todolist SET method = ? WHERE starid = ?",
            [(method, tic_id) for tic_id in stars["tic_id"].tolist()],
        )
    settings = PhotometrySettings(
        tiles=run.config["photometry"]["tiles"], correction=CorrectionSettings(method="none")
    )
    files = CcdFiles.in_folder(run.ccd, todo=todo, trends=None)
    tables = []
    for tile in sorted(set(stars["tile"])):
        run_photometry(
            files,
            CcdId.from_string(CCD),
            light_curves=folder / "lightcurves" / tile,
            diagnostics=folder / f"{tile}.ecsv",
            tile=tile,
            settings=settings,
            output_settings=OutputSettings(),
            threads=1,
        )
        tables.append(read_diagnostics_table(folder / f"{tile}.ecsv"))
    return files, settings, pd.concat(tables, ignore_index=True)
