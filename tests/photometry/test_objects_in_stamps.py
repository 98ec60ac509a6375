"""Asteroids in target pixel files: many short cadences of few pixels, with a star in them."""

import numpy as np
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.geometry import Window
from tessphot_lib.photometry.moving_objects import disturbed_points, find_moving
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(1001, 1014, 1210, 1227)
PRF = generic_prf()
HOURS, SIGMA, SKY = 40, 6.0, 90.0  # half-hours; noise of a cadence and sky [e-/s]
STAR = 1005.2, 1213.4, 3000.0


def path(half_hour):
    """Where the object is; it enters after five hours."""
    return 1000.0 + 0.45 * (half_hour - 10), 1224.5 - 0.3 * (half_hour - 10)


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """15 cadences in each half-hour, some flagged, some without a pixel, one with a cosmic ray."""
    rng = np.random.default_rng(4)
    number = np.arange(HOURS * 15)
    motion = np.zeros((len(number), 6))
    motion[:, 3] = 0.02 * np.sin(number / 50)
    flux = SKY + rng.normal(0, SIGMA, (len(number), *WINDOW.shape))
    for k in number:
        row, column = path((k + 0.5) / 15)
        at = np.array([STAR[0], row]), np.array([STAR[1] + motion[k, 3], column])
        flux[k] += scene_image(PRF, WINDOW, *at, np.array([STAR[2], 250.0]))
    flux[rng.random(len(number)) < 0.02] += 1e4
    quality = np.where(flux.max(axis=(1, 2)) > 8e3, 128, 0)
    flux[200:230, 3, 4] = np.nan
    flux[77, 9, 12] += 900.0
    average = scene_image(PRF, WINDOW, *(np.array([one]) for one in STAR))
    more = {"sky": SKY, "flux_err": SIGMA, "average_image": average, "quality": quality}
    more |= {"motion": motion, "cadenceno": 5000 + number, "time": 1683.0 + number / 720}
    folder = tmp_path_factory.mktemp("stamps")
    about = {"cadence_seconds": 120.0}
    with open_cube(folder, WINDOW, flux, attributes=about, **more) as opened:
        yield opened


def test_an_object_is_found_in_half_hours(cube):
    found = find_moving(cube)
    assert found["object"].nunique() == 1
    half_hour = (found["cadenceno"].to_numpy() - 5000 + 0.5) / 15
    row, column = path(half_hour)
    assert half_hour.min() < 14
    assert half_hour.max() > 36
    assert np.hypot(found["row"] - row, found["column"] - column).max() < 0.3
    assert found["flux"].median() == pytest.approx(250.0, rel=0.25)


def test_all_short_cadences_are_disturbed_while_it_is_there(cube):
    found, mask = find_moving(cube), np.zeros(WINDOW.shape, dtype=bool)
    mask[5:9, 6:11] = True
    aperture = Aperture(WINDOW, mask)
    flux_err = np.full((1, cube.n_cadences), SIGMA * np.sqrt(mask.sum()))
    is_disturbed = disturbed_points(found, [aperture], flux_err, cube.cadenceno, PRF)[0]
    row, column = path((np.arange(cube.n_cadences) + 0.5) / 15)
    inside = (np.abs(row - 1007.5) < 1) & (np.abs(column - 1218) < 1.5)
    assert inside.sum() > 30
    assert is_disturbed[inside].all()
    far = (np.abs(row - 1007.5) > 6) | (np.abs(column - 1218) > 6)
    assert not is_disturbed[far].any()
