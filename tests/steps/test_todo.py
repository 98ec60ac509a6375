"""Step `todo`: who is measured with which pixels, and who is left to a brighter neighbor."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from images_block import write_images_block
from star_images import gaussian_star

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.identifiers import TRANSIENT, identifier
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.settings import PhotometrySettings, TodoSettings
from tessphot_lib.core.star_warnings import LIMITED_APERTURE, SWITCHED_TO_HALO, UNLISTED_LIGHT
from tessphot_lib.io.products.block_hdf5 import read_identity
from tessphot_lib.io.products.pixels_hdf5 import PER_IMAGE
from tessphot_lib.io.products.pixels_writer import BlockIdentity, write_pixels
from tessphot_lib.io.products.prf_fits import write_prf
from tessphot_lib.io.products.star_checks_ecsv import write_list_check, write_unlisted
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import read_excluded_stars, read_skipped, read_todo
from tessphot_lib.io.products.transients_ecsv import no_transients, write_transients
from tessphot_lib.io.stars.catalog_sqlite import write_catalog
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.choice import warnings_of
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.report.not_measured import _as_not_measured, excluded_stars
from tessphot_lib.steps.todo import _left_to_brighter, _wanted, run_todo

CCD = CcdId(14, 2, 3)
WINDOW = Window(240, 300, 500, 590)  # over the borders of tiles of 256 x 512
SIGMA = 0.9  # [pixels]
PHOTOMETRY = PhotometrySettings(tiles=[8, 4], method="aperture")


def average_image(stars):
    image = np.random.default_rng(0).normal(0, 1.0, WINDOW.shape)
    for star in stars.dropna(subset=["row", "column"]).itertuples():
        flux = 10 ** (0.4 * (20.44 - star.tmag))
        image += gaussian_star(WINDOW, star.row, star.column, flux, SIGMA)
    return image


def make_pixels(folder, average):
    """``pixels.hdf5`` over one block of two empty images."""
    block = write_images_block(
        folder / "blocks" / "b0.hdf5",
        WINDOW,
        np.ones((2, *WINDOW.shape)),
        images={"name": np.array(["a", "b"])},
        flux_sum=average,
        flux_count=np.ones(WINDOW.shape),
        ccd_id=CCD,
    )
    identity = {key: read_identity(block)[key] for key in ("name", "size", "digest", "n_images")}
    write_pixels(
        folder / "pixels.hdf5",
        CCD,
        WINDOW,
        blocks=[block],
        identities=[BlockIdentity(**identity)],
        images={name: np.zeros(2) for name in PER_IMAGE}
        | {"motion": np.zeros((2, 6)), "quality": np.zeros(2, dtype=int)},
        names=np.array(["a", "b"]),
        average_image=average,
        average_count=np.ones(WINDOW.shape, dtype=np.int32),
        grid=Mesh(WINDOW, np.array([240, 300]), np.array([500, 590])),
        attributes={"cadence_seconds": 600, "mask_radius_scale": 1.0, "bad_quality": 0},
    )
    return folder / "pixels.hdf5"


def star_table(*rows):
    """Stars of (tic_id, row, column, tmag), all at the camera's centre but for their number."""
    stars = pd.DataFrame(rows, columns=["tic_id", "row", "column", "tmag"])
    stars[["ra", "ra_j2000"]] = 80.0
    # The last digit of the number decides about the ring: 5 deg farther each.
    stars["dec"] = stars["dec_j2000"] = -66.0 + 5.0 * (stars["tic_id"] % 10)
    stars[["pm_ra", "pm_dec", "teff"]] = np.nan
    return stars


