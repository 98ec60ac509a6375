"""A CCD's list of stars against its average image, and the catalog as it is believed then."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pixel_cube import CCD, open_cube
from wcs_cards import WCS

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import ApertureSettings
from tessphot_lib.io.products.star_checks_ecsv import (
    CensusExtent,
    read_census_extent,
    read_list_check,
    read_unlisted,
    write_list_check,
    write_unlisted,
)
from tessphot_lib.photometry import suspicious_cells
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.ccd_apertures import ccd_apertures
from tessphot_lib.photometry.star_census import _set_twins, take_star_census
from tessphot_lib.photometry.suspicious_cells import (
    NOISE_FACTOR,
    Cell,
    ComparedList,
    average_noise,
    choose_worst,
    in_squares,
    max_fitted,
    off_significance,
    pairs_lacking_light,
)
from tessphot_lib.prf.census import take_census
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(640, 740, 1210, 1330)  # cells of 32 pixels do not divide it
PRF = generic_prf()


def catalog(*stars):
    """Rows of (tic_id, row, column, tmag)."""
    table = pd.DataFrame(stars, columns=["tic_id", "row", "column", "tmag"])
    return table.assign(ra=79.0, dec=-67.0, teff=np.nan)


def average(*stars, noise=0.1):
    row, column, tmag = np.array(stars, dtype=float).T
    image = scene_image(PRF, WINDOW, row, column, flux_of(tmag))
    return image + np.random.default_rng(1).normal(0, noise, WINDOW.shape)


def check(folder, image, known):
    flux = np.tile(image, (16, 1, 1)).astype(np.float32)
    with open_cube(folder, WINDOW, flux, average_image=image, attributes={"wcs": WCS}) as cube:
        return take_star_census(cube, known, PRF)


def test_error_of_the_average_image_is_by_the_images_in_it(monkeypatch):
    """After a step of the pointing those are not all that are good."""
    noise = np.full(WINDOW.shape, 8.0)
    monkeypatch.setattr(suspicious_cells, "typical_noise", lambda *_: noise)
    cube = SimpleNamespace(is_averaged=lambda: np.repeat([True, False], [4, 12]))
    np.testing.assert_allclose(average_noise(cube, WINDOW), NOISE_FACTOR * 8.0 / 2)


def field(n_stars=60, seed=2):
    """Stars that keep away from each other, off the edges."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(646, 736, 11), np.arange(1216, 1326, 12)), -1)
    at = grid.reshape(-1, 2)[:n_stars] + rng.uniform(-1.5, 1.5, (n_stars, 2))
    return np.column_stack([at, rng.uniform(11.0, 16.0, n_stars)])


def test_list_and_image_that_agree(tmp_path):
    stars = field()
    known = catalog(*((7 + k, *star) for k, star in enumerate(stars)))
    census = check(tmp_path, average(*stars), known)
    assert census.checks.empty
    assert census.unlisted.empty


def test_all_that_is_wrong_with_a_list(tmp_path):
    stars = field()
    stars[[4, 17, 30, 44], 2] = 13.0
    listed = stars.copy()
    listed[17] += [0.3, -0.4, 0.0]
    listed[30, 2] -= 0.5
    rows = [(7 + k, *star) for k, star in enumerate(listed) if k != 4]
    rows.append((200, *(stars[44] + [0.0, 0.05, 0.0])))  # again, under another number
    rows.append((201, 653.0, 1233.0, 0.0))  # no star there
    known = catalog(*rows)
    census = check(tmp_path, average(*stars), known)
    checks = census.checks.set_index("tic_id")
    assert checks["finding"].to_dict() == {
        24: "position",
        37: "magnitude",
        200: "twin",
        201: "absent",
    }
    assert checks["same_as"].to_dict() == {24: 0, 37: 0, 200: 51, 201: 0}
    assert checks["tmag"][37] == pytest.approx(13.0, abs=0.05)
    assert checks[["row", "column"]].loc[24].tolist() == pytest.approx(stars[17, :2], abs=0.05)
    assert checks["offset"][24] == pytest.approx(0.5, abs=0.05)
    assert checks["tmag"][201] > 7
    (source,) = census.unlisted.itertuples()
    assert (source.number, source.is_saturated, source.is_limited) == (-1, False, False)
    assert [source.row, source.column] == pytest.approx(stars[4, :2], abs=0.05)
    assert source.tmag == pytest.approx(13.0, abs=0.05)


