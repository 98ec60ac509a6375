"""Target pixel files through all steps: the same stars as in the images of the same sky."""

import shutil
import sqlite3
from dataclasses import replace

import h5py
import lightkurve
import numpy as np
import pytest
from astropy.io import fits
from cutout_run import PHOTOMETRY, PREPARE, SIMULATION, catalog, finish, light_curves
from tpf_run import run_stamped

import tessphot_lib
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import CorrectionSettings, OutputSettings, PhotometrySettings
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.images.tpf_stamps import read_stamp, stamp_pixels
from tessphot_lib.io.products.diagnostics_ecsv import read_diagnostics_table
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.report.find import find_star
from tessphot_lib.report.star_picture import title_of
from tessphot_lib.simulation.motion import displacement
from tessphot_lib.simulation.schedule import ffi_names
from tessphot_lib.simulation.stamps import build_stamp_scene
from tessphot_lib.steps.backgrounds import run_backgrounds
from tessphot_lib.steps.collect import run_collect
from tessphot_lib.steps.ffi_table import run_ffi_table
from tessphot_lib.steps.lightcurve import run_light_curve
from tessphot_lib.steps.photometry import run_photometry
from tessphot_lib.steps.pixels import run_pixels
from tessphot_lib.steps.simulate import run_simulate
from tessphot_lib.steps.simulate_scene import run_simulate_scene
from tessphot_lib.steps.simulate_tpfs import run_simulate_tpfs
from tessphot_lib.steps.stamp_table import run_stamp_table
from tessphot_lib.steps.stamps import run_stamps

CCD = CcdId(14, 3, 4)
STAMPS = replace(CCD, cadence=120)
WINDOW = Window(1744, 1824, 204, 300)
SETTINGS = replace(
    SIMULATION, n_images=16, gap_after=9, scattered_every=0, showcase=True, tpf_stars=9
)
COMMON = {"window": WINDOW, "settings": SETTINGS, "faint_limit": 18.0}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Simulated images and target pixel files of one sky, and the stars in it."""
    folder = tmp_path_factory.mktemp("sky")
    run_simulate_scene(CCD, folder / "tic.csv", folder / "truth.hdf5", **COMMON)
    paths = [folder / "ffi" / name for name in ffi_names(CCD, SETTINGS)]
    run_simulate(CCD, paths, **COMMON)
    run_simulate_tpfs(STAMPS, folder / "tpf", **COMMON)
    return folder


@pytest.fixture(scope="module")
def images(sky):
    """The run over the images."""
    home = sky / "results" / str(CCD)
    paths = sorted((sky / "ffi").glob("*.fits"))
    run_ffi_table(paths, home / "ffis.ecsv", CCD, on_bad_image="error")
    catalog(home, sky / "tic.csv", None)
    blocks = [home / "blocks" / "b0.hdf5"]
    tables = home / "ffis.ecsv", home / "catalog.sqlite"
    common = {"window": WINDOW, "settings": PREPARE, "on_bad_image": "error"}
    run_backgrounds(paths, *tables, blocks[0], CCD, **common)
    finish(home, blocks)
    return home


@pytest.fixture(scope="module")
def stamps(sky, images):
    """The run over the target pixel files, with the PRF of the images."""
    home = sky / "results" / str(STAMPS)
    run_stamped(home, [sky / "tpf"], sky / "tic.csv", STAMPS, of_images=images / "prf.fits")
    return home


def corrected(home):
    """Median flux of each star, as if all of its light were in the aperture and no other's."""
    table = read_diagnostics_table(home / "r0c0.ecsv").set_index("tic_id")
    fluxes = {}
    for tic_id, curve in light_curves(home).items():
        flux = np.nanmedian(curve["FLUX_RAW"][curve["QUALITY"] == 0])
        if table.loc[tic_id, "method_used"] == "aperture":
            flux *= table.loc[tic_id, "crowdsap"] / table.loc[tic_id, "flfrcsap"]
        fluxes[tic_id] = flux
    return fluxes


