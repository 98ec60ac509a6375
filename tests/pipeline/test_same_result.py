"""The same light curves however they are asked for, and however the work is cut."""

import gzip
import itertools
import json
import os
import shutil
import signal
import sqlite3
import time

import pytest
from astropy.io import fits
from pipeline_run import (
    CCD,
    CONFIG,
    SHOWCASE,
    Run,
    assert_same_light_curve,
    assert_same_light_curves,
    by_tic_id,
    changed,
)

AFTER_THE_BLOCKS = (
    "average_image",
    "jitter",
    "hdf5",
    "prf",
    "moving",
    "ccd_todo",
    "collect",
    "check",
    "pictures",
)


def apertures(path):
    """Apertures of a todo list by star: the numbers of the stamp and the packed mask."""
    with sqlite3.connect(path) as connection:
        return dict(
            (row[0], row[1:])
            for row in connection.execute(
                "SELECT starid, stamp_row0, stamp_column0, height, width, mask, status"
                " FROM apertures JOIN todolist USING (priority)"
            )
        )


def listed(path):
    """What a todo list with diagnostics says of each star, but for times and floating numbers."""
    of_interest = (
        "SELECT priority, starid, tmag, status, cbv_area, mask_size, method_used, errors"
        " FROM todolist LEFT JOIN diagnostics USING (priority) ORDER BY priority"
    )
    with sqlite3.connect(path) as connection:
        return connection.execute(of_interest).fetchall()


def methods_by_turns(run):
    """Every third star by `linpsf`, every third by `psf`, the saturated one by `halo`."""
    turns = itertools.cycle(["linpsf", "psf", None])
    asked = dict(zip(sorted(run.light_curves), turns, strict=False))
    asked[SHOWCASE["saturated"]] = "halo"
    return {tic_id: method for tic_id, method in asked.items() if method}


@pytest.fixture(scope="module")
def own_files(small_run, tmp_path_factory):
    """A run on image files in folders, some compressed, with other blocks and one tile.

    The folder is named by TESSPHOT_INPUT, the stars by a path relative to the run.
    """
    home = tmp_path_factory.mktemp("own_files")
    for number, image in enumerate(small_run.images()):
        folder = home / "ffi" / f"orbit{1 + number // 11}" / ("cam3" if number % 2 else "")
        folder.mkdir(parents=True, exist_ok=True)
        if number % 5 == 1:
            packed = gzip.compress(image.read_bytes(), compresslevel=1, mtime=0)
            (folder / f"{image.name}.gz").write_bytes(packed)
        else:
            os.link(image, folder / image.name)
    (home / "ffi" / "notes.txt").write_text("not an image\n")
    (home / "stars").mkdir()
    (home / "stars" / "tic.csv").write_bytes((small_run.ccd / "tic.csv").read_bytes())
    config = changed(
        CONFIG,
        input={"source": "ffi"},
        catalog={"source": "file", "file": "../stars/tic.csv"},
        prepare={"block_size": 7},
        photometry={"tiles": [1, 1]},
        output={"pictures": False},
    )
    del config["simulation"]
    run = Run(home, config)
    counted = run.finish(TESSPHOT_INPUT=str(home / "ffi"))
    assert counted["ffi_table"] == counted["tile_photometry"] == 1
    assert counted["backgrounds"] == 5
    assert "simulate_scene" not in counted
    return run


def test_own_files_and_other_blocks_give_the_same_light_curves(own_files, small_run):
    assert_same_light_curves(own_files, small_run, rtol=1e-6)
    assert {path.parent.name for path in own_files.light_curves.values()} == {"r0c0"}


def test_own_files_and_other_blocks_give_the_same_lists(own_files, small_run):
    assert apertures(own_files.ccd / "todo.sqlite") == apertures(small_run.ccd / "todo.sqlite")
    lists = [listed(run.results / "todo.sqlite") for run in (own_files, small_run)]
    assert lists[0] == lists[1]


def test_own_files_are_left_as_they_are(own_files):
    assert len(list((own_files.home / "ffi").rglob("*_ffic.fits*"))) == 24
    assert not (own_files.home / "results").exists()
    assert not (own_files.folder / "simulated").exists()


def test_other_tiles_give_the_same_light_curves(small_run, tmp_path):
    """Four tiles, whose borders cross the window at row 1832 and column 227."""
    run = small_run.copy(tmp_path, photometry={"tiles": [19, 9]}, output={"pictures": False})
    counted = run.finish(cores=1)
    of_stars = {"ccd_todo": 1, "trends": 1, "tile_photometry": 4}
    assert counted == of_stars | dict.fromkeys(("collect", "check", "ccd_report", "report"), 1)
    assert not (run.ccd / "lightcurves" / "r0c0").exists()
    tiles = {"r16c0", "r16c1", "r17c0", "r17c1"}
    fresh = {
        tic_id: path
        for tile in tiles
        for tic_id, path in by_tic_id(run.ccd / "lightcurves" / tile).items()
    }
    assert set(fresh) == set(small_run.light_curves)
    for tic_id, path in fresh.items():
        assert_same_light_curve(path, small_run.light_curves[tic_id], rtol=1e-6)
    assert apertures(run.ccd / "todo.sqlite") == apertures(small_run.ccd / "todo.sqlite")
    with sqlite3.connect(run.results / "todo.sqlite") as connection:
        listed = [row[0] for row in connection.execute("SELECT lightcurve FROM diagnostics")]
    assert {path.split("/")[2] for path in listed} == tiles


