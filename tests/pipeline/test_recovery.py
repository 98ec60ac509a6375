"""What the pipeline measures, against what the simulator knows to be true.

The flux of an aperture is predicted from the true PRF, place and brightness of
all stars; the pipeline takes no part in that except for the choice of pixels.
"""

import sqlite3
from functools import cached_property

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from pipeline_run import COARSE, DUMPS, NAN, SHOWCASE, WINDOW, ZERO

from tessphot_lib.simulation import scene as truth
from tessphot_lib.simulation.pointing import to_vectors
from tessphot_lib.simulation.stars import relative_flux
from tessphot_lib.simulation.truth_file import read_scene

QUIET = np.array([0, *range(7, 21), 22, 23])  # images with nothing but stars, sky and noise
PRF_SIZE = 61  # [pixels]
SECONDS = 86400.0
EDGE = 8  # [pixels] stars nearer to the border of the window lose some of their aperture
NO_DATA, NO_WCS, SATURATED_STAR = 65536, 524288, 268435456


@pytest.fixture(scope="module")
def scene(small_run):
    return read_scene(small_run.ccd / "truth.hdf5")


class Star:
    """A light-curve file, and the truth about its star."""

    def __init__(self, path, scene, tic_id):
        self.scene, self.tic_id = scene, tic_id
        self.index = scene.star_index(tic_id)
        with fits.open(path) as hdus:
            self.table = np.array(hdus["LIGHTCURVE"].data)
            self.average = np.array(hdus["SUMIMAGE"].data, dtype=float)
            self.aperture = np.array(hdus["APERTURE"].data)
            self.headers = {hdu.name: hdu.header for hdu in hdus}
        physical = self.headers["APERTURE"]  # the mission counts full-image pixels from one
        self.row0, self.column0 = physical["CRVAL2P"] - 1, physical["CRVAL1P"] - 45
        self.row, self.column = scene.stars.row[self.index], scene.stars.column[self.index]
        self.tmag = scene.stars.tmag[self.index]
        self.in_aperture = (self.aperture & 2) != 0
        self.method = self.headers["PRIMARY"]["PHOTMET"]

    def __getitem__(self, column):
        """A column, the quiet images only."""
        return self.table[column][QUIET].astype(float)

    @cached_property
    def captured(self):
        """Light of each star near by that falls into the aperture [e-/s]."""
        stars = self.scene.stars
        distance = np.hypot(stars.row - self.row, stars.column - self.column)
        near = (distance < 12) | ((distance < 30) & (stars.tmag < 15.0))
        light = np.zeros(len(stars))
        row, column = np.nonzero(self.in_aperture)
        for star in np.flatnonzero(near):
            prf, corner = truth.prf_truth(
                self.scene, stars.row[star], stars.column[star], (PRF_SIZE, PRF_SIZE)
            )
            rows, columns = row + self.row0 - corner[0], column + self.column0 - corner[1]
            on_prf = (rows >= 0) & (rows < PRF_SIZE) & (columns >= 0) & (columns < PRF_SIZE)
            light[star] = stars.flux[star] * prf[rows[on_prf], columns[on_prf]].sum()
        return light

    @cached_property
    def share(self):
        """Share of the star's own light that falls into the aperture."""
        return self.captured[self.index] / self.scene.stars.flux[self.index]

    @cached_property
    def purity(self):
        """Share of the light in the aperture that is the star's own."""
        return self.captured[self.index] / self.captured.sum()

    @cached_property
    def expected(self):
        """True light in the aperture, in the quiet images [e-/s]."""
        near = np.flatnonzero(self.captured)
        light = truth.star_light(self.scene, self.scene.stars.select(near))
        return (light @ self.captured[near])[QUIET]

    @property
    def is_interior(self):
        row0, row1, column0, column1 = WINDOW
        return (
            row0 + EDGE < self.row < row1 - EDGE and column0 + EDGE < self.column < column1 - EDGE
        )

    @property
    def is_constant(self):
        return self.scene.stars.variability[self.index] == 0