def test_pixels_of_the_archive_are_those_of_the_files(sky, stamps):
    """Flux without its background is FLUX, to what rounding leaves; FLUX_BKG to 0.01 e-/s."""
    with PixelCube(stamps / "pixels.hdf5") as cube:
        assert cube.n_cadences == 16 * 15
        for path in sorted((sky / "tpf").glob("*.fits"))[:4]:
            stamp = read_stamp(path, STAMPS)
            (pixels,) = stamp_pixels(stamp)
            background = cube.background_in(stamp.window)
            light = cube.read("flux", stamp.window) - background
            np.testing.assert_array_equal(cube.cadenceno, pixels.cadenceno)
            off = (light - pixels.flux) / pixels.flux_err
            assert np.abs(off).max() < 0.2  # two steps of the rounding, of up to 0.035 sigma rms
            assert abs(off.mean()) < 1e-3
            np.testing.assert_allclose(background, pixels.flux_bkg, atol=0.01)


def test_same_fluxes_as_in_the_images(images, stamps):
    """After CROWDSAP and FLFRCSAP within 0.5 %, down to where the noise of the images hides it."""
    ours, theirs = corrected(stamps), corrected(images)
    tmag = {tic_id: curve["tmag"] for tic_id, curve in light_curves(stamps).items()}
    bright = [tic_id for tic_id in ours if tic_id in theirs and tmag[tic_id] < 12.5]
    assert len(bright) >= 8
    ratio = np.array([ours[tic_id] / theirs[tic_id] for tic_id in bright])
    assert np.abs(np.median(ratio) - 1) < 0.005
    assert np.sort(np.abs(ratio - 1))[-2] < 0.01


def test_motion_has_the_zero_point_of_the_images(images, stamps):
    scene = build_stamp_scene(STAMPS, **COMMON)
    true = np.stack([scene.motion(index) for index in range(scene.n_images)])
    at = np.array([1784.0]), np.array([250.0])
    true_row, true_column = (axis[:, 0] for axis in displacement(true, *at))
    with PixelCube(stamps / "pixels.hdf5") as cube, PixelCube(images / "pixels.hdf5") as whole:
        row, column = cube.motion_at(1784.0, 250.0)
        number = np.searchsorted(whole.time - whole.timecorr, cube.time - cube.timecorr - 0.5 / 48)
        of_images = whole.motion_at(1784.0, 250.0)
    for found, known, theirs in zip((row, column), (true_row, true_column), of_images, strict=True):
        assert np.std(found - known) < 0.003
        # As many cadences as images, with the same jitter: only the drift differs.
        theirs = theirs[np.clip(number, 0, len(theirs) - 1)]
        assert abs(np.median(found - theirs)) < 0.002


def test_todo_list_says_whose_pixels_they_are(sky, stamps):
    own = {read_stamp(path, STAMPS).tic_id for path in (sky / "tpf").iterdir()}
    todo = read_todo(stamps / "todo.sqlite")
    assert set(todo["cadence_seconds"]) == {120}
    source = dict(zip(todo["tic_id"], todo["datasource"], strict=True))
    assert own == {tic_id for tic_id, name in source.items() if name == "tpf"}
    others = {tic_id: name for tic_id, name in source.items() if tic_id not in own}
    assert others
    assert {int(name.removeprefix("tpf:")) for name in others.values()} <= own
    for name in (path.name for path in (stamps / "lightcurves").rglob("*.gz")):
        assert "-c0120-" in name


def test_fits_of_the_prf_give_fluxes(stamps, tmp_path):
    todo = tmp_path / "todo.sqlite"
    shutil.copy(stamps / "todo.sqlite", todo)
    with sqlite3.connect(todo) as connection:
        connection.execute("UPDATE todolist SET method = 'linpsf'")
    connection.close()
    run_photometry(
        CcdFiles.in_folder(stamps, todo=todo),
        STAMPS,
        light_curves=tmp_path / "lightcurves" / "r0c0",
        diagnostics=tmp_path / "r0c0.ecsv",
        tile="r0c0",
        settings=replace(PHOTOMETRY, correction=CorrectionSettings(method="none")),
        output_settings=OutputSettings(),
        threads=1,
    )
    fitted, summed = corrected(tmp_path), corrected(stamps)
    bright = [tic_id for tic_id, curve in light_curves(stamps).items() if curve["tmag"] < 12.5]
    ratio = np.array([fitted[tic_id] / summed[tic_id] for tic_id in bright if tic_id in fitted])
    assert len(ratio) >= 6
    assert np.abs(np.median(ratio) - 1) < 0.05  # a PRF from the few stars of a small window