def test_a_star_listed_twice_hides_no_wrong_magnitude(tmp_path):
    """The two entries together have the light that the image has, of which one counts."""
    stars = field()
    stars[17, 2] = 12.0
    listed = stars.copy()
    listed[17, 2] += 2.5 * np.log10(2)
    rows = [(7 + k, *star) for k, star in enumerate(listed)]
    known = catalog(*rows, (200, *(listed[17] + [0.0, 0.02, 0.0])))
    checks = check(tmp_path, average(*stars), known).checks.set_index("tic_id")
    assert checks["finding"].to_dict() == {24: "magnitude", 200: "twin"}
    assert checks["tmag"][24] == pytest.approx(12.0, abs=0.05)


def test_entries_of_a_star_lead_to_one_that_counts_also_across_cells():
    row, column = np.array([700.0, 700.05, 699.95]), np.full(3, 1250.0)
    flux = flux_of(np.array([12.0, 12.1, 11.9]))
    ccd = ComparedList(None, PRF, row, column, flux, np.full(3, -1))
    for stars in ([0, 1], [0, 2]):
        assert _set_twins(ccd, np.array(stars), flux, np.full(3, np.inf)[stars])
    assert ccd.same_as.tolist() == [2, 2, -1]


@pytest.mark.parametrize(
    ("row", "apart"), [(700.2, 0.15), (700.4, 0.5), (640.3, 0.5), (738.1, 0.7)]
)
@pytest.mark.parametrize("fainter", [0.0, 0.9])
def test_pairs_are_fitted_only_if_light_lacks(row, apart, fainter):
    """Of two entries of one star the image has only the light of one; at an edge nobody knows."""
    rows, columns = np.array([row, row + apart, 710.0]), np.array([1250.3, 1250.1, 1300.0])
    flux = flux_of(np.array([14.0, 14.0 + fainter, 13.0]))
    ccd = ComparedList(None, PRF, rows, columns, flux, np.full(3, -1))
    both = scene_image(PRF, WINDOW, rows, columns, flux)
    one = scene_image(PRF, WINDOW, rows[[0, 2]], columns[[0, 2]], flux[[0, 2]])
    at_edge = [0, 1] if row < 641 else []
    noise = np.full(WINDOW.shape, 0.3)
    for residual, expected in (
        (one - both, [0, 1]),
        (0.03 * both, at_edge),
        (-0.03 * both, at_edge),
    ):
        pairs, significance = pairs_lacking_light(ccd, np.arange(3), WINDOW, residual, noise)
        assert pairs.tolist() == expected
        assert (significance > 1).all()
    # Where faint stars leave more than the pair lacks, nobody can tell.
    pairs, _ = pairs_lacking_light(ccd, np.arange(3), WINDOW, one - both, 100 * noise)
    assert not pairs.size


def test_errors_of_the_prf_of_a_bright_star_do_not_discredit_its_neighbors():
    residual, expected = np.zeros((9, 9)), np.full((9, 9), 30.0)
    residual[4, 4] = 12.0
    noise = np.full((9, 9), 0.3)
    found = off_significance(residual, expected, noise, np.zeros((9, 9)))
    assert (found > 0).sum() == 9
    assert found.max() == pytest.approx(12.0 / (6 * 0.3 + 2.0))
    assert not off_significance(residual, expected, noise, np.full((9, 9), 20.0)).any()


def cells_at(*corners):
    windows = (Window(row, row + 16, column, column + 16) for row, column in corners)
    return [Cell(window, window.widened(10)) for window in windows]