def test_all_methods_give_the_same_in_other_tiles(small_run, tmp_path):
    """Two tiles by two jobs at a time, and four by one; all variations: make test-same."""
    methods = {"methods": methods_by_turns(small_run)}
    runs = []
    for cores, tiles in ((2, [16, 1]), (1, [19, 9])):
        home = tmp_path / str(cores)
        home.mkdir()
        run = small_run.copy(
            home, todo=methods, photometry={"tiles": tiles}, output={"pictures": False}
        )
        shutil.rmtree(run.ccd / "lightcurves")
        run.finish(cores=cores)
        runs.append(run)
    first, second = runs
    used = [fits.getheader(path)["PHOTMET"] for path in first.light_curves.values()]
    assert used.count("halo") == 1
    assert min(used.count(method) for method in ("aperture", "linpsf", "psf")) > 10
    assert_same_light_curves(second, first, rtol=1e-6)
    assert listed(second.results / "todo.sqlite") == listed(first.results / "todo.sqlite")


def test_one_star_is_the_same_by_its_path_and_by_its_number(small_run, tmp_path):
    """The saturated star has an aperture of its own size, the other one is ordinary."""
    nowhere = 4242
    chosen = [SHOWCASE["saturated"], max(small_run.light_curves)]
    run = small_run.copy(
        tmp_path, targets={"tic_ids": [*chosen, nowhere]}, output={"pictures": False}
    )
    paths = [f"results/{CCD}/stars/tic{tic_id}.fits.gz" for tic_id in chosen]
    assert run.finish(*paths) == {"lightcurve": 2}
    for tic_id, path in zip(chosen, paths, strict=True):
        assert_same_light_curve(run.folder / path, small_run.light_curves[tic_id])

    ends = {"collect": 1, "check": 1, "ccd_report": 1, "report": 1}
    assert run.finish() == {"targets": 1} | ends
    found = by_tic_id(run.ccd / "targets")
    assert set(found) == set(chosen)
    for tic_id, path in found.items():
        assert_same_light_curve(path, small_run.light_curves[tic_id])
    summary = (run.results / "summary.txt").read_text()
    assert summary.startswith("2 stars, 2 light curves:\n         2 measured\n")
    assert "WARNING: 1 of the stars asked for cannot be measured" in summary
    assert "ARTIFACT in the TIC: 4242\n" in summary

    # The list of the folder still has all other stars, and both commands are on record.
    assert listed(run.results / "todo.sqlite") == listed(small_run.results / "todo.sqlite")
    n_stars = len(listed(small_run.results / "todo.sqlite"))
    n_curves = len(small_run.light_curves)
    assert f"runs: {n_stars} stars, {n_curves} light curves\n  {CCD}: {n_stars} " in summary
    of_all, of_some = json.loads((run.results / "run.json").read_text())["commands"]
    assert of_all["ended"] < of_some["began"] <= of_some["ended"]


def test_star_that_is_not_on_the_list_is_one_line(small_run, tmp_path):
    with sqlite3.connect(small_run.results / "todo.sqlite") as connection:
        ((skipped, brighter),) = connection.execute(
            "SELECT left.starid, brighter.starid FROM photometry_skipped"
            " JOIN todolist AS left USING (priority)"
            " JOIN todolist AS brighter ON brighter.priority = skipped_by LIMIT 1"
        )
    run = small_run.copy(tmp_path)
    star = f"results/{CCD}/stars/tic{{}}.fits.gz"
    status, output = run.snakemake(
        "--cores", 2, "--keep-going", star.format(4242), star.format(skipped)
    )
    assert status == 1
    assert "Traceback" not in output
    todo = f"error: results/{CCD}/todo.sqlite"
    assert f"\n{todo}: TIC 4242 is not on the list of {CCD}\n" in output
    assert f"\n{todo}: TIC {skipped} lies in the aperture of the brighter TIC {brighter}" in output
    assert not list((run.ccd / "stars").glob("*"))


def test_killed_run_goes_on_and_ends_with_the_same_result(small_run, tmp_path):
    """SIGKILL for Snakemake and all its jobs; --unlock; the same command."""
    run = small_run.copy(tmp_path)
    blocks = sorted((run.ccd / "blocks").glob("b*.hdf5"))
    later = ("average_image.fits", "jitter.ecsv", "pixels.hdf5", "todo.sqlite")
    for path in (*blocks, *(run.ccd / name for name in later)):
        path.unlink()
    for folder in (run.ccd / "lightcurves", run.ccd / "diagnostics", run.results / "pictures"):
        shutil.rmtree(folder)
    for name in ("todo.sqlite", "summary.txt"):
        (run.results / name).unlink()
    process = run.start("--cores", 1)
    deadline = time.monotonic() + 300
    # With one core, the second block is begun (its partial file) when the first one is complete.
    while len(list((run.ccd / "blocks").iterdir())) < 2:
        assert process.poll() is None, "Snakemake ended early"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {block.name: block.stat().st_mtime_ns for block in blocks if block.exists()}

    status, output = run.snakemake("--cores", 2)
    assert status != 0
    assert "--unlock" in output
    assert run.snakemake("--unlock")[0] == 0
    counted = run.finish()
    kept = [block for block in blocks if done.get(block.name) == block.stat().st_mtime_ns]
    # A block that was finished while Snakemake died, before it knew, may be made again.
    assert 1 <= len(kept) <= len(done)
    assert counted["backgrounds"] == 3 - len(kept) > 0
    assert "ffi_table" not in counted
    assert set(AFTER_THE_BLOCKS) <= set(counted)
    assert_same_light_curves(run, small_run)
    assert [path for path in run.results.rglob("*.partial*")] == []
    assert run.plan() == {}