def run(
    folder,
    stars,
    *,
    faint_limit=15.0,
    average=None,
    photometry=PHOTOMETRY,
    exclude=(),
    methods=None,
    checks=None,
    unlisted=None,
    transients=None,
):
    pixels = make_pixels(folder, average_image(stars) if average is None else average)
    about = {"sector": 14, "camera": 2, "ccd": 3, "ticver": "8.2", "reference_time": 2458683.0}
    about |= {"epoch": 2019.5, "coord_buffer": 0.2, "camera_centre_ra": 80.0}
    about |= {"camera_centre_dec": -66.0, "footprint": ((79.0, -66.0), (81.0, -66.0), (80, -65))}
    about |= {"wcs": "", "reference_image": "", "centre_ra": 80.0, "centre_dec": -66.0}
    write_catalog(folder / "catalog.sqlite", stars, about | {"image_header": "{}"})
    write_prf(folder / "prf.fits", generic_prf(), CCD, attributes={})
    run_todo(
        CCD,
        pixels=pixels,
        catalog=folder / "catalog.sqlite",
        prf=folder / "prf.fits",
        list_check=checks,
        unlisted=unlisted,
        transients=transients,
        output=folder / "todo.sqlite",
        settings=TodoSettings(
            faint_limit=faint_limit, exclude=list(exclude), methods=methods or {}
        ),
        photometry=photometry,
    )
    return folder / "todo.sqlite"


def test_stars_on_the_pixels_brightest_first(tmp_path):
    stars = star_table(
        (10, 250.0, 520.0, 12.0),
        (21, 290.2, 560.6, 9.0),  # another tile, another ring
        (32, 270.0, 511.4, 14.0),
        (40, 270.0, 540.0, 15.1),  # too faint
        (50, 239.4, 540.0, 8.0),  # below the window
        (60, 270.0, 590.5, 8.0),  # right of it
        (70, np.nan, 540.0, 8.0),
        (80, 280.0, 530.0, 10.0),  # where no data are
    )
    average = average_image(stars)
    average[280 - 240, 530 - 500] = np.nan
    path = run(tmp_path, stars, average=average)
    todo = read_todo(path)
    assert todo["tic_id"].tolist() == [21, 10, 32]
    assert todo["priority"].tolist() == [1, 2, 3]
    assert todo["tile"].tolist() == ["r1c1", "r0c1", "r1c0"]
    assert todo["cbv_area"].tolist() == [232, 231, 233]  # 5, 0, 10 deg off the centre
    np.testing.assert_array_equal(todo["row"], [290.2, 250.0, 270.0])
    np.testing.assert_array_equal(todo["column"], [560.6, 520.0, 511.4])
    assert set(todo["datasource"]) == {"ffi"}
    assert set(todo["cadence_seconds"]) == {600}
    assert (set(todo["sector"]), set(todo["camera"]), set(todo["ccd"])) == ({14}, {2}, {3})
    assert len(read_skipped(path)) == 0


def test_apertures_belong_to_their_stars(tmp_path):
    stars = star_table((10, 250.0, 520.0, 12.0), (21, 290.0, 560.0, 9.0), (30, 270.0, 540.0, 11.0))
    average = average_image(stars[:2])  # the third is not to be seen
    path = run(tmp_path, stars, average=average)
    apertures = read_apertures(path)
    todo = read_todo(path).set_index("priority")
    assert sorted(apertures) == [1, 2, 3]
    for priority, aperture in apertures.items():
        rows, columns = np.nonzero(aperture.mask)
        star = todo.loc[priority]
        assert rows.mean() + aperture.window.row0 == pytest.approx(star["row"], abs=0.5)
        assert columns.mean() + aperture.window.column0 == pytest.approx(star["column"], abs=0.5)
    sizes = [int(apertures[priority].mask.sum()) for priority in (1, 2, 3)]
    assert sizes[0] > sizes[2] > 4  # Tmag 9 and 12 ...
    assert sizes[1] == 9  # ... and 11, which got the smallest
    assert warnings_of(apertures[2], "aperture") == "Using minimum aperture."
    assert warnings_of(apertures[1], "aperture") is None


def list_check(folder, *rows):
    """Rows of (tic_id, finding, same_as, tmag_listed, tmag, row, column)."""
    names = ("tic_id", "finding", "same_as", "tmag_listed", "tmag", "row", "column")
    table = pd.DataFrame(rows, columns=names).assign(offset=0.6, flux=1.0, flux_err=0.1)
    write_list_check(folder / "list_check.ecsv", table, CCD, {})
    return folder / "list_check.ecsv"


