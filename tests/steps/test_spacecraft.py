"""Step `spacecraft`: from headers or an ephemeris to the times of stars, through the files."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.time import Time
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.core.wcs import corrected_direction
from tessphot_lib.io.images.ffi_table import write_ffi_table
from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.io.products.spacecraft_ecsv import (
    SpacecraftPath,
    read_spacecraft,
    write_spacecraft,
)
from tessphot_lib.steps.spacecraft import run_spacecraft
from tessphot_lib.times.barycenter import earth_position, star_time_correction
from tessphot_lib.times.orbit import Bodies, predicted_state, propagate
from tessphot_lib.times.spacecraft import error_along

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
EPHEMERIS = REALDATA / "ephemeris" / "20190101_tess_ephem.csv.gz"
KM = 299792.458
FIRST, N_IMAGES = 1683.36, 1200  # sector 14
# (ra, dec): two CCDs on both sides of the line of the cameras, and one of the last camera
CENTRES = {(1, 1): (268.0, 60.0), (1, 3): (289.0, 48.0), (4, 2): (274.0, -12.0)}


def jpl(times):
    """Places of TESS by JPL, barycentric [light days]."""
    return read_ephemeris(EPHEMERIS, times).position / KM / 86400


def circling(times):
    """A spacecraft that no laws of motion hold to."""
    phase = 2 * np.pi * times / 13.7
    circle = np.stack([np.cos(phase), 0.8 * np.sin(phase), 0.6 * np.sin(phase)], axis=-1)
    return earth_position(times) + 0.83 / 86400 * circle


def moments(n_images=N_IMAGES):
    index = np.arange(n_images)
    return FIRST + (index + np.where(index >= n_images // 2, 40, 0)) / 48


def table_of(folder, ccd, path, *, n_images=N_IMAGES, shift=0.0, centre=None, error=np.nan):
    """ffis.ecsv as real headers give it: BARYCORR with 8 digits, directions good to 0.01 pixel."""
    ra, dec = CENTRES[ccd] if centre is None else centre
    rng = np.random.default_rng(ccd)
    times = moments(n_images)
    direction = unit_vector(np.array(CENTRES[ccd][0]), np.array(CENTRES[ccd][1]))
    timecorr = np.array([float(f"{value:.7E}") for value in path(times) @ direction])
    rows = []
    for index, (time, correction) in enumerate(zip(times, timecorr, strict=True)):
        middle = time + correction + shift / 86400
        row = {"path": f"{index}.fits", "status": "ok", "timecorr": correction, "time": middle}
        row |= {"time_start": middle - 0.01, "time_stop": middle + 0.01, "time_shift": shift}
        offset = 1e-4 * rng.normal(size=2)
        row |= {"centre_ra": ra + offset[0], "centre_dec": dec + offset[1], "has_wcs": True}
        row |= {"centre_error": error}
        rows.append(row)
    rows[3] |= {"centre_ra": np.nan, "centre_dec": np.nan}  # an image without a WCS
    rows[5] |= {"centre_ra": 10.0, "centre_dec": -40.0}  # and one with a wrong one
    rows.append({"path": "x.fits", "status": "unusable", "reason": "damaged"})
    ccd_id = CcdId(14, *ccd)
    write_ffi_table(folder / f"{ccd_id}.ecsv", rows, ccd_id)
    return folder / f"{ccd_id}.ecsv"


def stars_on(ccd):
    ra, dec = CENTRES[ccd]
    side, up = (axis.ravel() for axis in np.meshgrid(np.linspace(-6, 6, 5), np.linspace(-6, 6, 5)))
    return ra + side / np.cos(np.radians(dec)), dec + up


def star_errors(result, path, ccd, times):
    """Errors of the stars' times [ms], (n_stars, n_images)."""
    found = star_time_correction(result.at(times), *stars_on(ccd))
    return 86400e3 * (found - star_time_correction(path(times), *stars_on(ccd)))


def run(folder, tables, ephemeris=None):
    run_spacecraft(tables, folder / "spacecraft.ecsv", 14, ephemeris=ephemeris)
    return read_spacecraft(folder / "spacecraft.ecsv")


