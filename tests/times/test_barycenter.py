"""Times of stars, against SPOC's own corrections."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from paths import REALDATA

from tessphot_lib.catalog.proper_motion import at_epoch
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.io.mission.ephemeris import read_ephemeris
from tessphot_lib.times.barycenter import (
    earth_position,
    star_time_correction,
    track_time_correction,
)
from tessphot_lib.times.orbit import REFERENCE_STATE, REFERENCE_TIME, Bodies, propagate

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
AU_PER_DAY_OF_LIGHT = 173.1446326846693
KM_PER_LIGHT_SECOND = 299792.458
FAST = 100.0  # [mas/yr]


def test_directions():
    vectors = unit_vector(np.array([0.0, 90.0, 180.0, 33.0]), np.array([0.0, 0.0, 0.0, 90.0]))
    expected = [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(vectors, expected, atol=1e-15)


def test_earth_is_where_it_should_be():
    # J2000.0 is near perihelion, 11 days after the solstice: the Earth seen from the Sun is in
    # Gemini, ecliptic longitude 100.4 deg; the barycentre lies less than 0.01 au off the Sun.
    position = earth_position(np.array([2451545.0 - 2457000.0]))[0] * AU_PER_DAY_OF_LIGHT
    longitude, tilt = np.radians(100.4), np.radians(23.44)
    ecliptic = 0.9833 * np.array([np.cos(longitude), np.sin(longitude), 0.0])
    expected = [
        ecliptic[0],
        ecliptic[1] * np.cos(tilt),
        ecliptic[1] * np.sin(tilt),
    ]
    np.testing.assert_allclose(position, expected, atol=0.01)


def test_by_hand():
    # The telescope 0.005 light days towards (0, 0): a star there is seen 0.005 d early, one at
    # the pole neither way, one at ra 180 as much late.
    position = np.array([[0.005, 0.0, 0.0], [0.0, 0.001, 0.0]])
    ra, dec = np.array([0.0, 50.0, 180.0]), np.array([0.0, 90.0, 0.0])
    result = star_time_correction(position, ra, dec)
    np.testing.assert_allclose(result, [[0.005, 0.0], [0.0, 0.0], [-0.005, 0.0]], atol=1e-15)
    assert result.dtype == np.float64


def truth():
    """SPOC's corrections, with the directions of the stars at the time."""
    table = pd.read_csv(REALDATA / "barycentric_truth.csv")
    table["moment"] = table["time_btjd"] - table["timecorr"]
    table["total_pm"] = np.hypot(table["pm_ra"], table["pm_dec"])
    stars = table.rename(columns={"ra": "ra_j2000", "dec": "dec_j2000"})
    years = 2000.0 + (table["time_btjd"] + 2457000.0 - 2451545.0) / 365.25
    places = [at_epoch(stars.iloc[[index]], years[index]) for index in range(len(table))]
    table["ra"] = [float(ra[0]) for ra, _ in places]
    table["dec"] = [float(dec[0]) for _, dec in places]
    return table


def errors_by_star(table, position):
    """Error of each correction [ms], from positions of TESS [light days]; by star: the median."""
    own = np.array(
        [
            star_time_correction(one[np.newaxis], np.array([ra]), np.array([dec]))[0, 0]
            for one, ra, dec in zip(position, table["ra"], table["dec"], strict=True)
        ]
    )
    error = pd.Series(86400e3 * (own - table["timecorr"]), index=table.index)
    stars = table.assign(error=error.abs()).groupby(["sector", "tic_id", "data_rel"])
    return error, stars.agg(error=("error", "median"), total_pm=("total_pm", "first"))


def check_against_spoc(table, position):
    error, stars = errors_by_star(table, position)
    for group in (stars[stars["total_pm"] < FAST], stars[stars["total_pm"] >= FAST]):
        assert group["error"].empty or group["error"].max() < 3
    assert error.abs().max() < 4


@needs_realdata
@pytest.mark.realdata
def test_earth_is_not_enough():
    table = truth()
    error, _ = errors_by_star(table, earth_position(table["moment"].to_numpy()))
    assert 86400 * table["timecorr"].abs().max() > 400
    # TESS is never more than 1.4 light seconds from the Earth.
    assert 700 < error.abs().max() < 1400


@needs_realdata
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "first", "last", "n_stars"),
    [
        ("20180720_tess_ephem.csv.gz", 0, 1483, 13),
        ("20190101_tess_ephem.csv.gz", 1453.6, 1848, 8),
        ("earth_sun_moon_tess.bsp", 1401.4, 1439.9, 1),
    ],
)
def test_ephemeris_gives_the_corrections_of_spoc(name, first, last, n_stars):
    table = truth()
    table = table[table["moment"].between(first, last)].reset_index(drop=True)
    found = read_ephemeris(REALDATA / "ephemeris" / name, table["moment"].to_numpy())
    assert found.center == "barycenter"
    assert len(table.groupby(["sector", "tic_id", "data_rel"])) == n_stars
    check_against_spoc(table, found.position / KM_PER_LIGHT_SECOND / 86400)


@needs_realdata
@pytest.mark.realdata
def test_reckoned_orbit_gives_the_corrections_of_spoc():
    """In sectors 1 to 37: years beyond the path that it was fitted to."""
    table = truth()
    assert table["sector"].max() == 37
    moment = table["moment"].to_numpy()
    bodies = Bodies.between(min(moment), max(moment))
    tess = propagate(np.array(REFERENCE_STATE), REFERENCE_TIME, moment, bodies)[:, :3]
    check_against_spoc(table, tess / KM_PER_LIGHT_SECOND / 86400 + earth_position(moment))


def test_an_object_on_a_track_has_the_correction_of_a_star_where_it_is():
    rng = np.random.default_rng(3)
    position, ra, dec = rng.normal(0, 5e-3, (7, 3)), rng.uniform(0, 360, 7), rng.uniform(-90, 90, 7)
    ra[4] = np.nan
    found = track_time_correction(position, ra, dec)
    np.testing.assert_allclose(found, star_time_correction(position, ra, dec).diagonal())


def test_images_of_a_track_are_not_combined_with_each_other():
    """A sector of 20 s has 1e5 images: no array may have their square."""
    given = np.ones((3000, 3)), np.zeros(3000), np.zeros(3000)
    tracemalloc.start()
    track_time_correction(*given)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3e6  # bytes; the square would have 72e6