@pytest.mark.parametrize("method", ["aperture", "linpsf"])
def test_a_star_that_is_listed_twice_is_measured_once(tmp_path, method):
    stars = star_table(
        (10, 270.0, 540.0, 12.0), (20, 270.02, 540.0, 12.0), (30, 250.0, 520.0, 13.0)
    )
    checks = list_check(tmp_path, (20, "twin", 10, 12.0, 12.0, 270.02, 540.0))
    photometry = replace(PHOTOMETRY, method=method)
    path = run(tmp_path, stars, checks=checks, photometry=photometry)
    todo = read_todo(path)
    assert todo["tic_id"].tolist() == [10, 20, 30]
    assert read_skipped(path)[["priority", "skipped_by"]].to_numpy().tolist() == [[2, 1]]
    apertures = read_apertures(path)
    assert "TIC 20" in apertures[1].findings
    assert apertures[3].findings is None
    # What the two have is one star's light.
    assert apertures[1].light.crowdsap == pytest.approx(1.0, abs=0.01)
    # The star is excluded: then no entry of it is measured. One of its entries is: it is.
    for number, left in ((10, [30]), (20, [10, 30])):
        folder = tmp_path / f"without {number}"
        folder.mkdir()
        path = run(folder, stars, checks=checks, exclude=[number], photometry=photometry)
        assert read_todo(path)["tic_id"].tolist() == left
        assert len(read_skipped(path)) == 0
        assert set(read_excluded_stars(path)["tic_id"]) == {10, 20, 30} - set(left)


def test_what_the_image_shows_is_believed(tmp_path):
    stars = star_table((10, 270.0, 540.0, 0.0), (20, 250.0, 520.0, 12.0), (30, 290.0, 560.0, 13.0))
    seen = stars.assign(tmag=[9.8, 12.0, 13.0], row=[270.0, 250.5, 290.0])
    checks = list_check(
        tmp_path,
        (10, "magnitude", 0, 0.0, 9.8, 270.0, 540.0),
        (20, "position", 0, 12.0, 12.0, 250.5, 520.0),
    )
    path = run(tmp_path, stars, average=average_image(seen), checks=checks)
    todo = read_todo(path).set_index("tic_id")
    assert todo["tmag"].to_dict() == {10: 0.0, 20: 12.0, 30: 13.0}  # as listed
    assert todo["row"].to_dict() == {10: 270.0, 20: 250.5, 30: 290.0}
    apertures = read_apertures(path)
    large = apertures[todo["priority"][10]]
    assert large.window.shape[0] < 20  # not that of a star of Tmag 0
    assert "9.8 mag fainter" in large.findings
    assert "0.6 pixels" in apertures[todo["priority"][20]].findings
    assert apertures[todo["priority"][30]].findings is None


def test_light_of_a_source_that_the_list_lacks(tmp_path):
    stars = star_table((10, 270.0, 540.0, 12.0), (20, 250.0, 520.0, 12.0))
    both = pd.concat([stars, star_table((90, 270.0, 542.0, 11.0))], ignore_index=True)
    source = {"number": -1, "ra": 80.0, "dec": -66.0, "row": 270.0, "column": 542.0}
    source |= {"tmag": 11.0, "flux": 6000.0, "flux_err": 6.0}
    source |= {"is_saturated": False, "is_limited": False}
    table = pd.DataFrame([source | {"affects": "10 (0.5)"}])
    write_unlisted(tmp_path / "unlisted.ecsv", table, CCD, {})
    path = run(tmp_path, stars, average=average_image(both), unlisted=tmp_path / "unlisted.ecsv")
    assert read_todo(path)["tic_id"].tolist() == [10, 20]
    beside, alone = (read_apertures(path)[priority] for priority in (1, 2))
    assert UNLISTED_LIGHT in beside.findings
    assert beside.light.crowdsap < 0.95
    assert not beside.contains(np.array([270.0]), np.array([542.0]))[0]
    assert alone.findings is None


