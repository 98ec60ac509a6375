"""The path of TESS from corrections of the headers: known paths come back, errors are right."""

import numpy as np
import pytest
from paths import REALDATA

from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.times.barycenter import earth_position
from tessphot_lib.times.orbit import Bodies, predicted_state, propagate
from tessphot_lib.times.spacecraft import Projections, error_along, fit_free_path, fit_orbit

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
KM = 299792.458
RA, DECS = 80.0, (-54.0, -30.0, -6.0, 18.0)  # boresights of the cameras 1 to 4
DIGITS = 1e-10  # [d] last digit of BARYCORR in the headers
DIRECTION_ERROR = 1e-6  # [rad] of the headers' WCS: 0.01 pixel


def ccd_centres(camera):
    dec = DECS[camera - 1]
    return [
        unit_vector(np.array(RA + side / np.cos(np.radians(dec))), np.array(dec + up))
        for side in (-6, 6)
        for up in (-6, 6)
    ]


def stars_on(camera):
    """Stars all over one CCD (the first of a camera), out to its corners."""
    dec = DECS[camera - 1]
    side, up = (
        axis.ravel() for axis in np.meshgrid(np.linspace(-12, 0, 5), np.linspace(-12, 0, 5))
    )
    return unit_vector(RA + side / np.cos(np.radians(dec)), dec + up)


def projections(path, times, centres, rng):
    """What the headers of some CCDs say of a geocentric ``path`` [light seconds]."""
    parts = []
    for number, centre in enumerate(centres):
        earth = earth_position(times) * 86400
        header = np.round((path(times) + earth) @ centre / 86400 / DIGITS) * DIGITS
        known = centre + DIRECTION_ERROR * rng.normal(size=3)
        known /= np.linalg.norm(known)
        parts.append(
            (
                times,
                86400 * header - earth @ known,
                np.tile(known, (len(times), 1)),
                np.full(len(times), number),
            )
        )
    return Projections(*map(np.concatenate, zip(*parts, strict=True)))


def worst_error(found, path, times, directions):
    """Largest error of a star's time [s]."""
    return float(np.abs((found.position - path(times)) @ directions.T).max())


def jpl(times):
    position = read_ephemeris(REALDATA / "ephemeris" / "20190101_tess_ephem.csv.gz", times).position
    return position / KM - earth_position(times) * 86400


def off_the_orbit(times):
    """Round the Earth in a circle, as no satellite does."""
    phase = 2 * np.pi * times / 13.7
    circle = np.stack([np.cos(phase), 0.8 * np.sin(phase), 0.6 * np.sin(phase)], axis=-1)
    return 0.83 * circle


@needs_realdata
@pytest.mark.realdata
@pytest.mark.parametrize("first", [1470.0, 1580.0, 1780.0])
@pytest.mark.parametrize(
    ("cameras", "n_ccds", "limit"), [((1,), 1, 3e-3), ((1, 2), 1, 2e-3), ((1, 2, 3, 4), 4, 1.5e-3)]
)
def test_path_of_jpl_comes_back(first, cameras, n_ccds, limit):
    rng = np.random.default_rng(int(first))
    centres = [centre for camera in cameras for centre in ccd_centres(camera)[:n_ccds]]
    known = projections(jpl, np.arange(first, first + 27, 0.25), centres, rng)
    times = np.arange(first, first + 27, 1 / 48)
    found = fit_orbit(known, times)
    assert worst_error(found, jpl, times, stars_on(1)) < limit
    assert error_along(found.covariance, stars_on(1)) < limit
    # The Earth in its place would be much worse:
    assert np.abs(jpl(times) @ stars_on(1).T).max() > 0.5


@needs_realdata
@pytest.mark.realdata
def test_a_few_hours_of_one_ccd_are_enough():
    known = projections(jpl, np.array([1600.0]), ccd_centres(2)[:1], np.random.default_rng(1))
    times = np.linspace(1600.0, 1600.4, 20)
    found = fit_orbit(known, times)
    assert worst_error(found, jpl, times, stars_on(2)) < 5e-3