def test_times_of_a_star_are_those_of_its_file(sky, stamps):
    curves = light_curves(stamps)
    for path in sorted((sky / "tpf").glob("*.fits"))[:3]:
        with fits.open(path) as hdus:
            tic_id, time = hdus[0].header["TICID"], hdus[1].data["TIME"]
        off = np.abs(curves[tic_id]["TIME"] - time) * 86400
        assert off.max() < 0.02 + 3 * curves[tic_id]["time_error"]


def test_both_stand_beside_each_other_in_the_list_of_the_run(sky, images, stamps):
    todo = sky / "results" / "todo.sqlite"
    homes = [images, stamps]
    folders = {home: home / "diagnostics" for home in homes}
    for home, folder in folders.items():
        folder.mkdir(exist_ok=True)
        shutil.copy(home / "r0c0.ecsv", folder / "r0c0.ecsv")
    run_collect(
        [home / "todo.sqlite" for home in homes],
        [folder / "r0c0.ecsv" for folder in folders.values()],
        todo,
    )
    tic_id = next(iter(light_curves(stamps)))
    found = find_star(todo, tic_id)
    assert [star.ccd_id for star in found] == [CCD, STAMPS]
    assert all(star.light_curve.is_file() for star in found)
    titles = [title_of(read_light_curve(star.light_curve)[2]) for star in found]
    where = "sector 14, camera 3, CCD 4"
    for title, seconds in zip(titles, (1800, 120), strict=True):
        assert title.startswith(f"TIC {tic_id}, Tmag ")
        assert title.endswith(f": {where}, {seconds} s")
    run = tessphot_lib.Run(sky)
    assert run.ccds == [CCD, STAMPS]
    for cadence, n_images in ((1800, 16), (120, 16 * 15)):
        star = run.star(tic_id, cadence=cadence)
        summed, measured = star.measure(1.5), star.light_curve()
        assert len(summed.time) == len(measured.time) == n_images
        good = (measured.quality == 0) & summed.is_good
        np.testing.assert_allclose(summed.time[good], measured.time[good], atol=1e-7)
        assert np.isfinite(summed.flux[good]).all()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # it leaves files open
def test_lightkurve_takes_the_files_for_spoc_ones(sky):
    path = sorted((sky / "tpf").glob("*.fits"))[0]
    stamp = read_stamp(path, STAMPS)
    pixels = lightkurve.read(path)
    assert type(pixels).__name__ == "TessTargetPixelFile"
    assert (pixels.row, pixels.column) == (stamp.window.row0 + 1, stamp.window.column0 + 45)
    curve = pixels.to_lightcurve(aperture_mask=pixels.pipeline_mask)
    assert 3 < pixels.pipeline_mask.sum() < 20
    assert np.isfinite(curve.flux.value).all()
    pixels.hdu.close()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # lightkurve leaves files open