@pytest.fixture(scope="module")
def stars(small_run, scene):
    return {tic_id: Star(path, scene, tic_id) for tic_id, path in small_run.light_curves.items()}


@pytest.fixture(scope="module")
def isolated(stars):
    """Stars of Tmag 9.5 to 13.8, away from borders, with an aperture for themselves."""
    saturated = stars[SHOWCASE["saturated"]]
    chosen = [
        star
        for star in stars.values()
        if 9.5 < star.tmag < 13.8
        and star.is_constant
        and star.is_interior
        and np.hypot(star.row - saturated.row, star.column - saturated.column) > 18
        and star.purity > 0.945
        and star.method == "aperture"
    ]
    assert len(chosen) >= 8
    return chosen


def test_kinds_of_images_are_as_thought(scene):
    kinds = {index: scene.kind(index) for index in range(24)}
    assert {kinds[index] for index in QUIET} == {"quiet"}
    assert [kinds[index] for index in DUMPS] == ["dump", "dump"]
    assert (kinds[COARSE], kinds[NAN], kinds[ZERO]) == ("coarse", "nan", "zero")


def test_flux_of_isolated_stars(isolated):
    """All the light of the true PRF in the aperture, but for faint stars taken as sky."""
    for star in isolated:
        residual = np.median(star["FLUX_RAW"] - star.expected)
        assert -2.0 < residual / star.in_aperture.sum() < 0.5, star.tic_id  # [e-/s per pixel]
        if star.tmag < 12:
            assert np.median(star["FLUX_RAW"]) == pytest.approx(np.median(star.expected), rel=0.012)


def test_aperture_tells_how_much_of_the_light_it_holds_and_whose(isolated):
    """Apertures of best signal to noise lose up to 20 % to Tmag 12, 32 % to Tmag 13.8."""
    for star in isolated:
        assert star.share > (0.8 if star.tmag < 12 else 0.68), star.tic_id
        assert np.median(star["FLUX_RAW"]) < 1.03 * star.expected.mean()
        header = star.headers["PRIMARY"]
        # The PRF is known from a dozen stars here.
        assert header["FLFRCSAP"] == pytest.approx(star.share, abs=0.03)
        assert header["CROWDSAP"] == pytest.approx(star.purity, abs=0.03)


def test_saturated_star_keeps_its_bled_charge(stars):
    star = stars[SHOWCASE["saturated"]]
    total = star.scene.stars.flux[star.index]
    assert 0.985 < np.median(star["FLUX_RAW"]) / total < 1.0


def test_errors_are_those_of_the_scatter(isolated):
    """Scatter about the truth in units of FLUX_RAW_ERR; motion may add a little."""
    chi2 = []
    for star in isolated:
        pull = (star["FLUX_RAW"] - star.expected) / star["FLUX_RAW_ERR"]
        chi2.append(np.var(pull, ddof=1))
    assert min(chi2) > 0.25
    assert max(chi2) < 4.0
    assert 0.75 < np.mean(chi2) < 1.6


def test_errors_are_photon_and_read_noise(isolated, scene):
    """FLUX_RAW_ERR itself: what the simulator drew the noise from, in one quiet image."""
    image = int(QUIET[5])
    sky = truth.background_truth(scene, image)
    for star in isolated:
        row, column = np.nonzero(star.in_aperture)
        row, column = row + star.row0, column + star.column0
        light = np.zeros(sky.shape)
        for other in np.flatnonzero(star.captured):
            at = scene.stars.row[other], scene.stars.column[other]
            prf, corner = truth.prf_truth(scene, *at, (PRF_SIZE, PRF_SIZE))
            rows, columns = row - corner[0], column - corner[1]
            on_prf = (rows >= 0) & (rows < PRF_SIZE) & (columns >= 0) & (columns < PRF_SIZE)
            pixels = row[on_prf] - WINDOW[0], column[on_prf] - WINDOW[2]
            light[pixels] += scene.stars.flux[other] * prf[rows[on_prf], columns[on_prf]]
        sigma = truth.noise_truth(scene, light + sky)[row - WINDOW[0], column - WINDOW[2]]
        expected = np.sqrt((sigma**2).sum())
        assert star.table["FLUX_RAW_ERR"][image] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", ["transit", "eclipse", "pulsation", "faint pulsation"])