@needs_realdata
@pytest.mark.realdata
@pytest.mark.parametrize(("ccds", "limit"), [(((1, 1),), 20.0), (((1, 1), (1, 3), (4, 2)), 10.0)])
def test_stars_all_over_a_ccd_without_an_ephemeris(tmp_path, ccds, limit):
    result = run(tmp_path, [table_of(tmp_path, ccd, jpl) for ccd in ccds])
    assert result.source == "orbit"
    assert result.description == f"orbit, BARYCORR of {len(ccds)} CCD{'s' * (len(ccds) > 1)}"
    error = star_errors(result, jpl, ccds[0], moments())
    expected = 1e3 * error_along(result.covariance, unit_vector(*stars_on(ccds[0])))
    assert np.abs(error).max() < limit / 10
    assert 1 < expected < limit / 2


@needs_realdata
@pytest.mark.realdata
@pytest.mark.parametrize("off", [(0.0, 0.004), (-0.05, 0.03), (0.15, 0.1)])  # [deg]
@pytest.mark.parametrize("n_images", [8, 300, N_IMAGES])
def test_cutouts_hardly_know_the_centre_of_their_ccd(tmp_path, off, n_images):
    """It is guessed from their own WCS, and off by arc minutes: an arcmin is 0.15 s."""
    ra, dec = CENTRES[1, 1]
    centre = ra + off[0] / np.cos(np.radians(dec)), dec + off[1]
    table = table_of(tmp_path, (1, 1), jpl, n_images=n_images, centre=centre, error=600.0)
    result = run(tmp_path, [table])
    assert result.source == "orbit"
    error = np.abs(star_errors(result, jpl, (1, 1), moments(n_images)))
    assert error.max() < 5.0
    expected = 1e3 * error_along(result.covariance, unit_vector(*stars_on((1, 1))))
    assert 0.5 * np.sqrt(np.mean(error**2)) < expected < 5.0


def test_cutouts_of_another_spacecraft_are_not_believed_to_be_on_the_orbit(tmp_path):
    ra, dec = CENTRES[1, 1]
    table = table_of(tmp_path, (1, 1), circling, centre=(ra + 0.02, dec - 0.05), error=600.0)
    result = run(tmp_path, [table])
    assert result.source == "barycorr"
    error = np.abs(star_errors(result, circling, (1, 1), moments()))
    expected = 1e3 * error_along(result.covariance, unit_vector(*stars_on((1, 1))))
    assert np.sqrt(np.mean(error**2)) < 2 * expected


@needs_realdata
@pytest.mark.realdata
def test_with_an_ephemeris(tmp_path, caplog):
    result = run(tmp_path, [table_of(tmp_path, (1, 1), jpl)], EPHEMERIS)
    assert (result.source, result.description) == ("ephemeris", f"ephemeris {EPHEMERIS.name}")
    assert np.abs(star_errors(result, jpl, (1, 1), moments())).max() < 0.05
    assert 1 <= 1e3 * error_along(result.covariance, np.eye(3)) < 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@needs_realdata
@pytest.mark.realdata
def test_ephemeris_of_another_spacecraft_is_told(tmp_path, caplog):
    run(tmp_path, [table_of(tmp_path, (1, 1), circling)], EPHEMERIS)
    assert "BARYCORR of the images differs by" in caplog.text
    assert "not the spacecraft that took them?" in caplog.text


@needs_realdata
@pytest.mark.realdata
def test_ephemeris_that_ends_too_early(tmp_path):
    path = REALDATA / "ephemeris" / "20180720_tess_ephem.csv.gz"
    with pytest.raises(InputDataError, match=r"it has TESS \(-95\) for BTJD 1270.50 to 1483.50"):
        run(tmp_path, [table_of(tmp_path, (1, 1), jpl)], path)
    assert not (tmp_path / "spacecraft.ecsv").exists()


@pytest.mark.parametrize(("ccds", "limit"), [(((1, 1),), 150.0), (((1, 1), (1, 3), (4, 2)), 10.0)])
def test_images_that_are_not_from_the_orbit(tmp_path, ccds, limit):
    """As those of the simulator."""
    result = run(tmp_path, [table_of(tmp_path, ccd, circling) for ccd in ccds])
    assert result.source == "barycorr"
    assert result.description.startswith(f"Earth, BARYCORR of {len(ccds)} CCD")
    error = star_errors(result, circling, ccds[0], moments())
    expected = 1e3 * error_along(result.covariance, unit_vector(*stars_on(ccds[0])))
    assert np.abs(error).max() < limit
    assert np.sqrt(np.mean(error**2, axis=1)).max() < 1.5 * expected
    centre = unit_vector(*(np.array(value) for value in CENTRES[ccds[0]]))
    at_centre = 86400e3 * (result.at(moments()) - circling(moments())) @ centre
    assert np.abs(at_centre).max() < 5


