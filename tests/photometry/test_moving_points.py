"""Objects that cross a CCD: found or predicted, and the points of stars that they disturb."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import CCD, open_cube
from wcs_cards import WCS

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky
from tessphot_lib.io.mission.object_ephemerides import read_object_ephemerides
from tessphot_lib.io.products.moving_ecsv import read_moving, write_moving
from tessphot_lib.photometry.known_stars import KnownStars
from tessphot_lib.photometry.moving_objects import (
    disturbed_points,
    find_moving,
    join_found_and_predicted,
    predict_moving,
)
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.photometry.track_steps import steps_of_objects
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(2001, 2048, 1210, 1290)  # at the edge of the CCD, not square
PRF = generic_prf()
N_IMAGES, SKY, FLUX = 40, 50.0, 900.0
ROW, COLUMN, SPEED_ROW, SPEED_COLUMN = 2008.3, 1222.0, 0.7, 1.2


def path(index):
    return ROW + SPEED_ROW * index, COLUMN + SPEED_COLUMN * index


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """Images of one object over one star."""
    rng = np.random.default_rng(4)
    star = scene_image(PRF, WINDOW, np.array([2020.2]), np.array([1250.4]), np.array([2000.0]))
    flux = SKY + star + rng.normal(0, 4.0, (N_IMAGES, *WINDOW.shape))
    for index in range(N_IMAGES):
        row, column = path(index)
        flux[index] += scene_image(
            PRF, WINDOW, np.array([row]), np.array([column]), np.array([FLUX])
        )
    folder = tmp_path_factory.mktemp("moving")
    given = {"flux_err": 4.0, "sky": SKY, "average_image": star, "attributes": {"wcs": WCS}}
    with open_cube(folder, WINDOW, flux, **given) as cube:
        yield cube


def test_an_object_is_found(cube):
    found = find_moving(cube)
    assert found["object"].unique().tolist() == ["found 1"]
    assert set(found["source"]) == {"found"}
    index = np.searchsorted(cube.cadenceno, found["cadenceno"])
    inside = WINDOW.contains(*path(index))
    assert inside.sum() > 33
    off = np.hypot(found["row"] - path(index)[0], found["column"] - path(index)[1])
    assert off[inside].max() < 0.4
    assert found["flux"].median() == pytest.approx(FLUX, rel=0.2)
    assert found["is_seen"].sum() > 30


def aperture(row, column):
    return Aperture.whole(Window(row - 1, row + 2, column - 1, column + 2))


def test_points_are_disturbed_while_the_object_is_there(cube):
    on_track = path(20)
    stars = [aperture(round(on_track[0]), round(on_track[1])), aperture(2040, 1220)]
    error = np.full((2, N_IMAGES), 12.0)
    found = disturbed_points(find_moving(cube), stars, error, cube.cadenceno, PRF)
    assert not found[1].any()
    # 5 sigma are 7 % of its light: as far as about 3 pixels, which take 2 images.
    assert found[0, 19:22].all()
    assert 3 <= found[0].sum() <= 7
    none = disturbed_points(read_moving(None), stars, error, cube.cadenceno, PRF)
    assert not none.any()


def test_objects_and_stars_beyond_the_edge_of_the_ccd_give_light(cube):
    """The last row of the CCD is 2047."""
    times = slice(10, 20)
    beside = pd.DataFrame(
        {
            "object": "one",
            "cadenceno": cube.cadenceno[times],
            "row": 2048.2,
            "column": 1240.0 + np.arange(10),
            "flux": 5000.0,
        }
    )
    error = np.full((1, N_IMAGES), 12.0)
    star = Aperture.whole(Window(2045, 2048, 1240, 1243))
    found = disturbed_points(beside, [star], error, cube.cadenceno, PRF)
    assert found[0, 10:14].all()
    assert not found[0, :10].any() and not found[0, 20:].any()
    stars = pd.DataFrame(
        {
            "tic_id": [5, 3, 8],
            "row": [2052.0, 2020.0, 2052.0],
            "column": [1220.0, 1216.0, 1400.0],
            "tmag": 10.0,
        }
    )
    targets = StarList(stars.iloc[[1]], [], stars, PRF)
    assert KnownStars.around(cube, targets, Window(2015, 2048, 1210, 1230)).tic_id.tolist() == [
        3,
        5,
    ]


def ephemerides(cube, folder, **columns):
    index = np.linspace(-5, N_IMAGES + 5, 12)
    ra, dec = pixel_to_sky(ffi_wcs(WCS), *path(index))
    time = 1683.0 + index / 48 + 2457000.0
    table = pd.DataFrame({"targetname": "99 X", "JD": time, "RA": ra, "DEC": dec, "V": 13.7})
    file = folder / "objects.csv"
    table.assign(**columns).to_csv(file, index=False)
    return file


def test_a_table_of_ephemerides_predicts_it(cube, tmp_path):
    table = read_object_ephemerides(ephemerides(cube, tmp_path))
    assert table["tmag"].unique().tolist() == pytest.approx([13.0])
    predicted = predict_moving(cube, table, PRF)
    assert set(predicted["object"]) == {"99 X"}
    index = np.searchsorted(cube.cadenceno, predicted["cadenceno"])
    np.testing.assert_allclose(predicted["row"], path(index)[0], atol=0.01)
    np.testing.assert_allclose(predicted["column"], path(index)[1], atol=0.01)
    # A second one, 20 pixels away, that no table predicts.
    seen = find_moving(cube)
    other = seen.assign(object="found 2", row=seen["row"] - 20.0)
    found = pd.concat([seen, other], ignore_index=True)
    both = join_found_and_predicted(found, predicted)
    assert set(both["object"]) == {"99 X", "found 2"}
    assert not both.duplicated(["object", "cadenceno"]).any()
    assert both["cadenceno"].groupby(both["object"]).is_monotonic_increasing.all()
    names = ["cadenceno", "source", "row", "column", "flux", "is_seen"]
    known = both[both["object"] == "99 X"].set_index("cadenceno")[names[1:]]
    pd.testing.assert_frame_equal(known.loc[seen["cadenceno"]], seen[names].set_index("cadenceno"))
    rest = predicted[~predicted["cadenceno"].isin(seen["cadenceno"])]
    pd.testing.assert_frame_equal(known.loc[rest["cadenceno"]], rest[names].set_index("cadenceno"))
    assert len(known) == len(seen) + len(rest)
    left = both[both["object"] == "found 2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(left, other.reset_index(drop=True))


def test_the_smear_of_an_object_does_not_depend_on_gaps_and_the_order_of_rows(cube):
    """It moves 1.4 pixels between images, whichever of them it is known in."""
    found = find_moving(cube)
    row, column = steps_of_objects(found)
    np.testing.assert_allclose(row, SPEED_ROW, atol=0.05)
    np.testing.assert_allclose(column, SPEED_COLUMN, atol=0.05)
    chosen = np.random.default_rng(2).permutation(len(found))[: len(found) // 2]
    for index in (chosen, chosen[:1]):
        some = found.iloc[index].reset_index(drop=True)
        expected = row[index] if len(index) > 1 else np.zeros(1)
        np.testing.assert_allclose(steps_of_objects(some)[0], expected, atol=0.02)


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"DEC": -91.0}, "row 1, column DEC: .* is not possible"), ({"JD": "?"}, "row 1, column JD")],
)
def test_impossible_ephemerides_are_refused(cube, tmp_path, columns, message):
    with pytest.raises(InputDataError, match=rf"objects\.csv: {message}"):
        read_object_ephemerides(ephemerides(cube, tmp_path, **columns))


def test_a_missing_column_of_ephemerides_is_named(tmp_path):
    (tmp_path / "o.csv").write_text("name,jd,ra,dec\nx,2459000,1,2\n")
    with pytest.raises(InputDataError, match=r"o\.csv: no column for tmag"):
        read_object_ephemerides(tmp_path / "o.csv")


def test_positions_are_read_back(cube, tmp_path):
    found = find_moving(cube)
    write_moving(tmp_path / "moving.ecsv", found, CCD, {"software": "x"})
    pd.testing.assert_frame_equal(read_moving(tmp_path / "moving.ecsv"), found)
    write_moving(tmp_path / "none.ecsv", found[:0], CCD, {})
    assert len(read_moving(tmp_path / "none.ecsv")) == 0


def test_steps_of_objects_on_curved_ways_by_hand():
    """The way is quadratic, so that central differences are exact; the second lies in reverse."""
    number = np.array([3, 4, 6, 9])
    one = pd.DataFrame({"object": "a", "cadenceno": number, "row": 0.1 * number**2, "column": 7.0})
    two = pd.DataFrame({"object": "b", "cadenceno": number, "row": 50.0, "column": -2.0 * number})
    table = pd.concat([two[::-1], one], ignore_index=True)
    row, column = steps_of_objects(table)
    np.testing.assert_allclose(row[4:][1:3], 0.2 * number[1:3])
    np.testing.assert_allclose(row[:4], 0.0, atol=1e-12)
    np.testing.assert_allclose(column, [-2.0] * 4 + [0.0] * 4, atol=1e-12)
    assert [len(axis) for axis in steps_of_objects(table[:0])] == [0, 0]