def test_variable_stars_follow_the_truth(stars, name):
    star = stars[SHOWCASE[name]]
    flux, error, expected = star["FLUX_RAW"], star["FLUX_RAW_ERR"], star.expected
    shape = expected / np.median(expected) - 1
    assert np.ptp(shape) > 20 * np.median(error / flux)  # there is something to see
    # Amplitude right to 3 %, apart from light of faint stars that counts as sky.
    terms = np.stack([expected, np.ones_like(expected)], axis=1)
    (amplitude, _), *_ = np.linalg.lstsq(terms, flux, rcond=None)
    assert amplitude == pytest.approx(1.0, abs=0.03)
    residual = flux - terms @ np.linalg.lstsq(terms, flux, rcond=None)[0]
    # Motion that a PRF from so few stars does not tell quite right adds some.
    assert 0.4 < np.std(residual, ddof=2) / np.median(error) < 2.0


@pytest.mark.parametrize(("name", "precision"), [("transit", 60.0), ("eclipse", 4.0)])
def test_eclipses_come_at_the_right_time(stars, name, precision):
    """The time of mid-eclipse from TIME and FLUX_RAW alone, within three of its errors.

    BARYCORR is about 180 s here: times that lack it, or have it twice, fail in
    the eclipse by dozens of errors.
    """
    star = stars[SHOWCASE[name]]
    itself = star.scene.stars.select(np.array([star.index]))

    def model(shift):
        time = (star["TIME"] - shift / SECONDS)[:, np.newaxis]
        return relative_flux(itself, time, star.scene.exposure_days)[:, 0]

    flux, error = star["FLUX_RAW"], star["FLUX_RAW_ERR"]
    step = 20.0  # [s]
    shift = 0.0
    for _ in range(8):  # Gauss-Newton in brightness, third light and shift
        now = model(shift)
        slope = (model(shift + step) - model(shift - step)) / (2 * step)
        brightness = flux.mean() / now.mean()
        terms = np.stack([now, np.ones_like(now), brightness * slope], axis=1)
        (_, _, change), *_ = np.linalg.lstsq(terms / error[:, None], flux / error, rcond=None)
        shift += change
    covariance = np.linalg.inv((terms / error[:, None]).T @ (terms / error[:, None]))
    sigma = np.sqrt(covariance[2, 2])
    assert sigma < precision
    assert abs(shift) < 3 * sigma + 1.0


def test_times_are_barycentric_for_each_star(stars, scene):
    """As well as the header says; the stars of this window differ by 2 s among themselves."""
    direction = {}
    for tic_id, star in stars.items():
        sky = scene.wcs.to_sky(np.array([star.row]), np.array([star.column]))
        direction[tic_id] = to_vectors(*sky)[:, 0]
        correction = scene.spacecraft @ direction[tic_id] / truth.SPEED_OF_LIGHT
        primary = star.headers["PRIMARY"]
        assert primary["EPHEMSRC"] == "Earth, BARYCORR of 1 CCD"  # no laws of motion hold here
        assert (0.05 < primary["TIMEERR"] < 0.1) and primary["TIMESHFT"] == 0
        error = 2 * primary["TIMEERR"] / SECONDS
        assert star.table["TIME"] == pytest.approx(scene.middles + correction, abs=error)
        assert star.table["TIMECORR"] == pytest.approx(correction, abs=error)
        assert np.all(np.diff(star.table["TIME"]) > 0)
        np.testing.assert_array_equal(star.table["CADENCENO"], scene.cadencenos)
    by_row = sorted(stars, key=lambda tic_id: stars[tic_id].row)
    first, last = by_row[0], by_row[-1]
    expected = scene.spacecraft @ (direction[last] - direction[first]) / truth.SPEED_OF_LIGHT
    found = stars[last].table["TIME"] - stars[first].table["TIME"]
    assert np.abs(expected).min() * SECONDS > 0.5
    assert found == pytest.approx(expected, abs=0.02 / SECONDS)