def test_the_most_significant_cells_are_fitted_in_each_area_and_in_all(monkeypatch):
    monkeypatch.setattr("tessphot_lib.photometry.suspicious_cells.MAX_OF_AREA", 100)
    monkeypatch.setattr("tessphot_lib.photometry.suspicious_cells.MAX_OF_CCD", 220)
    cells = cells_at((0, 0), (0, 16), (240, 240), (256, 0), (256, 300), (512, 0))
    significance = np.array([2.0, 9.0, 3.0, 1.5, 1.0, 4.0])
    # Of the first area the two best; then the most significant of all, as far as they go.
    assert choose_worst(cells, significance, np.full(6, 50)) == [1, 2, 3, 5]
    assert choose_worst(cells, significance, np.array([50, 50, 60, 50, 50, 50])) == [1, 3, 4, 5]
    assert choose_worst(cells, significance, np.full(6, 20)) == [0, 1, 2, 3, 4, 5]
    assert choose_worst(cells, significance, np.full(6, 1000)) == [1]
    assert choose_worst([], np.zeros(0), np.zeros(0, dtype=int)) == []


def test_what_faint_stars_leave_is_measured_in_squares_of_the_ccd():
    window = Window(60, 140, 120, 200)
    values = np.full(window.shape, 2.0)
    values[4:, 8:] = 5.0  # from row 64, column 128 on
    values[10, 20] = 1e4
    values[:4, :8] = np.nan
    scatter = in_squares(values, window) / 1.4826
    assert np.unique(scatter[4:68, 8:72]).tolist() == [5.0]
    assert np.unique(scatter[:4, 8:72]).tolist() == [2.0]
    assert np.unique(scatter[:4, :8]).tolist() == [0.0]


def crowd(seed=5, n_stars=12_000):
    """Some 0.7 stars per pixel in and around the window, with magnitudes as in the sky."""
    rng = np.random.default_rng(seed)
    row = rng.uniform(WINDOW.row0 - 10, WINDOW.row1 + 10, n_stars)
    column = rng.uniform(WINDOW.column0 - 10, WINDOW.column1 + 10, n_stars)
    return np.column_stack([row, column, 18.0 - rng.exponential(1.0 / 0.9, n_stars)])


def test_in_a_crowd_a_fixed_number_of_stars_is_fitted_and_wrong_entries_are_found(
    tmp_path, monkeypatch
):
    stars = np.vstack([crowd(), [[700.3, 1270.2, 9.5], [665.1, 1240.4, 9.5]]])
    n_stars = len(stars)
    listed = stars.copy()
    listed[-1, 0] += 0.5
    rows = [(7 + k, *star) for k, star in enumerate(listed) if k != n_stars - 2]
    fitted = []

    def counted(prf, window, image, noise, row, column, flux):
        fitted.append(len(row))
        assert len(row) <= max_fitted(window)
        return take_census(prf, window, image, noise, row, column, flux)

    monkeypatch.setattr("tessphot_lib.photometry.star_census.take_census", counted)
    monkeypatch.setattr("tessphot_lib.photometry.suspicious_cells.MAX_OF_CCD", 2500)
    census = check(tmp_path, average(*stars), catalog(*rows))
    assert sum(fitted) <= 2 * 2500  # once more without those that are listed twice
    assert 0 < census.n_fitted < census.n_suspicious
    checks = census.checks.set_index("tic_id")
    assert "position" in checks["finding"][7 + n_stars - 1]
    source = census.unlisted.iloc[0]
    assert [source.row, source.column] == pytest.approx(stars[-2, :2], abs=0.1)
    assert source.tmag == pytest.approx(9.5, abs=0.1)


def test_a_star_beyond_the_edge_of_the_ccd_is_no_source(tmp_path):
    """Its light is in the cell that is fitted for another star, which the list lacks."""
    window = Window(1984, 2048, 1210, 1270)
    stars = np.array([[2048.8, 1238.3, 10.0], [2030.2, 1226.4, 13.0], [2000.0, 1250.0, 14.0]])
    row, column, tmag = stars.T
    image = scene_image(PRF, window, row, column, flux_of(tmag))
    image += np.random.default_rng(1).normal(0, 0.1, window.shape)
    known = catalog((7, *stars[0]), (9, *stars[2]))
    flux = np.tile(image, (16, 1, 1)).astype(np.float32)
    with open_cube(tmp_path, window, flux, average_image=image, attributes={"wcs": WCS}) as cube:
        census = take_star_census(cube, known, PRF)
    assert census.checks.empty
    (source,) = census.unlisted.itertuples()
    assert [source.row, source.column] == pytest.approx(stars[1, :2], abs=0.05)


