"""Light that appears: transients, stars in outburst, and what is none of them."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import CCD, open_cube
from wcs_cards import WCS

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.identifiers import TRANSIENT, identifier
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky
from tessphot_lib.io.products.star_checks_ecsv import read_list_check, read_unlisted
from tessphot_lib.io.products.transients_ecsv import read_transients, write_transients
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.detections import detect
from tessphot_lib.photometry.moving_objects import find_moving
from tessphot_lib.photometry.transients import find_transients
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(2001, 2048, 1210, 1290)  # at the edge of the CCD, not square
PRF = generic_prf()
N_IMAGES, SKY = 60, 50.0
STARS = pd.DataFrame(
    {
        "tic_id": [11, 12, 13],
        "row": [2020.2, 2033.4, 2012.1],
        "column": [1250.4, 1229.8, 1278.3],
        "tmag": [12.1, 16.5, 10.0],
    }
)
TRANSIENT_AT, PEAK, FIRST = (2026.7, 1265.3), 1500.0, 22
OUTBURST_AT, OUTBURST = 1, 600.0  # of the second star


def flare(index):
    """Rises within an image and decays within ten."""
    since = index - FIRST
    return np.where(since < 0, 0.0, np.exp(-since / 4.0))


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """A transient, a star in outburst, a variable star, and an object that passes."""
    rng = np.random.default_rng(6)
    index = np.arange(N_IMAGES)
    motion = np.zeros((N_IMAGES, 6))
    motion[:, 0] = rng.normal(0, 0.05, N_IMAGES)
    flux = SKY + rng.normal(0, 4.0, (N_IMAGES, *WINDOW.shape))
    quiet = 10 ** (0.4 * (PRF.zeropoint - STARS["tmag"].to_numpy()))
    for k in index:
        light = quiet * [1 + 0.15 * np.sin(k / 3.0), 1.0, 1.0]
        light[OUTBURST_AT] += OUTBURST * flare(k + 10)
        rows = [*STARS["row"], TRANSIENT_AT[0], 2003.3 + 0.6 * k]
        columns = [*STARS["column"], TRANSIENT_AT[1], 1214.0 + 0.4 * k]
        lights = np.array([*light, PEAK * flare(k), 700.0])
        at = np.array(rows) + motion[k, 0], np.array(columns)
        flux[k] += scene_image(PRF, WINDOW, *at, lights)
    folder = tmp_path_factory.mktemp("transients")
    given = {"flux_err": 4.0, "sky": SKY, "motion": motion, "attributes": {"wcs": WCS}}
    with open_cube(folder, WINDOW, flux, **given) as cube:
        yield cube


@pytest.fixture(scope="module")
def known():
    ra, dec = pixel_to_sky(ffi_wcs(WCS), STARS["row"].to_numpy(), STARS["column"].to_numpy())
    return STARS.assign(ra=ra, dec=dec)


@pytest.fixture(scope="module")
def found(cube, known):
    seen = detect(cube)
    return find_transients(cube, seen, find_moving(cube, seen), known, read_unlisted(None), PRF)


def test_a_transient_and_an_outburst_are_found_and_nothing_else(found):
    assert found["kind"].tolist() == ["transient", "outburst"]
    assert found["number"].tolist() == [identifier(TRANSIENT, CCD, 1), 12]


def test_what_is_known_of_a_transient(cube, found):
    new = found.iloc[0]
    assert (new["row"], new["column"]) == pytest.approx(TRANSIENT_AT, abs=0.1)
    ra, dec = pixel_to_sky(ffi_wcs(WCS), *(np.array([x]) for x in TRANSIENT_AT))
    off = (new["ra"] - ra[0]) * np.cos(np.radians(dec[0])), new["dec"] - dec[0]
    assert np.hypot(*off) < 0.15 * 21 / 3600
    assert new["time_first"] == new["time_peak"] == cube.time[FIRST]
    assert cube.time[FIRST + 6] < new["time_last"] < cube.time[FIRST + 20]
    assert new["peak_flux"] == pytest.approx(PEAK, rel=0.03)
    assert new["peak_tmag"] == pytest.approx(PRF.zeropoint - 2.5 * np.log10(PEAK), abs=0.03)
    assert new["mean_flux"] == pytest.approx(PEAK * flare(np.arange(N_IMAGES)).mean(), rel=0.1)
    assert new["tic_id"] == 11
    assert new["distance"] == pytest.approx(21 * np.hypot(6.5, 14.9), rel=0.02)


def test_a_source_that_shines_all_the_time_is_a_star(cube, known, found):
    """It is only brighter than usual."""
    place = {"row": found["row"][:1], "column": found["column"][:1]}
    listed = read_unlisted(None).reindex(range(1)).assign(**place, flux=2500.0)
    seen = detect(cube)
    again = find_transients(cube, seen, find_moving(cube, seen), known, listed, PRF)
    assert again["kind"].tolist() == ["outburst"]


def test_without_an_outburst_there_is_none(tmp_path, known):
    flux = SKY + np.random.default_rng(1).normal(0, 4.0, (20, *WINDOW.shape))
    given = {"flux_err": 4.0, "sky": SKY, "attributes": {"wcs": WCS}}
    with open_cube(tmp_path, WINDOW, flux, **given) as cube:
        none = find_transients(cube, detect(cube), pd.DataFrame(), known, read_unlisted(None), PRF)
    assert none.empty
    write_transients(tmp_path / "t.ecsv", none, CCD, {})
    assert read_transients(tmp_path / "t.ecsv").empty


def test_transients_are_read_back(found, tmp_path):
    write_transients(tmp_path / "transients.ecsv", found, CCD, {"software": "x"})
    pd.testing.assert_frame_equal(read_transients(tmp_path / "transients.ecsv"), found)
    (tmp_path / "bad.ecsv").write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na\n1\n"
    )
    with pytest.raises(InputDataError, match=r"bad\.ecsv: no column"):
        read_transients(tmp_path / "bad.ecsv")


def test_a_transient_is_a_neighbor_with_its_mean_light(found, known):
    unlisted = read_unlisted(None).reindex(range(2))
    unlisted = unlisted.assign(
        number=[-1, -2], row=[TRANSIENT_AT[0] + 0.2, 2040.0], column=[TRANSIENT_AT[1], 1220.0]
    )
    (row,) = found["row"][:1]
    near = np.hypot(unlisted["row"] - row, unlisted["column"] - found["column"][0]) < 1.0
    checks = StarChecks(read_list_check(None), unlisted[~near], found)
    believed = checks.believed(known)
    number = found["number"][0]
    assert believed["tic_id"].tolist() == [11, 12, 13, number, -2]
    new = believed[believed["tic_id"] == number].iloc[0]
    assert new["tmag"] == pytest.approx(found["mean_tmag"][0])
    assert new["tmag_listed"] == pytest.approx(found["peak_tmag"][0])
    # Among the stars to be measured it stands where it stands.
    more = pd.concat([known, checks.as_stars], ignore_index=True)
    again = checks.believed(more)
    assert again["tic_id"].tolist() == [11, 12, 13, number, -2]
    assert again["tmag"][3] == pytest.approx(found["mean_tmag"][0])
    assert checks.outbursts == [12]


def test_short_cadences_show_the_same(tmp_path, known):
    """Of 200 s: a slow object moves by 0.04 pixels from one to the next."""
    window, n_images = Window(2001, 2026, 1210, 1242), 270
    rng = np.random.default_rng(3)
    flux = SKY + rng.normal(0, 8.0, (n_images, *window.shape))
    for k in range(n_images):
        lit = 120 <= k < 200
        rows, columns = [2007.2, 2018.4], [1215.0 + 0.06 * k, 1233.6]
        lights = np.array([600.0, 500.0 if lit else 0.0])
        flux[k] += scene_image(PRF, window, np.array(rows), np.array(columns), lights)
    with open_cube(
        tmp_path,
        window,
        flux,
        flux_err=8.0,
        sky=SKY,
        time=1683.0 + np.arange(n_images) * 200 / 86400,
        attributes={"wcs": WCS, "cadence_seconds": 200.0},
    ) as cube:
        seen = detect(cube)
        moving = find_moving(cube, seen)
        found = find_transients(cube, seen, moving, known, read_unlisted(None), PRF)
        times = cube.time[[120, 199]]
    assert moving["object"].unique().tolist() == ["found 1"]
    image = moving["cadenceno"].to_numpy() - 100
    off = np.abs(moving["column"] - (1215.0 + 0.06 * image))[(image > 20) & (image < 250)]
    assert off.max() < 0.3
    assert found["kind"].tolist() == ["transient"]
    half_hour = 0.5 / 24
    assert found["time_first"][0] == pytest.approx(times[0], abs=half_hour)
    assert found["time_last"][0] == pytest.approx(times[1], abs=half_hour)
    assert found["peak_flux"][0] == pytest.approx(500.0, rel=0.2)