def test_position_follows_the_motion(stars, scene):
    """POS_CORR1 is the motion in columns, POS_CORR2 in rows; 5 mpx, and a tenth of large ones."""
    moving = np.array([*QUIET, *DUMPS, COARSE])
    motion = truth.motion_truth(scene)
    for star in stars.values():
        drow, dcolumn = (move[:, 0] for move in motion(star.row, star.column))
        found_row, found_column = star.table["POS_CORR2"], star.table["POS_CORR1"]
        for found, true in ((found_row, drow), (found_column, dcolumn)):
            # Against the reference image, whose own displacement is a constant.
            difference = (found - true)[moving]
            error = np.abs(difference - np.median(difference))
            assert np.all(error < 0.005 + 0.1 * np.abs(true[moving]))
            assert np.ptp(true[moving]) > 0.1
            assert np.count_nonzero(found == 0) <= 1  # the reference image itself


def test_centroid_is_at_the_star(stars, isolated, scene):
    motion = truth.motion_truth(scene)
    for star in isolated:
        drow, dcolumn = (move[QUIET, 0] for move in motion(star.row, star.column))
        limit = 0.06 if star.tmag < 12 else 0.12  # [pixels] neighbors pull
        assert np.median(star["MOM_CENTR1"] - star.column - dcolumn) == pytest.approx(0, abs=limit)
        assert np.median(star["MOM_CENTR2"] - star.row - drow) == pytest.approx(0, abs=limit)
    # The centroid of a bright star sees the motion, too.
    star = stars[SHOWCASE["pulsation"]]
    moving = np.array([*QUIET, *DUMPS, COARSE])
    drow, dcolumn = (move[moving, 0] for move in motion(star.row, star.column))
    for column, true in (("MOM_CENTR1", dcolumn), ("MOM_CENTR2", drow)):
        assert np.corrcoef(star.table[column][moving], true)[0, 1] > 0.99


def test_bad_images_are_flagged(stars):
    for star in stars.values():
        table = star.table
        for image in (NAN, ZERO):
            for column in ("FLUX_RAW", "FLUX_RAW_ERR", "MOM_CENTR1", "MOM_CENTR2"):
                assert np.isnan(table[column][image]), (star.tic_id, column)
            assert table["QUALITY"][image] & 1
            assert table["PIXEL_QUALITY"][image] & NO_DATA
            assert np.isfinite(table["TIME"][image])
        for image in DUMPS:
            assert table["PIXEL_QUALITY"][image] & 32
            assert table["QUALITY"][image] & 1
        np.testing.assert_array_equal(table["QUALITY"][QUIET], 0)
        assert set(table["PIXEL_QUALITY"][QUIET] & ~SATURATED_STAR) <= {0, NO_WCS}
        for column in ("FLUX_RAW", "FLUX_RAW_ERR", "FLUX_BKG"):
            assert np.isfinite(star[column]).all(), column


def test_background_is_the_sky(stars, scene):
    for star in stars.values():
        if star.method != "aperture":
            continue
        pixels = np.nonzero(star.in_aperture)
        pixels = pixels[0] + star.row0 - WINDOW[0], pixels[1] + star.column0 - WINDOW[2]
        for image in (int(QUIET[0]), int(QUIET[8]), 5):  # 5: scattered light
            sky = truth.background_truth(scene, image)[pixels].sum()
            # Faint stars add some 1 e-/s per pixel of about 200.
            assert star.table["FLUX_BKG"][image] == pytest.approx(sky, rel=0.02)


