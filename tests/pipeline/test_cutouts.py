"""Cutouts through all steps: the same light curves as from the images they were cut from."""

import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from cutout_files import read_images, write_cutout
from cutout_run import (
    CCD,
    FAINT_LIMIT,
    PHOTOMETRY,
    PREPARE,
    SIMULATION,
    WINDOW,
    catalog,
    finish,
    inside,
    light_curves,
    run_cut,
)
from pipeline_run import by_tic_id

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.settings import CorrectionSettings, OutputSettings
from tessphot_lib.core.star_warnings import LIMITED_APERTURE
from tessphot_lib.io.products.not_measured_ecsv import read_not_measured
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.photometry.choice import warnings_of
from tessphot_lib.simulation.schedule import ffi_names
from tessphot_lib.steps.backgrounds import run_backgrounds
from tessphot_lib.steps.ffi_table import run_ffi_table
from tessphot_lib.steps.photometry import run_photometry
from tessphot_lib.steps.simulate import run_simulate
from tessphot_lib.steps.simulate_scene import run_simulate_scene


@pytest.fixture(scope="module")
def sector(tmp_path_factory):
    """Simulated images and the light curves of the run over them."""
    folder = tmp_path_factory.mktemp("sector")
    common = {"window": WINDOW, "settings": SIMULATION, "faint_limit": 18.0}
    tic = folder / "tic.csv"
    run_simulate_scene(CCD, tic, folder / "truth.hdf5", **common)
    names = ffi_names(CCD, SIMULATION)
    paths = [folder / "ffi" / name for name in names]
    paths[0].parent.mkdir()
    run_simulate(CCD, paths, **common)
    images = read_images(paths, WINDOW.as_list())
    home = folder / "results"
    run_ffi_table(paths, home / "ffis.ecsv", CCD, on_bad_image="error")
    catalog(home, tic, None)
    blocks = [home / "blocks" / "b0.hdf5"]
    run_backgrounds(
        paths,
        home / "ffis.ecsv",
        home / "catalog.sqlite",
        blocks[0],
        CCD,
        window=WINDOW,
        settings=PREPARE,
        on_bad_image="error",
    )
    finish(home, blocks)
    return {"tic": tic, "images": images, "home": home}


@pytest.fixture(scope="module")
def many(sector, tmp_path_factory):
    """A run over cutouts of 21 x 23 px around some of the stars, and one on the edge."""
    folder = tmp_path_factory.mktemp("many")
    todo = read_todo(sector["home"] / "todo.sqlite")
    chosen = inside(todo[todo["status"].isna()], WINDOW.as_list(), 11).iloc[:8]
    windows = []
    for row, column in zip(chosen["row"].round(), chosen["column"].round(), strict=True):
        windows.append([int(row) - 10, int(row) + 11, int(column) - 11, int(column) + 12])
        write_cutout(folder / "cut" / str(len(windows)), sector["images"], windows[-1])
    return run_cut(folder / "results", folder / "cut", sector["tic"]), windows


def test_same_light_curves_as_from_the_images(sector, many):
    home, windows = many
    cut, whole = light_curves(home), light_curves(sector["home"])
    todo = read_todo(home / "todo.sqlite")
    central = pd.concat([inside(todo, window, 6) for window in windows])["tic_id"].unique()
    common = [tic_id for tic_id in central if tic_id in cut and tic_id in whole]
    assert len(common) >= 8
    offset, shape = [], []
    for tic_id in common:
        ours, theirs = cut[tic_id], whole[tic_id]
        # Cutouts in one corner do not tell where the middle of the CCD looks: times of the
        # telescope are the same, its place in space is good to what the header says.
        off = np.abs(ours["TIME"] - theirs["TIME"]) * 86400
        assert off.max() < 0.1 + 3 * (ours["time_error"] + theirs["time_error"])
        assert off.max() < 1
        np.testing.assert_array_equal(ours["CADENCENO"], theirs["CADENCENO"])
        good = (ours["QUALITY"] == 0) & (theirs["QUALITY"] == 0)
        assert good.sum() >= 20
        ratio = ours["FLUX_RAW"][good] / theirs["FLUX_RAW"][good]
        offset.append(np.median(ratio))
        error = np.median(theirs["FLUX_RAW_ERR"][good] / theirs["FLUX_RAW"][good])
        # The median, since whole images are smoothed where scattered light is brightest.
        shape.append(1.4826 * np.median(np.abs(ratio / np.median(ratio) - 1)) / error)
    assert np.median(offset) == pytest.approx(1, abs=0.02)
    assert np.quantile(np.abs(np.array(offset) - 1), 0.8) < 0.06  # other apertures
    assert np.median(shape) < 0.7  # differences in time are less than the noise


