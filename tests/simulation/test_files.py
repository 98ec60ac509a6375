"""The simulated files: their times, the format of SPOC, and where the stars are."""

import csv
import json

import h5py
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.ffi_file import has_failed_wcs
from tessphot_lib.simulation.pointing import CAMERA_CENTER, boresight, reference_wcs
from tessphot_lib.simulation.render import Renderer
from tessphot_lib.simulation.scene import build_scene, motion_truth
from tessphot_lib.simulation.schedule import (
    cadence_index,
    cadence_numbers,
    ffi_names,
    image_kind,
    image_starts,
    scattered_strength,
    utc,
)
from tessphot_lib.simulation.truth_file import read_scene
from tessphot_lib.steps.simulate import run_simulate
from tessphot_lib.steps.simulate_scene import run_simulate_scene

CCD = CcdId(14, 1, 2)
WINDOW = Window(100, 160, 1900, 2000)  # not square, off the middle
SETTINGS = {"n_images": 64, "stars_per_ccd": 30000}
STANDARD = SimulationSettings(**SETTINGS)


def simulate(folder, ccd_id=CCD, window=WINDOW, which=(0,), **settings):
    """Write some images; return their paths."""
    settings = SimulationSettings(**SETTINGS | settings)
    names = ffi_names(ccd_id, settings)
    paths = [folder / names[index] for index in which]
    run_simulate(ccd_id, paths, window=window, settings=settings, faint_limit=17.0)
    return paths


def index_of(kind, ccd_id=CCD):
    settings = STANDARD
    return next(i for i in range(64) if image_kind(ccd_id, i, settings) == kind)


def wcs_of(path):
    """The WCS of the image; its dates, which astropy would complain about, left out."""
    header = fits.getheader(path, 1)
    for key in ("DATE-OBS", "DATE-END"):
        del header[key]
    return WCS(header)