def appeared(folder, *rows):
    """``transients.ecsv``; rows are (number, kind, row, column)."""
    table = no_transients().reindex(range(len(rows)))
    table[["number", "kind", "row", "column"]] = rows
    table = table.assign(ra=80.01, dec=-66.0, peak_tmag=9.7, mean_tmag=11.6, n_detections=8)
    table["tic_id"] = 0
    write_transients(folder / "transients.ecsv", table, CCD, {})
    return folder / "transients.ecsv"


@pytest.mark.parametrize("method", ["aperture", "auto"])
def test_transients_are_measured_if_that_is_asked_for(tmp_path, method):
    """And stars in outburst that are fainter than the limit."""
    stars = star_table((10, 270.0, 540.0, 12.0), (20, 250.0, 520.0, 16.2), (30, 280.0, 510.0, 16.0))
    number = identifier(TRANSIENT, CCD, 1)
    new = star_table((number, 260.0, 570.3, 11.6))
    average = average_image(pd.concat([stars, new], ignore_index=True))
    table = appeared(tmp_path, (number, "transient", 260.0, 570.3), (20, "outburst", 250.0, 520.0))
    path = run(tmp_path, stars, average=average, transients=table)
    assert read_todo(path)["tic_id"].tolist() == [10]
    wanted = replace(PHOTOMETRY, method=method, transients=True)
    path = run(tmp_path, stars, average=average, transients=table, photometry=wanted)
    todo = read_todo(path)
    assert todo["tic_id"].tolist() == [number, 10, 20]
    assert todo["tmag"].tolist() == [9.7, 12.0, 16.2]
    assert todo["method"][0] == ("linpsf" if method == "auto" else "aperture")
    aperture = read_apertures(path)[1]
    assert aperture.contains(np.array([260.0]), np.array([570.0]))[0]
    assert aperture.light.crowdsap > 0.99
    assert aperture.light.flfrcsap > 0.7


def test_star_in_the_aperture_of_a_brighter_one_is_left_to_it(tmp_path):
    stars = star_table(
        (10, 270.0, 541.2, 14.5),  # beside the second
        (20, 270.0, 540.0, 9.0),
        (30, 250.0, 520.0, 14.0),  # by itself
    )
    path = run(tmp_path, stars)
    assert read_todo(path)["tic_id"].tolist() == [20, 30, 10]
    skipped = read_skipped(path)
    assert skipped["priority"].tolist() == [3]
    assert skipped["skipped_by"].tolist() == [1]


def test_order_of_the_catalog_does_not_matter(tmp_path):
    rng = np.random.default_rng(1)
    rows = zip(
        range(100, 140),
        rng.uniform(241, 299, 40),
        rng.uniform(501, 589, 40),
        rng.uniform(8, 16, 40),
        strict=True,
    )
    stars = star_table(*rows)
    first = run(tmp_path / "1", stars)
    second = run(tmp_path / "2", stars.iloc[rng.permutation(40)].reset_index(drop=True))
    pd.testing.assert_frame_equal(read_todo(first), read_todo(second))
    pd.testing.assert_frame_equal(read_skipped(first), read_skipped(second))
    one, two = read_apertures(first), read_apertures(second)
    assert len(read_skipped(first)) > 0
    for priority, aperture in one.items():
        assert aperture.window == two[priority].window
        np.testing.assert_array_equal(aperture.mask, two[priority].mask)