def test_pixels_of_a_star_come_out_as_they_went_in(sky, stamps, tmp_path):
    """A target pixel file of the run has the pixels, times and motion of the one it is from."""
    path = sorted((sky / "tpf").glob("*.fits"))[1]
    source = read_stamp(path, STAMPS)
    output = tmp_path / "star_tp.fits"
    files = CcdFiles.in_folder(stamps)
    settings = PhotometrySettings()
    run_pixels(files, STAMPS, output=output, tic_id=source.tic_id, size=9, settings=settings)
    found = read_stamp(output, STAMPS)
    assert found.tic_id == source.tic_id
    assert min(found.window.shape) == 9
    assert found.window.intersect(source.window) == found.window
    (ours,), (theirs,) = stamp_pixels(found), stamp_pixels(source)
    cut = (slice(None), *found.window.slices_in(source.window))
    assert np.abs((ours.flux - theirs.flux[cut]) / ours.flux_err).max() < 0.2
    np.testing.assert_allclose(ours.flux_bkg, theirs.flux_bkg[cut], atol=0.01)
    for axis in ("row", "column"):
        motion, true = getattr(ours, f"pos_corr_{axis}"), getattr(theirs, f"pos_corr_{axis}")
        assert np.std(motion - true) < 0.003
    with fits.open(output) as hdus, fits.open(path) as wanted:
        off = np.abs(hdus[1].data["TIME"] - wanted[1].data["TIME"]) * 86400
        assert off.max() < 0.05
        assert hdus["APERTURE"].header["NPIXSAP"] > 3
        assert 0 < hdus[1].header["CROWDSAP"] <= 1
        assert hdus[0].header["TIMESHFT"] == 0
        mask, time = hdus["APERTURE"].data & 2 > 0, hdus[1].data["TIME"]
        summed = hdus[1].data["FLUX"][:, mask].sum(axis=1)
    pixels = lightkurve.read(output, quality_bitmask="none")
    assert type(pixels).__name__ == "TessTargetPixelFile"
    assert (pixels.row, pixels.column) == (found.window.row0 + 1, found.window.column0 + 45)
    curve = pixels.to_lightcurve(aperture_mask=pixels.pipeline_mask)
    pixels.hdu.close()
    np.testing.assert_allclose(curve.flux.value, summed, rtol=1e-5)
    np.testing.assert_allclose(curve.time.value, time, rtol=0, atol=1e-8)
    at = found.wcs.all_world2pix(*source.target, 0)
    expected = source.wcs.all_world2pix(*source.target, 0)
    shift = source.window.column0 - found.window.column0, source.window.row0 - found.window.row0
    for here, there, moved in zip(at, expected, shift, strict=True):
        assert float(here) == pytest.approx(float(there) + moved, abs=0.05)


def test_images_that_are_bad_by_our_bits_are_bad_for_other_programs(sky, stamps, tmp_path):
    """What the mission has no bit for has the closest one, as in PIXEL_QUALITY."""
    home = tmp_path / "run"
    shutil.copytree(stamps, home, ignore=shutil.ignore_patterns("lightcurves"))
    bits = [CadenceFlag.COARSE_MEASURED, CadenceFlag.STARS_CHANGED, CadenceFlag.ATTITUDE_TWEAK]
    with h5py.File(home / "pixels.hdf5", "r+") as file:
        was_good = file["quality"][40:43] == 0
        file["quality"][40:43] = bits
        file.attrs["time_shift"] = -1.979
    assert was_good.all()
    tic_id = read_stamp(sorted((sky / "tpf").glob("*.fits"))[2], STAMPS).tic_id
    output = tmp_path / "star_tp.fits"
    files, settings = CcdFiles.in_folder(home), PhotometrySettings()
    run_pixels(files, STAMPS, output=output, tic_id=tic_id, size=9, settings=settings)
    quality = fits.getdata(output, "PIXELS")["QUALITY"]
    assert quality[40:43].tolist() == [
        CadenceFlag.COARSE_POINT,
        CadenceFlag.MANUAL_EXCLUDE,
        CadenceFlag.ATTITUDE_TWEAK,
    ]
    assert not quality[:40].any()
    assert fits.getval(output, "TIMESHFT") == -1.979


def copied(sky, folder, n_files=3):
    """Some of the target pixel files, to be damaged."""
    folder.mkdir()
    paths = [shutil.copy(path, folder) for path in sorted((sky / "tpf").glob("*.fits"))[:n_files]]
    return [folder / path.name for path in map(type(folder), paths)]


def make_nan(path):
    with fits.open(path, mode="update") as hdus:
        hdus["PIXELS"].data["FLUX"] = np.nan


def test_two_files_of_one_star(sky, tmp_path):
    first, *_ = copied(sky, tmp_path / "tpf")
    second = first.with_name(first.name.replace("-0000-s_tp", "-0001-s_tp"))
    shutil.copy(first, second)
    tables = tmp_path / "cutouts.ecsv", tmp_path / "ffis.ecsv"
    run_stamp_table([tmp_path / "tpf"], *tables, STAMPS, on_bad_image="error")
    with pytest.raises(InputDataError, match=f"{second.name}: another file of TIC .* {first}"):
        read_ffi_table(tables[1])
    run_stamp_table([tmp_path / "tpf"], *tables, STAMPS, on_bad_image="skip")
    assert len(read_ffi_table(tables[1])) == 16 * 15