def read_tic(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_dates_agree_with_those_of_a_real_image():
    # TSTART and DATE-OBS in the primary header of an image of sector 1.
    assert utc(1325.313100604524).isoformat(timespec="milliseconds") == (
        "2018-07-25T19:29:42.708+00:00"
    )


def test_names_are_in_order_and_lead_back_to_the_image():
    settings = SimulationSettings(n_images=70, cadence_seconds=200)
    names = ffi_names(CCD, settings)
    assert names == sorted(names)
    assert len(set(names)) == 70
    assert names[0].startswith("tess2019")
    assert names[0].endswith("-s0014-1-2-0000-s_ffic.fits")
    assert [cadence_index(name, CCD, settings) for name in names] == list(range(70))
    with pytest.raises(InputDataError, match="not an image of the simulated s0014-cam1-ccd3"):
        cadence_index(names[0], CcdId(14, 1, 3), settings)
    with pytest.raises(InputDataError, match=r"stray\.fits: not an image"):
        cadence_index("stray.fits", CCD, settings)


def test_more_images_leave_the_first_ones_as_they_are():
    few, more = (SimulationSettings(n_images=n, gap_after=30) for n in (60, 61))
    assert ffi_names(CCD, more)[:60] == ffi_names(CCD, few)
    kinds = [[image_kind(CCD, i, settings) for i in range(60)] for settings in (few, more)]
    assert kinds[0] == kinds[1]


def test_there_is_a_gap_and_the_cadence_numbers_know_it():
    settings = SimulationSettings(n_images=10, gap_days=1.0)
    starts, numbers = image_starts(CCD, settings), cadence_numbers(CCD, settings)
    steps = np.diff(starts) * 48
    assert steps == pytest.approx([1, 1, 1, 1, 49, 1, 1, 1, 1])
    assert np.array_equal(np.diff(numbers), np.rint(steps))


def test_cadence_numbers_go_on_from_those_of_the_mission():
    settings = SimulationSettings(n_images=3, start=1325.317007851970 - 3.9072474e-3)
    assert list(cadence_numbers(CcdId(1, 1, 1), settings)) == [4697, 4746, 4747]
    settings = SimulationSettings(n_images=3, gap_days=0, start=1325.313100604524 + 10 / 48)
    assert list(cadence_numbers(CcdId(1, 1, 1), settings)) == [4707, 4708, 4709]


@pytest.mark.parametrize("seed", range(5))
def test_a_short_run_has_one_of_everything(seed):
    settings = SimulationSettings(seed=seed, n_images=64)
    kinds = [image_kind(CCD, index, settings) for index in range(64)]
    assert kinds.count("zero") <= 1  # rarely hidden behind another
    assert kinds.count("nan") <= 1
    assert 1 <= kinds.count("coarse") <= 4
    assert kinds.count("dump") <= 1
    assert kinds.count("scattered") >= 7
    assert kinds.count("quiet") >= 40
    strength = [scattered_strength(CCD, index, settings) for index in range(64)]
    assert max(strength) > 0.9
    assert (np.diff(np.sign(np.diff(strength))) < 0).sum() <= 2  # it rises and falls


def test_start_before_the_leap_seconds_is_refused():
    with pytest.raises(ConfigError, match="start must be a BTJD after 2017"):
        ffi_names(CCD, SimulationSettings(start=100.0))


def test_image_has_the_format_of_spoc(tmp_path):
    index = index_of("quiet")
    (path,) = simulate(tmp_path, which=(index,))
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == [
            "PRIMARY", "CAMERA.CCD 1.2 cal", "CAMERA.CCD 1.2 uncert",
        ]  # fmt: skip
        primary, header = hdus[0].header, hdus[1].header
        for hdu in hdus[1:]:
            assert hdu.data.shape == (2078, 2136)
            assert hdu.data.dtype == np.dtype(">f4")
            assert "DATASUM" in hdu.header
        assert np.all(hdus[2].data[100:160, 1944:2044] > 0.2)
        lit = np.argwhere(hdus[1].data)
    assert lit.min(axis=0).tolist() == [100, 1944]
    assert lit.max(axis=0).tolist() == [159, 2043]
    assert primary["FFIINDEX"] > 4697
    assert primary["DATA_REL"] > 29
    assert primary["CRMITEN"] is True
    assert primary["CRBLKSZ"] == 10
    assert primary["SIMDATA"] is True
    assert (header["CAMERA"], header["CCD"], header["DQUALITY"]) == (1, 2, 0)
    assert (header["NUM_FRM"], header["NREADOUT"]) == (900, 720)
    assert header["EXPOSURE"] * 86400 == pytest.approx(720 * 1.98)
    assert header["DEADC"] == pytest.approx(0.792)
    assert header["TSTART"] - header["BARYCORR"] == pytest.approx(primary["TSTART"], abs=1e-9)
    assert header["TSTOP"] - header["TSTART"] == pytest.approx(1 / 48)
    assert 1e-5 < abs(header["BARYCORR"]) < 500 / 86400
    date = Time(primary["DATE-OBS"].removesuffix("Z"), scale="utc")
    assert date.tdb.jd - 2457000 == pytest.approx(primary["TSTART"], abs=2e-8)
    for key in ("GAINA", "READNOID", "A_DMAX", "B_DMAX", "RA_NOM", "BTC_PIX1", "TELAPSE", "BACKAPP",
                "LIVETIME", "INT_TIME", "READTIME", "FRAMETIM", "CTYPE1", "A_ORDER"):  # fmt: skip
        assert key in header


def test_image_of_a_window_costs_no_more_than_the_window(tmp_path):
    (path,) = simulate(tmp_path)
    stat = path.stat()
    assert stat.st_size > 35e6
    assert stat.st_blocks * 512 < 3e6
    assert not list(tmp_path.glob("*.partial"))


def test_whole_image_has_collateral_pixels(tmp_path):
    (path,) = simulate(tmp_path, window=Window(), stars_per_ccd=300)
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        flux, flux_err = hdus[1].data, hdus[2].data
        assert np.all(flux[:2048, 44:2092] > 50)
        for part in (flux[2048:], flux[:, :44], flux[:, 2092:]):
            assert 0.1 < part.std() < 0.3
            assert abs(part.mean()) < 0.01
        assert flux_err[:, :44].min() > 0.1


@pytest.mark.parametrize("kind", ["zero", "nan"])
def test_empty_image_has_no_quality_bit(tmp_path, kind):
    (path,) = simulate(tmp_path, which=(index_of(kind),))
    with fits.open(path, checksum=True) as hdus:
        flux = hdus[1].data[100:160, 1944:2044]
        assert not np.nan_to_num(flux).any()
        assert np.isnan(flux).all() == (kind == "nan")
        assert hdus[1].header["DQUALITY"] == 0


def test_dump_and_some_coarse_images_are_flagged(tmp_path):
    coarse = [
        i for i in range(640) if image_kind(CCD, i, SimulationSettings(n_images=640)) == "coarse"
    ]
    dump = index_of("dump")
    paths = simulate(tmp_path, which=(dump, *coarse[:12]), n_images=640)
    quality = [fits.getheader(path, 1)["DQUALITY"] for path in paths]
    assert quality[0] == 32
    assert set(quality[1:]) == {0, 4}


def test_files_do_not_depend_on_how_the_images_are_shared_out(tmp_path):
    together, apart = tmp_path / "together", tmp_path / "apart"
    paths = simulate(together, which=(0, 7, 3))
    for index in (3, 7, 0):
        simulate(apart, which=(index,))
    for path in paths:
        assert (apart / path.name).read_bytes() == path.read_bytes()


def test_other_seeds_and_ccds_give_other_images(tmp_path):
    images = [
        fits.getdata(simulate(tmp_path / str(number), **change)[0], 1)[100:160, 1944:2044]
        for number, change in enumerate(({}, {"seed": 2}, {"ccd_id": CcdId(14, 2, 2)}))
    ]
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


@pytest.mark.parametrize("ccd_id", [CcdId(1, 1, 1), CCD, CcdId(20, 3, 3), CcdId(14, 4, 4)], ids=str)
def test_catalog_and_header_lead_to_the_pixels_of_the_stars(tmp_path, ccd_id):
    changed = {"wcs_error": 0.0, "failed_wcs_every": 0, "n_images": 1250}
    settings = SimulationSettings(**SETTINGS | changed)
    window = Window(0, 2048, 900, 1000)
    run_simulate_scene(
        ccd_id, tmp_path / "tic.csv", tmp_path / "truth.hdf5",
        window=window, settings=settings, faint_limit=12.0,
    )  # fmt: skip
    # The last image, a whole sector's aberration away from the first.
    names = ffi_names(ccd_id, settings)
    run_simulate(ccd_id, [tmp_path / names[-2]], window=window, settings=settings, faint_limit=12.0)
    rows = [row for row in read_tic(tmp_path / "tic.csv") if row["pmRA"] and not row["disposition"]]
    scene = read_scene(tmp_path / "truth.hdf5")
    truth = {int(tic_id): i for i, tic_id in enumerate(scene.stars.tic_id)}
    star = np.array([truth[int(row["ID"])] for row in rows])
    ra, dec, pm_ra, pm_dec = (
        np.array([float(row[name]) for row in rows]) for name in ("ra", "dec", "pmRA", "pmDEC")
    )
    assert np.hypot(pm_ra, pm_dec).max() > 60  # [mas/yr]: more than an arcsecond in 20 years
    then = SkyCoord(
        ra=ra * units.deg,
        dec=dec * units.deg,
        pm_ra_cosdec=pm_ra * units.mas / units.yr,
        pm_dec=pm_dec * units.mas / units.yr,
        obstime=Time("J2000"),
        distance=1 * units.kpc,
    )
    now = then.apply_space_motion(new_obstime=Time(2457000 + scene.epoch, format="jd", scale="tdb"))
    x, y = wcs_of(tmp_path / names[-2]).all_world2pix(now.ra.deg, now.dec.deg, 1, tolerance=1e-6)
    drow, dcolumn = motion_truth(scene)(scene.stars.row[star], scene.stars.column[star])
    assert np.abs(drow[-2]).max() > 0.01
    assert y - 1 == pytest.approx(scene.stars.row[star] + drow[-2], abs=1e-3)
    assert x - 45 == pytest.approx(scene.stars.column[star] + dcolumn[-2], abs=1e-3)


def test_header_wcs_is_wrong_by_the_stated_error(tmp_path):
    scene = build_scene(
        CCD, window=WINDOW, settings=SimulationSettings(**SETTINGS, failed_wcs_every=0)
    )
    paths = simulate(tmp_path, which=range(30), failed_wcs_every=0)
    ra, dec = scene.wcs.to_sky(np.array([1000.0]), np.array([700.0]))
    drow, dcolumn = motion_truth(scene)(1000.0, 700.0)
    errors = []
    for index, path in enumerate(paths):
        x, y = wcs_of(path).all_world2pix(ra, dec, 1, tolerance=1e-6)
        errors += [
            y[0] - 1 - 1000 - drow[index, 0],
            x[0] - 45 - 700 - dcolumn[index, 0],
        ]
    assert np.std(errors) == pytest.approx(0.003, rel=0.35)


def test_inverse_distortion_in_the_header_is_good_to_a_hundredth_of_a_pixel(tmp_path):
    (path,) = simulate(tmp_path, which=(5,))
    wcs = wcs_of(path)
    pixels = np.array([[45.0, 1.0], [2092.0, 2048.0], [45.0, 2048.0], [1000.0, 300.0]])
    focal = wcs.sip_pix2foc(pixels, 1)
    assert wcs.sip_foc2pix(focal, 1) == pytest.approx(pixels, abs=0.02)


@pytest.mark.parametrize("ccd", [1, 2, 3, 4])
def test_camera_axis_is_where_it_is_on_tess(ccd):
    ccd_id = CcdId(14, 2, ccd)
    pointing = boresight(ccd_id)
    row, column = reference_wcs(ccd_id).to_pixel(np.array([pointing.ra]), np.array([pointing.dec]))
    x, y = CAMERA_CENTER[ccd]
    assert (column[0] + 45, row[0] + 1) == pytest.approx((x, y), abs=0.05)
    determinant = np.linalg.det(reference_wcs(ccd_id).cd)
    assert determinant > 0  # as in real headers
    assert np.sqrt(determinant) * 3600 == pytest.approx(21.0, abs=0.6)


def test_failed_wcs_is_absurd_or_missing(tmp_path):
    settings = STANDARD
    scene = build_scene(CCD, window=WINDOW, settings=settings)
    failed = [index for index in range(64) if has_failed_wcs(scene, index)]
    assert len(failed) == 1
    (path,) = simulate(tmp_path, which=failed)
    header = fits.getheader(path, 1)
    if "CRVAL1" in header:
        assert abs(header["CRVAL2"] - scene.wcs.crval[1]) > 1 or (
            abs(header["CRVAL1"] - scene.wcs.crval[0]) > 1
        )


def test_catalog_has_the_columns_of_mast_and_its_flaws(tmp_path):
    tic, truth = tmp_path / "tic.csv", tmp_path / "truth.hdf5"
    run_simulate_scene(CCD, tic, truth, window=WINDOW, settings=STANDARD, faint_limit=17.0)
    rows = read_tic(tic)
    assert {"ID", "ra", "dec", "pmRA", "pmDEC", "Tmag", "Teff", "objType", "disposition"} <= set(
        rows[0]
    )
    assert {row["disposition"] for row in rows} == {"", "SPLIT", "DUPLICATE", "ARTIFACT"}
    assert any(row["pmRA"] == "" for row in rows)
    assert any(row["Teff"] == "" for row in rows)
    assert max(float(row["Tmag"]) for row in rows) <= 17.0
    stars = [row for row in rows if row["disposition"] in ("", "SPLIT")]
    scene = read_scene(truth)
    with h5py.File(truth) as file:
        known = file["stars/known"][:]
        assert {int(row["ID"]) for row in stars} <= set(file["stars/tic_id"][known].tolist())
        assert not known.all()
        assert file["stars/tmag"][~known].min() >= 17.0
        assert json.loads(file.attrs["settings"])["n_images"] == 64
        assert file["images/motion"].shape == (64, 2, 3)
        assert file["images/motion"][5] == pytest.approx(scene.motion(5))
        assert file["images/name"].asstr()[0] == ffi_names(CCD, scene.settings)[0]
    # 0.2 deg around the window are covered.
    row, column = reference_wcs(CCD).to_pixel(
        np.array([float(star["ra"]) for star in stars]),
        np.array([float(star["dec"]) for star in stars]),
    )
    assert row.min() < 100 - 40
    assert row.max() > 160 + 40
    assert column.min() < 1900 - 40
    assert column.max() > 2000 + 40


def test_truth_of_another_version_is_refused(tmp_path):
    truth = tmp_path / "truth.hdf5"
    run_simulate_scene(
        CCD,
        tmp_path / "tic.csv",
        truth,
        window=WINDOW,
        settings=SimulationSettings(**SETTINGS),
        faint_limit=17.0,
    )
    with h5py.File(truth, "r+") as file:
        file["stars/row"][0] += 0.1
    with pytest.raises(InputDataError, match="made by another version of the simulation"):
        read_scene(truth)


def test_file_holds_what_was_rendered(tmp_path):
    (path,) = simulate(tmp_path, which=(9,))
    scene = build_scene(CCD, window=WINDOW, settings=STANDARD, faint_limit=17.0)
    image = Renderer(scene).render(9)
    inside = (slice(100, 160), slice(1944, 2044))
    assert np.array_equal(fits.getdata(path, 1)[inside], image.flux)
    assert np.array_equal(fits.getdata(path, 2)[inside], image.flux_err)