def test_who_is_affected_by_a_source_that_the_list_lacks(tmp_path):
    stars = np.array([[690.3, 1270.4, 14.0], [690.0, 1273.2, 12.0], [660.0, 1300.0, 14.0]])
    known = catalog((8, *stars[0]), (9, *stars[2]))
    census = check(tmp_path, average(*stars), known)
    (source,) = census.unlisted.itertuples()
    assert source.affects.startswith("8 (")
    assert "9 (" not in source.affects


def test_saturated_columns_without_a_star_are_a_source(tmp_path):
    stars = field(20)
    image = average(*stars)
    known = catalog(*((7 + k, *star) for k, star in enumerate(stars)))
    row, column = 700, 1300
    image[row - 12 - 640 : row + 13 - 640, column - 1210] = FULL_WELL_RATE
    census = check(tmp_path, image, known)
    (source,) = census.unlisted.itertuples()
    assert source.is_saturated
    assert not source.is_limited
    assert (source.row, source.column) == pytest.approx((row, column), abs=0.3)
    assert source.tmag == pytest.approx(20.44 - 2.5 * np.log10(25 * FULL_WELL_RATE), abs=0.2)
    # The list has it: nothing to say.
    folder = tmp_path / "again"
    folder.mkdir()
    assert check(folder, image, pd.concat([known, catalog((500, row, column, 4.9))])).unlisted.empty


@pytest.mark.parametrize("missing", [False, True])
def test_saturated_columns_that_are_cut_are_marked(tmp_path, missing):
    """Their middle is not the star's position: 12 of 25 rows are beyond the edge, or missing."""
    stars = field(20)
    image = average(*stars)
    known = catalog(*((7 + k, *star) for k, star in enumerate(stars)))
    image[-13:, 90] = FULL_WELL_RATE
    if missing:
        image = np.vstack([image[8:], np.full((8, image.shape[1]), np.nan)])
        known["row"] -= 8
    (source,) = check(tmp_path, image, known).unlisted.itertuples()
    assert (source.is_saturated, source.is_limited) == (True, True)


def test_fainter_sources_than_the_list_has_stars_are_not_told(tmp_path):
    stars = field()
    stars[4, 2] = 15.9
    known = catalog(*((7 + k, *star) for k, star in enumerate(stars) if k != 4))
    assert check(tmp_path, average(*stars), known).unlisted.empty


CHECKS = pd.DataFrame(
    {
        "tic_id": [12, 13, 14, 99],
        "finding": ["magnitude position", "twin", "absent", "magnitude"],
        "same_as": [0, 11, 0, 0],
        "tmag_listed": [12.0, 10.0, 0.0, 1.0],
        "tmag": [13.5, 10.0, 14.0, 2.0],
        "row": [650.5, 660.0, 661.0, 1.0],
        "column": [1220.25, 1230.0, 1231.0, 1.0],
        "offset": [0.7, 0.0, 0.0, 0.0],
        "flux": [600.0, 1e4, 3.0, 1.0],
        "flux_err": [6.0, 1e2, 1.0, 1.0],
    }
)
UNLISTED = pd.DataFrame(
    {
        "number": [-1],
        "ra": [80.0],
        "dec": [-66.0],
        "row": [655.0],
        "column": [1225.0],
        "tmag": [9.5],
        "flux": [2e4],
        "flux_err": [50.0],
        "is_saturated": [False],
        "is_limited": [False],
        "affects": ["12 (0.3)"],
    }
)