def test_without_directions_the_orbit_is_reckoned(tmp_path):
    table = table_of(tmp_path, (1, 1), circling, centre=(np.nan, np.nan))
    text = table.read_text().replace(" 10.0 -40.0 ", " nan nan ")
    table.write_text(text)
    result = run(tmp_path, [table])
    assert result.description == "orbit, BARYCORR of 0 CCDs"
    times = moments()
    bodies = Bodies.between(times[0], times[-1])
    state = predicted_state(times[0])
    expected = propagate(state, times[0], times, bodies)[:, :3] / KM / 86400
    np.testing.assert_allclose(
        result.at(times) * 86400, (expected + earth_position(times)) * 86400, rtol=0, atol=1e-4
    )


@needs_realdata
@pytest.mark.realdata
def test_shifted_time_stamps(tmp_path):
    """BARYCORR is for the time that the header has, the stars' times for the right one."""
    shift = -300.0
    result = run(tmp_path, [table_of(tmp_path, (1, 1), jpl, shift=shift)])
    assert result.source == "orbit"
    assert np.abs(star_errors(result, jpl, (1, 1), moments() + shift / 86400)).max() < 0.7


def test_a_few_images(tmp_path):
    result = run(tmp_path, [table_of(tmp_path, (1, 1), circling, n_images=6)])
    assert len(result.time) == 47  # half an hour apart, the gap included
    times = moments(6)
    assert np.all(np.isfinite(result.at(times)))
    with pytest.raises(
        InputDataError, match=r"the path of the spacecraft is known for BTJD 1683.35"
    ):
        result.at(times + 1.0)


def test_no_image_that_can_be_used(tmp_path):
    path = tmp_path / "ffis.ecsv"
    rows = [{"path": "x.fits", "status": "unusable"}, {"path": "y.fits", "status": "duplicate"}]
    write_ffi_table(path, rows, CcdId(14, 1, 1))
    with pytest.raises(InputDataError, match=r"ffis\.ecsv: none of its images can be used"):
        run(tmp_path, [path])


def test_times_of_two_sectors_end_in_one_line(tmp_path, monkeypatch):
    """What comes after takes minutes with them, and memory."""
    first = table_of(tmp_path, (1, 1), jpl, n_images=6)
    rows = [{"path": "y.fits", "status": "ok", "timecorr": 0.001, "time": FIRST + 1240.0}]
    second = tmp_path / "other.ecsv"
    write_ffi_table(second, rows, CcdId(14, 1, 3))
    monkeypatch.setattr("tessphot_lib.steps.spacecraft.fit_orbit", None)
    message = (
        r"^sector 14: its images are 1240\.\d d apart, a sector takes 27 d: .*cam1-ccd1\.ecsv has "
        r"one at BTJD 1683\.36\d, .*other\.ecsv at 2923\.359; leave out"
    )
    with pytest.raises(InputDataError, match=message):
        run(tmp_path, [first, second])


@pytest.mark.parametrize(
    ("time", "timecorr", "message"),
    [
        (2458683.4, 0.001, r"x\.ecsv: time 2458683\.399 of an image is no BTJD of TESS$"),
        (FIRST, -1.25, r"x\.ecsv: an image has a barycentric correction .* of 1\.25 d, light"),
    ],
)
def test_times_that_none_can_be_end_in_one_line(tmp_path, time, timecorr, message):
    rows = [{"path": "y.fits", "status": "ok", "timecorr": timecorr, "time": time}]
    write_ffi_table(tmp_path / "x.ecsv", rows, CcdId(14, 1, 3))
    with pytest.raises(InputDataError, match=message):
        run(tmp_path, [tmp_path / "x.ecsv"])


def test_corrections_that_no_orbit_has_are_taken_as_they_are(tmp_path, caplog):
    """Scattered by minutes: the times of the stars have the error that this leaves."""
    noise = np.random.default_rng(1).normal(0.0, 150.0 / 86400, (300, 1))
    path = table_of(tmp_path, (1, 1), lambda times: np.repeat(noise, 3, axis=1), n_images=300)
    result = run(tmp_path, [path])
    assert result.source == "barycorr"
    assert "does not belong to TESS's orbit" in caplog.text