def test_file_of_nan_only(sky, tmp_path):
    """With 'skip' the others are measured as if it were not there."""
    paths = copied(sky, tmp_path / "tpf")
    make_nan(paths[1])
    home = tmp_path / "results"
    tables = home / "cutouts.ecsv", home / "ffis.ecsv"
    run_stamp_table(paths, *tables, STAMPS, on_bad_image="error")
    catalog(home, sky / "tic.csv", tables[0], STAMPS)
    block = home / "blocks" / "stamps.hdf5"
    arguments = (*tables, home / "catalog.sqlite", block, STAMPS)
    with pytest.raises(InputDataError, match=f"{paths[1].name}: all of column FLUX is NaN"):
        run_stamps(*arguments, settings=PREPARE, on_bad_image="error")
    assert not block.exists()
    run_stamped(home, paths, sky / "tic.csv", STAMPS, on_bad_image="skip")
    measured = set(light_curves(home))
    assert {read_stamp(path, STAMPS).tic_id for path in (paths[0], paths[2])} <= measured
    assert read_stamp(paths[1], STAMPS).tic_id not in measured


def test_what_the_background_leaves_is_subtracted_from_light_curves_and_pixels(
    sky, stamps, tmp_path
):
    """A background that takes 9.0 e-/s per pixel too little, and the setting that takes them."""
    home = tmp_path / "run"
    shutil.copytree(stamps, home, ignore=shutil.ignore_patterns("lightcurves"))
    with h5py.File(home / "pixels.hdf5", "r+") as file:
        background = file["background"][()]
        background[..., 0] -= 9.0
        file["background"][...] = background
        file["average_image"][...] = file["average_image"][()] + 9.0
    tic_id = read_stamp(sorted((sky / "tpf").glob("*.fits"))[2], STAMPS).tic_id
    found = {}
    for name, folder, is_on in (("good", stamps, False), ("off", home, False), ("on", home, True)):
        files = CcdFiles.in_folder(folder, trends=None)
        settings = PhotometrySettings(
            correction=CorrectionSettings(method="none"), tpf_residual_background=is_on
        )
        curve, pixels = tmp_path / f"{name}.fits.gz", tmp_path / f"{name}_tp.fits"
        of_run = {"settings": settings, "output_settings": OutputSettings()}
        run_light_curve(files, STAMPS, output=curve, tic_id=tic_id, method="aperture", **of_run)
        run_pixels(files, STAMPS, output=pixels, tic_id=tic_id, size=9, settings=settings)
        with fits.open(curve) as hdus, fits.open(pixels) as images:
            mask = images["APERTURE"].data & 2 > 0
            found[name] = {
                "flux": np.nanmedian(hdus[1].data["FLUX_RAW"]) / mask.sum(),
                "sky": np.nanmedian(hdus[1].data["FLUX_BKG"]) / mask.sum(),
                "pixels": np.nanmedian(images[1].data["FLUX"][:, mask].sum(axis=1)) / mask.sum(),
                "pixel sky": np.nanmedian(images[1].data["FLUX_BKG"][:, mask]),
                "left": hdus[0].header["BKGLEFT"],
                "subtracted": hdus[0].header["BKGLFOFF"],
            }
    off = found["on"]["subtracted"]
    assert off == pytest.approx(found["good"]["left"] + 9.0, abs=1.0)
    assert found["on"]["left"] == off
    assert found["good"]["subtracted"] == found["off"]["subtracted"] == 0
    for name in ("flux", "pixels"):
        assert found["off"][name] - found["good"][name] == pytest.approx(9.0, abs=0.02)
        assert found["off"][name] - found["on"][name] == pytest.approx(off, abs=0.02)
    for name in ("sky", "pixel sky"):
        assert found["on"][name] - found["off"][name] == pytest.approx(off, abs=0.02)