def test_methods_that_suit_the_stars(tmp_path):
    stars = star_table(
        (10, 242.0, 511.0, 5.0),  # its aperture is cut by the lower edge
        (20, 270.0, 540.0, 9.0),
        (30, 270.0, 541.6, 11.5),  # beside it
        (40, 255.0, 575.0, 12.0),
        (50, 285.0, 570.0, 6.9),
    )
    path = run(tmp_path, stars, photometry=replace(PHOTOMETRY, method="auto"))
    methods = read_todo(path).set_index("tic_id")["method"].to_dict()
    assert methods == {10: "halo", 20: "aperture", 30: "linpsf", 40: "aperture", 50: "aperture"}
    assert len(read_skipped(path)) == 0
    cut = read_apertures(path)[1]
    assert warnings_of(cut, "halo") == SWITCHED_TO_HALO
    assert warnings_of(cut, "aperture") == LIMITED_APERTURE  # if it is measured after all
    forced = run(tmp_path / "forced", stars, photometry=replace(PHOTOMETRY, method="halo"))
    assert set(read_todo(forced)["method"]) == {"halo"}
    assert warnings_of(read_apertures(forced)[1], "halo") is None


def test_excluded_stars_are_recorded_and_change_nothing_else(tmp_path):
    stars = star_table(
        (20, 270.0, 540.0, 9.0),
        (10, 270.0, 541.2, 14.5),  # left to it as long as it is there
        (30, 250.0, 520.0, 12.0),
        (40, 290.0, 570.0, 13.0),
    )
    exclude = [{"tic_id": 20, "reason": "a planet"}, 77, {"tic_id": 30, "sector": 15}]
    exclude += [{"tic_id": 40, "sector": 14}]
    path = run(tmp_path / "1", stars, exclude=exclude)
    todo = read_todo(path)
    assert todo["tic_id"].tolist() == [30, 10]
    assert len(read_skipped(path)) == 0
    excluded = read_excluded_stars(path)
    assert excluded["tic_id"].tolist() == [20, 40]
    assert excluded["tmag"].tolist() == [9.0, 13.0]
    assert set(zip(excluded["sector"], excluded["camera"], excluded["ccd"], strict=True)) == {
        (14, 2, 3)
    }
    assert excluded["reason"].tolist() == [
        "excluded by todo.exclude: a planet",
        "excluded by todo.exclude",
    ]
    whole = run(tmp_path / "2", stars)
    assert len(read_excluded_stars(whole)) == 0
    apertures = []
    for one in (path, whole):
        priority = read_todo(one).set_index("tic_id")["priority"]
        apertures.append([read_apertures(one)[priority[star]] for star in (30, 10)])
    for first, second in zip(*apertures, strict=True):
        assert first.window == second.window
        np.testing.assert_array_equal(first.mask, second.mask)


def test_stars_with_target_pixel_files_are_wanted_however_faint_they_are():
    known = star_table((10, 1.0, 2.0, 9.0), (20, 3.0, 4.0, 15.5), (30, 5.0, 6.0, 15.5))
    checks = StarChecks.read(None, None, None)
    _, is_wanted = _wanted(known, checks, TodoSettings(faint_limit=15.0), PHOTOMETRY, [30, 7])
    assert is_wanted.tolist() == [True, False, True]


def test_excluded_stars_are_listed_as_not_measured():
    known = star_table((10, 1.0, 2.0, 9.0), (20, 3.0, 4.0, 8.0), (30, 5.0, 6.0, 7.0))
    excluded = excluded_stars(known, [1, 2], {10: "", 20: "a planet", 30: ""}, CCD)
    table = _as_not_measured(known, excluded)
    assert table["tic_id"].tolist() == [20, 30]
    assert table["column"].tolist() == [4.0, 6.0]
    assert table["reason"].tolist() == ["excluded by todo.exclude"] * 2
    assert table["detail"].tolist() == ["a planet", ""]
    assert len(_as_not_measured(known, excluded_stars(known, [1, 2], {}, CCD))) == 0