def test_ccd_without_usable_images_does_not_matter_to_the_others(tmp_path, caplog):
    path = tmp_path / "none.ecsv"
    rows = [{"path": "x.fits", "status": "unusable", "reason": "damaged"}]
    write_ffi_table(path, rows, CcdId(14, 2, 1), refusal="damaged")
    good = table_of(tmp_path, (1, 1), circling, n_images=60)
    alone, both = run(tmp_path, [good]), run(tmp_path, [path, good])
    np.testing.assert_array_equal(alone.position, both.position)
    assert both.description == alone.description
    assert "none.ecsv: none of its images can be used" in caplog.text


def test_file_is_read_back_equal(tmp_path):
    rng = np.random.default_rng(8)
    path = SpacecraftPath(
        np.linspace(1.0, 2.0, 9),
        rng.normal(size=(9, 3)) * 1e8,
        "orbit",
        "words",
        np.diag([1, 2, 3]),
    )
    write_spacecraft(tmp_path / "x.ecsv", path, 14)
    found = read_spacecraft(tmp_path / "x.ecsv")
    np.testing.assert_array_equal(found.time, path.time)
    np.testing.assert_array_equal(found.position, path.position)
    np.testing.assert_array_equal(found.covariance, path.covariance)
    assert (found.source, found.description) == ("orbit", "words")
    np.testing.assert_allclose(found.at(path.time), path.position / KM / 86400, rtol=1e-14)
    (tmp_path / "x.ecsv").write_text("nothing")
    with pytest.raises(InputDataError, match=r"x\.ecsv: cannot be read"):
        read_spacecraft(tmp_path / "x.ecsv")


def computed(times):
    bodies = Bodies.between(times.min(), times.max())
    geocentric = propagate(predicted_state(times.min()), times.min(), times, bodies)[:, :3] / KM
    return geocentric + earth_position(times) * 86400


@needs_realdata
@pytest.mark.realdata
def test_header_of_a_real_image():
    """BARYCORR, the WCS at its reference pixel, and the orbit: all three agree."""
    (path,) = (REALDATA / "ffi_cropped").glob("*_ffic.fits")
    with fits.open(path) as hdus:
        header = hdus[1].header
    direction = unit_vector(*(np.array(value) for value in corrected_direction(header)))
    correction = header["BARYCORR"]
    moment = np.array([0.5 * (header["TSTART"] + header["TSTOP"]) - correction])
    assert 1e3 * (86400 * correction - computed(moment)[0] @ direction) == pytest.approx(0, abs=2)
    # Half a pixel off it would be 2 ms, the WCS's own reference pixel 90 ms.
    header["BTC_PIX1"], header["BTC_PIX2"] = 1045.0, 1001.0
    direction = unit_vector(*(np.array(value) for value in corrected_direction(header)))
    assert abs(86400 * correction - computed(moment)[0] @ direction) > 0.05


@needs_realdata
@pytest.mark.realdata
def test_headers_of_a_real_sector():
    """All 16 CCDs of sector 8: one direction each, the orbit, and nothing is left over."""
    with gzip.open(REALDATA / "ffi_list_s0008.csv.gz", "rt") as file:
        table = pd.read_csv(file)
    start = Time(list(table["start"]), scale="utc").tdb.jd - 2457000
    moment = start + 0.5 / 48 - table["barycorr"].to_numpy()
    path = computed(moment)
    groups = table.groupby(["camera", "ccd"]).indices
    assert len(groups) == 16
    for images in groups.values():
        measured = 86400 * table["barycorr"].to_numpy()[images]
        direction, *_ = np.linalg.lstsq(path[images], measured, rcond=None)
        assert np.linalg.norm(direction) == pytest.approx(1, abs=2e-3)
        direction /= np.linalg.norm(direction)
        for _ in range(3):  # least squares on the sphere
            plane = np.linalg.svd(direction[np.newaxis])[2][1:]
            residual = measured - path[images] @ direction
            step, *_ = np.linalg.lstsq(path[images] @ plane.T, residual, rcond=None)
            direction = direction + step @ plane
            direction /= np.linalg.norm(direction)
        residual = 1e3 * (measured - path[images] @ direction)
        assert np.sqrt(np.mean(residual**2)) < 1.5
        assert np.abs(residual).max() < 4