def test_stamps_are_where_their_wcs_says(stars, scene):
    for star in stars.values():
        sky = scene.wcs.to_sky(np.array([star.row]), np.array([star.column]))
        for name in ("SUMIMAGE", "APERTURE"):
            header = star.headers[name]
            column, row = WCS(header).all_world2pix(*sky, 0)
            assert row[0] + star.row0 == pytest.approx(star.row, abs=0.06)
            assert column[0] + star.column0 == pytest.approx(star.column, abs=0.06)
            column, row = WCS(header, key="P").all_pix2world([[0, 0]], 0)[0]
            assert (row, column) == (star.row0 + 1, star.column0 + 45)
        assert star.in_aperture[round(star.row) - star.row0, round(star.column) - star.column0]


def test_average_image_of_a_stamp_shows_the_star(isolated):
    for star in isolated:
        row, column = np.unravel_index(
            np.where(star.in_aperture, star.average, -np.inf).argmax(), star.average.shape
        )
        assert np.hypot(row + star.row0 - star.row, column + star.column0 - star.column) < 1.0
        inside = star.average[star.in_aperture].sum()
        assert inside == pytest.approx(np.mean(star["FLUX_RAW"]), rel=0.01)


def test_bits_of_the_aperture(stars):
    row0, row1, column0, column1 = WINDOW
    for star in stars.values():
        row = star.row0 + np.arange(star.aperture.shape[0])[:, np.newaxis]
        column = star.column0 + np.arange(star.aperture.shape[1])
        collected = (row >= row0) & (row < row1) & (column >= column0) & (column < column1)
        np.testing.assert_array_equal((star.aperture & 1) != 0, collected)
        np.testing.assert_array_equal(np.isfinite(star.average), collected)
        # Science columns 0 to 511 are read out by output A.
        np.testing.assert_array_equal((star.aperture & 32) != 0, column + 0 * row < 512)
        assert not (star.aperture & (64 | 128 | 256)).any()
        assert star.headers["APERTURE"]["NPIXSAP"] == star.in_aperture.sum() >= 4
        np.testing.assert_array_equal((star.aperture & 8) != 0, star.in_aperture)
        used_for_sky = (star.aperture & 4) != 0
        if star.tmag < 14.5:
            assert not (star.in_aperture & used_for_sky).any()


def test_no_pixel_is_in_two_apertures(stars):
    count = np.zeros((WINDOW[1] - WINDOW[0], WINDOW[3] - WINDOW[2]), dtype=int)
    for star in stars.values():
        if star.in_aperture.sum() == 9:  # the minimum aperture of a star that does not stand out
            continue
        row, column = np.nonzero(star.in_aperture)
        count[row + star.row0 - WINDOW[0], column + star.column0 - WINDOW[2]] += 1
    assert count.max() == 1


def test_scatter_in_the_diagnostics_is_that_of_the_light_curve(small_run, stars):
    with sqlite3.connect(small_run.results / "todo.sqlite") as connection:
        rows = connection.execute(
            "SELECT starid, ptp, variance, contamination, mask_size, pos_row, pos_column"
            " FROM todolist JOIN diagnostics USING (priority)"
        ).fetchall()
    for tic_id, ptp, variance, contamination, mask_size, pos_row, pos_column in rows:
        star = stars[tic_id]
        good = (star.table["QUALITY"] == 0) & np.isfinite(star.table["FLUX_RAW"])
        relative = star.table["FLUX_RAW"][good] / np.median(star.table["FLUX_RAW"][good])
        assert ptp == pytest.approx(np.median(np.abs(np.diff(relative))), rel=1e-9)
        assert variance == pytest.approx(np.var(relative, ddof=1), rel=1e-9)
        assert mask_size == star.in_aperture.sum()
        assert 0 <= contamination < 1
        key = "AP_CONT" if star.method == "aperture" else "PSF_CONT"
        assert contamination == pytest.approx(star.headers["PRIMARY"][key])
        assert pos_row == pytest.approx(star.row, abs=0.6)
        assert pos_column == pytest.approx(star.column, abs=0.6)