def test_listed_methods_go_first(tmp_path):
    stars = star_table((10, 250.0, 520.0, 12.0), (20, 270.0, 540.0, 9.0), (30, 290.0, 570.0, 1.5))
    methods = {10: "psf", "20": "halo", 99: "linpsf"}
    forced = run(tmp_path / "1", stars, methods=methods)
    found = read_todo(forced).set_index("tic_id")["method"].to_dict()
    assert found == {10: "psf", 20: "halo", 30: "aperture"}
    auto = run(
        tmp_path / "2", stars, methods=methods, photometry=replace(PHOTOMETRY, method="auto")
    )
    found = read_todo(auto).set_index("tic_id")
    assert found["method"].to_dict() == {10: "psf", 20: "halo", 30: "halo"}
    apertures = read_apertures(auto)
    assert warnings_of(apertures[found["priority"][20]], "halo") is None  # nobody switched it
    assert warnings_of(apertures[found["priority"][30]], "halo") == SWITCHED_TO_HALO
    is_automatic = {star: apertures[found["priority"][star]].is_automatic for star in found.index}
    assert is_automatic == {10: False, 20: False, 30: True}
    assert not any(aperture.is_automatic for aperture in read_apertures(forced).values())
    named = run(tmp_path / "3", stars, methods={30: "aperture"})
    assert set(read_todo(named)["method"]) == {"aperture"}


def test_no_star_is_bright_enough(tmp_path):
    with pytest.raises(InputDataError, match=r"no star that is not in todo\.exclude and brighter"):
        run(tmp_path, star_table((10, 270.0, 541.2, 14.5)), faint_limit=14.0)
    assert not (tmp_path / "todo.sqlite").exists()


# -- who is left to whom ------------------------------------------------------------------------


def left(*stars, method="aperture", tmag=10.0):
    """Pairs (priority, skipped_by) of stars (row, column, pixels of the aperture along a row)."""
    table = pd.DataFrame([star[:2] for star in stars], columns=["row", "column"], dtype=float)
    table["method"] = method
    table["tmag"] = tmag
    table["priority"] = 10 * np.arange(1, len(stars) + 1)
    apertures = []
    for row, first, last in ((round(star[0]), *star[2]) for star in stars):
        stamp = Window(row - 1, row + 2, first, last + 2)
        mask = np.zeros(stamp.shape, dtype=bool)
        mask[1, :-1] = True
        apertures.append(Aperture(stamp, mask))
    result = _left_to_brighter(table, apertures)
    return list(zip(result["priority"].tolist(), result["skipped_by"].tolist(), strict=True))


def test_one_that_is_left_out_takes_nobody_with_it():
    # The second lies in the first's aperture, the third only in the second's.
    assert left((50, 100, (98, 103)), (50, 103, (102, 107)), (50, 106, (105, 108))) == [(20, 10)]
    # Were the second measured, the third would be left to it.
    assert left((50, 100, (98, 101)), (50, 103, (102, 107)), (50, 106, (105, 108))) == [(30, 20)]


def test_bright_star_in_the_aperture_of_a_faint_one_stays():
    assert left((50, 100, (99, 101)), (50, 103, (98, 105))) == []


def test_first_that_covers_a_star_has_it():
    assert left((50, 100, (98, 104)), (50, 106, (102, 108)), (50, 103, (103, 103))) == [(30, 10)]


def test_position_counts_to_half_a_pixel():
    bright = (50, 100, (98, 102))
    assert left(bright, (50.4, 102.4, (102, 102))) == [(20, 10)]
    assert left(bright, (50.6, 102.0, (102, 102))) == []
    assert left(bright, (50.0, 102.6, (103, 103))) == []
    assert left(bright, (49.4, 100.0, (100, 100))) == []


def test_stars_that_are_fitted_are_left_to_nobody():
    stars = (50, 100, (98, 103)), (50, 103, (102, 107))
    assert left(*stars) == [(20, 10)]
    assert left(*stars, method="linpsf") == []


def test_stars_beside_a_saturated_one_are_left_to_it_unless_that_is_fitted():
    stars = (50, 100, (98, 103)), (50, 103, (102, 107))
    assert left(*stars, method=["aperture", "linpsf"], tmag=[6.0, 9.0]) == [(20, 10)]
    assert left(*stars, method=["aperture", "linpsf"], tmag=[8.0, 9.0]) == []
    assert left(*stars, method="linpsf", tmag=[6.0, 9.0]) == []


def test_nobody_is_left():
    assert left() == []
    assert left((50, 100, (98, 102)), (60, 100, (98, 102))) == []