def test_the_catalog_as_it_is_believed():
    known = catalog(
        (11, 660.1, 1230.1, 10.0),
        (12, 650.0, 1220.0, 12.0),
        (13, 660.0, 1230.0, 10.0),
        (14, 661.0, 1231.0, 0.0),
        (15, 1.0, 2.0, 3.0),
    )
    before = known.copy()
    found = StarChecks(CHECKS, UNLISTED).believed(known)
    pd.testing.assert_frame_equal(known, before)
    assert found["tic_id"].tolist() == [11, 12, 13, 14, 15, -1]
    np.testing.assert_array_equal(found["tmag"], [10.0, 13.5, 10.0, 14.0, 3.0, 9.5])
    np.testing.assert_array_equal(found["tmag_listed"][:5], known["tmag"])
    np.testing.assert_array_equal(found["row"], [660.1, 650.5, np.nan, 661.0, 1.0, 655.0])
    np.testing.assert_array_equal(found["column"], [1230.1, 1220.25, np.nan, 1231.0, 2.0, 1225.0])


def test_what_is_said_of_stars():
    said = StarChecks(CHECKS, UNLISTED).warnings()
    assert set(said) == {11, 12, 14, 99}
    assert "TIC 13" in said[11]
    assert "1.5 mag fainter" in said[12]
    assert "0.7 pixels" in said[12]
    assert "does not show the light" in said[14]


def test_without_checks_all_is_believed(tmp_path):
    known = catalog((11, 660.1, 1230.1, 10.0))
    checks = StarChecks.read(None, None)
    pd.testing.assert_frame_equal(checks.believed(known)[known.columns.tolist()], known)
    assert checks.warnings() == {}
    write_list_check(tmp_path / "c.ecsv", CHECKS[:0], CCD, {})
    write_unlisted(tmp_path / "u.ecsv", UNLISTED[:0], CCD, {})
    assert StarChecks.read(tmp_path / "c.ecsv", tmp_path / "u.ecsv").warnings() == {}


def test_checks_are_read_back(tmp_path):
    write_list_check(tmp_path / "c.ecsv", CHECKS, CCD, {"software": "x"})
    write_unlisted(tmp_path / "u.ecsv", UNLISTED, CCD, {})
    pd.testing.assert_frame_equal(read_list_check(tmp_path / "c.ecsv"), CHECKS)
    pd.testing.assert_frame_equal(read_unlisted(tmp_path / "u.ecsv"), UNLISTED)
    assert read_census_extent(tmp_path / "c.ecsv") == (CCD, (0, 0))


def test_how_much_was_compared_is_read_back(tmp_path):
    write_list_check(tmp_path / "c.ecsv", CHECKS, CCD, {}, CensusExtent(12, 7))
    assert read_census_extent(tmp_path / "c.ecsv") == (CCD, (12, 7))
    (tmp_path / "other.ecsv").write_text((tmp_path / "c.ecsv").read_text().replace("ccd:", "x:"))
    with pytest.raises(InputDataError, match="does not say which CCD"):
        read_census_extent(tmp_path / "other.ecsv")


def test_a_saturated_variable_has_the_pixels_that_it_fills_while_it_is_bright(tmp_path):
    """4 images of 20 with a trail twice as long as in the average."""
    known = catalog((7, 690.0, 1270.0, 5.0))
    flux = np.full((20, *WINDOW.shape), 1.0, dtype=np.float32)
    flux += average((690.0, 1270.0, 9.0), noise=0.0)
    flags = np.zeros(flux.shape, dtype=np.uint8)
    for index in range(20):
        half = 20 if index in (5, 6, 7, 8) else 9
        trail = (index, slice(50 - half, 51 + half), 60)
        flux[trail], flags[trail] = 1.1 * FULL_WELL_RATE, int(PixelFlag.SATURATED)
    flux[12, 10:90, 60], flags[12, 10:90, 60] = FULL_WELL_RATE, int(PixelFlag.SATURATED)  # one only
    middle = np.median(flux, axis=0)
    with open_cube(tmp_path, WINDOW, flux, average_image=middle, pixel_flags=flags) as cube:
        apertures, _ = ccd_apertures(cube, known, PRF, ApertureSettings(), faint_limit=10.0)
    rows = np.flatnonzero(apertures[0].mask.any(axis=1)) + apertures[0].window.row0
    assert rows[0] <= 690 - 20
    assert rows[-1] >= 690 + 20
    assert rows[-1] < 690 + 35