@pytest.mark.parametrize(("seed", "first"), [(0, 1700.0), (1, 1700.0), (2, 3000.0)])
def test_orbit_that_has_drifted(seed, first):
    """Years later TESS is elsewhere than computed; the headers tell, and the errors are true."""
    rng = np.random.default_rng(seed)
    spread = 1.0 + (max(first - 1845.0, 0.0) / 730.0) ** 2
    middle = first + 13.0
    scale = 0.1 * spread * np.repeat([1000.0, 1e-3], 3)  # some 20 ms in 2020, 70 ms in 2023
    state = predicted_state(middle) + scale * rng.normal(size=6)
    bodies = Bodies.between(first, first + 27)

    def path(times):
        return propagate(state, middle, times, bodies)[:, :3] / KM

    known = projections(path, np.arange(first, first + 26, 0.25), ccd_centres(3)[:1], rng)
    times = np.arange(first, first + 26, 0.1)
    found = fit_orbit(known, times)
    error = np.sqrt(np.mean(((found.position - path(times)) @ stars_on(3).T) ** 2, axis=0))
    expected = [error_along(found.covariance, star[np.newaxis]) for star in stars_on(3)]
    assert np.all(error < 3 * np.array(expected))
    assert max(expected) < 0.01
    reference = propagate(predicted_state(middle), middle, times, bodies)[:, :3] / KM
    before = np.sqrt(np.mean(((reference - path(times)) @ stars_on(3).T) ** 2))
    assert error.max() < max(before, 5e-4)


def test_without_headers_the_orbit_is_the_reckoned_one():
    nothing = Projections(np.empty(0), np.empty(0), np.empty((0, 3)), np.empty(0, dtype=int))
    times = np.linspace(1600.0, 1610.0, 30)
    found = fit_orbit(nothing, times)
    bodies = Bodies.between(1600.0, 1610.0)
    expected = propagate(predicted_state(1605.0), 1605.0, times, bodies)[:, :3] / KM
    np.testing.assert_allclose(found.position, expected, atol=1e-9)
    assert np.isnan(found.residual)
    assert 1e-3 < error_along(found.covariance, np.eye(3)) < 10e-3


@pytest.mark.parametrize("n_ccds", [1, 4])
@pytest.mark.parametrize("days", [0.3, 26.0])
def test_other_paths_are_not_mistaken_for_the_orbit(n_ccds, days):
    times = np.arange(1681.0, 1681.0 + days, 0.25)
    known = projections(off_the_orbit, times, ccd_centres(1)[:n_ccds], np.random.default_rng(2))
    assert fit_orbit(known, times) is None


@pytest.mark.parametrize(
    ("cameras", "n_ccds", "limit"),
    [((1,), 1, 0.15), ((1,), 4, 10e-3), ((1, 2), 4, 10e-3), ((1, 2, 3, 4), 4, 5e-3)],
)
def test_free_path(cameras, n_ccds, limit):
    """Near the Earth: a CCD alone leaves 0.85 s x sin(8.5 deg) open, several pin all."""
    centres = [centre for camera in cameras for centre in ccd_centres(camera)[:n_ccds]]
    samples = np.concatenate([np.arange(1681.0, 1694.0, 0.25), np.arange(1695.0, 1708.0, 0.25)])
    known = projections(off_the_orbit, samples, centres, np.random.default_rng(3))
    times = np.concatenate([np.arange(1681.0, 1694.0, 0.05), np.arange(1695.0, 1707.8, 0.05)])
    found = fit_free_path(known, times)
    assert worst_error(found, off_the_orbit, times, stars_on(1)) < limit
    rms = np.sqrt(np.mean(((found.position - off_the_orbit(times)) @ stars_on(1).T) ** 2, axis=0))
    assert rms.max() < 1.5 * error_along(found.covariance, stars_on(1))
    at_centre = (found.position - off_the_orbit(times)) @ centres[0]
    assert np.abs(at_centre).max() < 5e-3


def test_many_images_of_a_ccd_do_not_hide_its_common_error():
    few = projections(off_the_orbit, np.arange(4.0), ccd_centres(1)[:1], np.random.default_rng(4))
    many = projections(
        off_the_orbit, np.arange(0, 4, 0.01), ccd_centres(1)[:1], np.random.default_rng(4)
    )
    for one in (few, many):
        assert 1 / np.sqrt(np.sum(one.error**-2.0)) == pytest.approx(1e-3)


def test_an_orbit_far_from_the_reference_is_not_that_of_tess():
    """It obeys the laws of motion, but TESS cannot have gone 36 times its error astray."""
    times = np.arange(1600.0, 1613.0, 0.25)
    bodies = Bodies.between(1600.0, 1613.0)
    off = np.repeat([1000.0, 1e-3], 3) * np.array([1, -1, 1, 1, 1, -1])
    for size, is_believed in ((1.0, True), (36.0, False)):
        state = predicted_state(1606.5) + size * off

        def path(moments, state=state):
            return propagate(state, 1606.5, moments, bodies)[:, :3] / KM

        known = projections(path, times, ccd_centres(2), np.random.default_rng(3))
        assert (fit_orbit(known, times) is not None) is is_believed