def test_fits_of_single_images_agree_with_that_of_the_average(many, tmp_path):
    """Whatever else shines in a cutout, also in one on the edge of the smallest window of all."""
    home, _ = many
    todo = tmp_path / "todo.sqlite"
    settings = replace(PHOTOMETRY, correction=CorrectionSettings(method="none"))
    shutil.copy(home / "todo.sqlite", todo)
    with sqlite3.connect(todo) as connection:
        connection.execute("UPDATE todolist SET method = 'linpsf'")
    connection.close()
    files = CcdFiles.in_folder(home, todo=todo)
    curves = tmp_path / "lightcurves" / "r0c0"
    common = {"tile": "r0c0", "settings": settings, "threads": 1}
    common["output_settings"] = OutputSettings()
    run_photometry(files, CCD, light_curves=curves, diagnostics=tmp_path / "r0c0.ecsv", **common)
    offs = []
    for path in by_tic_id(tmp_path / "lightcurves").values():
        with fits.open(path) as hdus:
            table, mean = hdus[1].data, hdus[0].header.get("PSF_MEAN")
        good = (table["QUALITY"] == 0) & np.isfinite(table["FLUX_RAW"])
        if hdus[0].header["TESSMAG"] > 13 or mean is None or not good.any():
            continue
        error = np.median(table["FLUX_RAW_ERR"][good]) / np.sqrt(good.sum())
        offs.append(
            np.abs(np.median(table["FLUX_RAW"][good]) - mean) / np.hypot(error, 2e-3 * mean)
        )
    assert len(offs) >= 5
    assert np.quantile(offs, 0.8) < 3, offs


def test_scattered_light_is_taken_off(many):
    home, _ = many
    with PixelCube(home / "pixels.hdf5") as cube:
        level, quality = cube.background_level, cube.quality
    scattered = level > 1.5 * np.median(level)
    assert scattered.sum() >= 4
    for star in light_curves(home).values():
        if star["tmag"] > 12 or not np.isfinite(star["FLUX_RAW"]).any():
            continue
        quiet = (star["QUALITY"] == 0) & ~scattered
        some = scattered & (quality == 0)
        off = np.median(star["FLUX_RAW"][some]) - np.median(star["FLUX_RAW"][quiet])
        assert abs(off) < 0.01 * np.median(star["FLUX_RAW"][quiet])


