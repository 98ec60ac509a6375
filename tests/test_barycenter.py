"""Times of stars, against SPOC's own corrections and against the path of the spacecraft."""

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline

from tessphot_lib.barycenter import earth_position, star_time_correction, unit_vector

REALDATA = Path(__file__).resolve().parents[2] / "shared" / "realdata"
needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
AU_PER_DAY_OF_LIGHT = 173.1446326846693


def read_path_of_tess(path):
    """Barycentric positions [light days] from a table of JPL Horizons, every 40th hour."""
    with gzip.open(path, "rt") as file:
        lines = [line for line in file if not line.startswith("#")]
    assert lines[0].startswith("JDTDB,CalendarDate,X,Y,Z,")
    rows = [line.split(",") for line in lines[1::40]]
    table = np.array([[float(row[0]), *map(float, row[2:5])] for row in rows])
    return table[:, 0] - 2457000.0, table[:, 1:] / AU_PER_DAY_OF_LIGHT


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


def test_star_at_the_centre_has_the_correction_of_the_centre():
    earth = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    timecorr = np.array([0.004, -0.002])
    result = star_time_correction(
        timecorr, earth, (80.0, -66.0), np.array([80.0]), np.array([-66.0])
    )
    np.testing.assert_array_equal(result, [timecorr])


def test_by_hand():
    # Earth 0.005 light days towards (0, 0): a star there is seen 0.005 d early, one at the
    # pole neither way, one at ra 180 as much late.
    earth = np.array([[0.005, 0.0, 0.0], [0.0, 0.001, 0.0]])
    ra, dec = np.array([0.0, 50.0, 180.0]), np.array([0.0, 90.0, 0.0])
    result = star_time_correction(np.array([0.005, 0.0]), earth, (0.0, 0.0), ra, dec)
    np.testing.assert_allclose(result, [[0.005, 0.0], [0.0, 0.0], [-0.005, 0.0]], atol=1e-15)


@needs_realdata
@pytest.mark.realdata
def test_light_travel_as_spoc_has_it():
    truth = pd.read_csv(REALDATA / "barycentric_truth.csv")
    years = (truth["time_btjd"] + 2457000.0 - 2451545.0) / 365.25
    ra = truth["ra"] + truth["pm_ra"] * years / 3.6e6 / np.cos(np.radians(truth["dec"]))
    dec = truth["dec"] + truth["pm_dec"] * years / 3.6e6
    earth = earth_position((truth["time_btjd"] - truth["timecorr"]).to_numpy())
    reckoned = np.sum(earth * unit_vector(ra.to_numpy(), dec.to_numpy()), axis=1)
    error = 86400 * (truth["timecorr"] - reckoned)
    assert 86400 * truth["timecorr"].abs().max() > 400
    # TESS is never more than 1.3 light seconds from the Earth.
    assert error.abs().max() < 1.3


@needs_realdata
@pytest.mark.realdata
def test_differences_between_stars_of_a_camera_as_spoc_has_them():
    """From one star's correction to another's, where two were seen by the same camera."""
    truth = pd.read_csv(REALDATA / "barycentric_truth.csv")
    n_pairs, largest = 0, 0.0
    for _, stars in truth.groupby(["sector", "camera", "data_rel"]):
        by_star = [star for _, star in stars.groupby("tic_id")]
        for first, second in pairwise(by_star):
            time = (first["time_btjd"] - first["timecorr"]).to_numpy()
            own = second.sort_values("time_btjd")
            own_time = (own["time_btjd"] - own["timecorr"]).to_numpy()
            expected = CubicSpline(own_time, own["timecorr"].to_numpy())(time)
            corrected = star_time_correction(
                first["timecorr"].to_numpy(),
                earth_position(time),
                (first["ra"].iloc[0], first["dec"].iloc[0]),
                second["ra"].to_numpy()[:1],
                second["dec"].to_numpy()[:1],
            )[0]
            # TESS is up to 1.3 s off the Earth, a camera 24 deg wide: 1.3 s x 2 sin(12 deg).
            np.testing.assert_allclose(86400 * corrected, 86400 * expected, rtol=0, atol=0.54)
            largest = max(largest, 86400 * np.abs(first["timecorr"] - expected).max())
            n_pairs += 1
    assert n_pairs >= 3
    assert largest > 10  # the differences are not small


@needs_realdata
@pytest.mark.realdata
def test_corner_of_a_ccd_within_a_fifth_of_a_second():
    """With TESS's true path instead of the Earth's, for stars 8.5 deg off the centre."""
    time, tess = read_path_of_tess(REALDATA / "ephemeris" / "20190101_tess_ephem.csv.gz")
    earth = earth_position(time)
    assert 86400 * np.linalg.norm(tess - earth, axis=1).max() < 1.4
    centre, corner = (
        np.array([75.0, -30.0]),
        np.array([[75.0, -21.5], [75.0, -38.5], [84.7, -30.0]]),
    )
    towards = unit_vector(*corner.T)
    at_centre = tess @ unit_vector(*centre)
    result = star_time_correction(at_centre, earth, tuple(centre), *corner.T)
    np.testing.assert_allclose(86400 * result, 86400 * (towards @ tess.T), atol=0.2)
    assert 86400 * np.abs(result - at_centre).max() > 30
