"""Times of images: each release gets the shift that the mission found for it."""

import numpy as np
import pytest

from tessphot_lib.core.clock import cadence_seconds, image_times, timestamp_shifts
from tessphot_lib.core.geometry import CcdId

FIRST = CcdId(14, 1, 1)  # without stagger
NONE, WRONG = (0.0, 0.0), (-1.969, -1.989)


@pytest.mark.parametrize(
    ("data_rel", "procver", "expected"),
    [
        (1, "spoc-3.3.31-20180902", WRONG),
        (14, "spoc-3.3.57-20190215", WRONG),
        (26, "spoc-4.0.10-20191120", WRONG),
        (27, "spoc-4.0.14-20200108", WRONG),
        (27, "spoc-4.0.15-20200114", WRONG),
        (27, "spoc-4.0.17-20200130", WRONG),
        (27, "spoc-4.0.26-20200323", NONE),  # the release that was made again
        (28, "spoc-4.0.17-20200130", NONE),
        (29, "spoc-4.0.14-20200108", NONE),
        (29, "spoc-4.0.17-20200130", WRONG),
        (29, "spoc-4.0.20-20200220", WRONG),
        (29, "spoc-4.0.21-20200227", WRONG),
        (29, "spoc-4.0.26-20200323", NONE),
        (30, "spoc-4.0.21-20200227", NONE),
        (60, "spoc-5.0.34-20210706", NONE),
        (None, None, NONE),
        (True, "spoc-4.0.14-20200108", NONE),
    ],
)
def test_shift_of_each_release(data_rel, procver, expected):
    assert timestamp_shifts(data_rel, procver, FIRST) == pytest.approx(expected, abs=1e-9)
    # Target pixel files: the same, wherever they are from.
    assert timestamp_shifts(data_rel, procver) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("camera", "ccd", "stagger"),
    [(1, 1, 0.0), (2, 1, 1.5), (3, 1, 0.5), (4, 1, 1.0), (1, 2, 0.02), (2, 3, 1.54), (4, 4, 1.06)],
)
@pytest.mark.parametrize(
    ("data_rel", "procver", "is_staggered"),
    [
        (5, "", True),
        (27, "spoc-4.0.15-20200114", True),
        (29, "spoc-4.0.20-20200220", False),
    ],
)
def test_stagger_of_the_read_out(camera, ccd, stagger, data_rel, procver, is_staggered):
    start, stop = timestamp_shifts(data_rel, procver, CcdId(1, camera, ccd))
    extra = stagger if is_staggered else 0.0
    assert (start, stop) == pytest.approx((-1.969 + extra, -1.989 + extra), abs=1e-9)


def test_times_of_an_image():
    header = {"TSTART": 1325.5, "TSTOP": 1325.75, "BARYCORR": 0.004, "DATA_REL": 7}
    times = image_times(header, CcdId(3, 4, 2))
    assert times.start == pytest.approx(1325.5 + (-1.969 + 1.02) / 86400, abs=1e-12)
    assert times.stop == pytest.approx(1325.75 + (-1.989 + 1.02) / 86400, abs=1e-12)
    assert times.timecorr == 0.004
    assert times.shift == pytest.approx(-1.979 + 1.02, abs=1e-9)
    # The middle: by its own correction, -1.979 s and the stagger.
    middle = 0.5 * (times.start + times.stop)
    assert 86400 * (middle - 1325.625) == pytest.approx(-0.959, abs=1e-6)


def test_times_of_a_late_image_are_those_of_the_header():
    header = {"TSTART": 2500.5, "TSTOP": 2500.75, "BARYCORR": -0.004, "DATA_REL": 61}
    assert image_times(header, CcdId(40, 2, 2)) == (2500.5, 2500.75, -0.004, 0.0, 0.0)


@pytest.mark.parametrize("seconds", [1800, 600, 200])
def test_interval_between_images(seconds):
    """Gaps do not matter, nor that barycentric times run a little fast or slow."""
    time = 1683.35 + np.delete(np.arange(100), np.s_[40:60]) * seconds * (1 + 1e-4) / 86400
    assert cadence_seconds(time, np.full(80, 0.792 * seconds)) == seconds


@pytest.mark.parametrize(("exposure", "seconds"), [(1425.6, 1800), (475.2, 600), (158.4, 200)])
def test_interval_of_a_single_image(exposure, seconds):
    assert cadence_seconds(np.array([1683.35]), np.array([exposure])) == seconds


@pytest.mark.parametrize("seconds", [1800, 600, 200])
def test_interval_of_a_few_images_of_many(seconds):
    """Each 40th image, or eight of a sector, have the interval of all of them."""
    exposure = np.full(8, 0.792 * seconds)
    assert cadence_seconds(1683.35 + 40 * np.arange(8) * seconds / 86400, exposure) == seconds
    spread = 2280.9 + np.array([0, 2.7, 5.4, 8.0, 10.7, 14.4, 17.0, 25.1])
    assert cadence_seconds(spread, exposure) == seconds