def test_only_pixels_of_cutouts_are_used(many):
    home, windows = many
    with PixelCube(home / "pixels.hdf5") as cube:
        known = np.isfinite(cube.average_image(cube.window))
        window = cube.window
    covered = np.zeros(window.shape, dtype=bool)
    for one in windows:
        covered[Window(*one).slices_in(window)] = True
    np.testing.assert_array_equal(known, covered)
    apertures, todo = read_apertures(home / "todo.sqlite"), read_todo(home / "todo.sqlite")
    remarks = dict.fromkeys(todo["priority"], "")
    for priority, aperture in apertures.items():
        cut = aperture.window.slices_in(window)
        assert not (aperture.mask & ~covered[cut]).any()
        remarks[priority] = warnings_of(aperture, "aperture") or ""
        beside = np.zeros_like(covered)
        rows, columns = np.nonzero(aperture.mask)
        for row, column in zip(rows + cut[0].start, columns + cut[1].start, strict=True):
            beside[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
        on_edge = rows + cut[0].start, columns + cut[1].start
        at_border = any(
            (axis == 0).any() or (axis == size - 1).any()
            for axis, size in zip(on_edge, window.shape, strict=True)
        )
        is_limited = bool((beside & ~covered).any() or at_border)
        assert (LIMITED_APERTURE in remarks[priority]) == is_limited
    assert sum(LIMITED_APERTURE in remark for remark in remarks.values()) >= 3
    curves = light_curves(home).values()
    collected = [star["aperture"] & int(ApertureFlag.COLLECTED) != 0 for star in curves]
    assert sum(not image.all() for image in collected) > 3
    for star in curves:
        used = star["aperture"] & int(ApertureFlag.IN_APERTURE) != 0
        assert (star["aperture"][used] & int(ApertureFlag.COLLECTED)).all()


def test_stars_without_light_curve_have_a_reason(many):
    home, _ = many
    left_out = read_not_measured(home / "not_measured.ecsv")
    listed = set(read_todo(home / "todo.sqlite")["tic_id"])
    assert not listed & set(left_out["tic_id"])
    assert set(left_out["reason"]) == {"fainter than todo.faint_limit", "no pixels of any cutout"}
    faint = left_out["reason"] == "fainter than todo.faint_limit"
    assert (left_out["tmag"][faint] > FAINT_LIMIT).all()
    assert (left_out["tmag"][~faint] <= FAINT_LIMIT).all()


def test_star_of_a_cutout_that_is_not_used(sector, tmp_path):
    todo = read_todo(sector["home"] / "todo.sqlite")
    first, second = inside(todo, WINDOW.as_list(), 9).iloc[[0, -1]].itertuples()
    for star in (first, second):
        row, column = round(star.row), round(star.column)
        window = [row - 6, row + 7, column - 6, column + 7]
        wrong = (
            {"WCS_FFI": "tess2018221075942-s0001-4-1-0120-s_ffic.fits"} if star is second else {}
        )
        write_cutout(tmp_path / "cut", sector["images"], window, **wrong)
    home = run_cut(tmp_path / "results", tmp_path / "cut", sector["tic"])
    left_out = read_not_measured(home / "not_measured.ecsv").set_index("tic_id")
    assert left_out.loc[second.tic_id, "reason"] == "its cutout is not used"
    assert "its WCS is of another CCD" in left_out.loc[second.tic_id, "detail"]
    assert first.tic_id in by_tic_id(home / "lightcurves")


def test_overlapping_cutouts_are_one(sector, tmp_path):
    big = [1760, 1800, 230, 280]
    parts = [[1760, 1785, 230, 260], [1760, 1785, 250, 280], [1780, 1800, 230, 280]]
    write_cutout(tmp_path / "big", sector["images"], big)
    for part in parts:
        write_cutout(tmp_path / "parts", sector["images"], part)
    one = run_cut(tmp_path / "1", tmp_path / "big", sector["tic"])
    other = run_cut(tmp_path / "2", tmp_path / "parts", sector["tic"])
    with PixelCube(one / "pixels.hdf5") as first, PixelCube(other / "pixels.hdf5") as second:
        np.testing.assert_array_equal(first.read("flux"), second.read("flux"))
        np.testing.assert_allclose(first.background, second.background, rtol=1e-5, atol=1e-3)
    ours, theirs = light_curves(one), light_curves(other)
    assert set(ours) == set(theirs)
    assert len(ours) > 5
    compared = 0
    for tic_id, star in ours.items():
        # Stars are placed by the WCS of the nearest cutout: some apertures change by a pixel.
        if np.array_equal(star["aperture"], theirs[tic_id]["aperture"]):
            np.testing.assert_allclose(
                star["FLUX_RAW"], theirs[tic_id]["FLUX_RAW"], rtol=1e-4, atol=0.05
            )
            compared += 1
    assert compared > 0.7 * len(ours)


def test_cutouts_with_different_images(sector, tmp_path):
    """Each star has a light curve where its own cutout has images; the others are missing."""
    windows = [[1760, 1785, 230, 255], [1795, 1820, 270, 295]]
    images = sector["images"]
    write_cutout(
        tmp_path / "cut", images, windows[0], use=slice(0, 22), rounded=True, numbered=False
    )
    write_cutout(tmp_path / "cut", images, windows[1], use=slice(6, 30))
    home = run_cut(tmp_path / "results", tmp_path / "cut", sector["tic"])
    todo = read_todo(home / "todo.sqlite")
    curves = light_curves(home)
    for window, there in zip(windows, (slice(0, 22), slice(6, 30)), strict=True):
        has = np.zeros(30, dtype=bool)
        has[there] = True
        ids = [tic_id for tic_id in inside(todo, window, 4)["tic_id"] if tic_id in curves]
        assert ids
        for tic_id in ids:
            np.testing.assert_array_equal(np.isfinite(curves[tic_id]["FLUX_RAW"]), has)
            assert len(curves[tic_id]["TIME"]) == 30


def test_one_small_cutout(sector, tmp_path):
    """Eight by eight pixels, one star: too few for a motion, enough for a light curve."""
    todo = read_todo(sector["home"] / "todo.sqlite")
    star = inside(todo, WINDOW.as_list(), 9).iloc[0]
    row, column = round(star["row"]), round(star["column"])
    write_cutout(tmp_path / "cut", sector["images"], [row - 4, row + 4, column - 4, column + 4])
    home = run_cut(tmp_path / "results", tmp_path / "cut", sector["tic"])
    curve = light_curves(home)[star["tic_id"]]
    whole = light_curves(sector["home"])[star["tic_id"]]
    good = (curve["QUALITY"] == 0) & (whole["QUALITY"] == 0)
    assert good.sum() > 15
    ratio = np.median(curve["FLUX_RAW"][good]) / np.median(whole["FLUX_RAW"][good])
    assert ratio == pytest.approx(1, abs=0.08)


# -- the workflow -------------------------------------------------------------------------------


def configuration(folder, tic):
    return {
        "sectors": [14],
        "cameras": [3],
        "ccds": [4],
        "input": {"source": "tesscut", "cutout_dir": str(folder)},
        "catalog": {"source": "file", "file": str(tic)},
        "todo": {"faint_limit": FAINT_LIMIT},
        "photometry": {"tiles": [1, 1]},
    }


def test_whole_workflow(sector, tmp_path, snakemake):
    write_cutout(tmp_path / "run" / "mine" / "deep", sector["images"], [1760, 1785, 230, 255])
    write_cutout(tmp_path / "run" / "mine", sector["images"], [1795, 1820, 270, 295])
    (tmp_path / "run" / "mine" / "tess-s0014-3-1_10.0_-3.5_10x10_astrocut.fits").touch()
    config = configuration("mine", sector["tic"])  # relative: from the folder of the run
    status, output = snakemake("-n", config=config)
    assert status == 0, output
    assert "not asked for by sectors, cameras and ccds: the cutouts of s0014-cam3-ccd1" in output
    assert "cutout_table" in output
    assert "rule backgrounds" not in output
    status, output = snakemake("--cores", "2", config=config)
    assert status == 0, output
    results = tmp_path / "run" / "results"
    ours = light_curves(results / str(CCD))
    assert len(ours) >= 5
    assert "stars that are not on the list: " in output
    left_out = read_not_measured(results / str(CCD) / "not_measured.ecsv")
    assert f"{(left_out['reason'] == 'no pixels of any cutout').sum():d} no pixels of any" in output
    direct = run_cut(tmp_path / "direct", tmp_path / "run" / "mine", sector["tic"])
    for tic_id, star in light_curves(direct).items():
        np.testing.assert_array_equal(star["FLUX_RAW"], ours[tic_id]["FLUX_RAW"])


def test_cutouts_of_another_ccd_only(sector, tmp_path, snakemake):
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "tess-s0015-1-2_10.0_-3.5_10x10_astrocut.fits").touch()
    status, output = snakemake("-n", config=configuration(tmp_path / "cut", sector["tic"]))
    assert status != 0
    assert "no image of s0014-cam3-ccd4 in" in output
    assert "there are images of s0015-cam1-ccd2" in output
    assert "Traceback" not in output
