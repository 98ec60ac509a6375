"""What PRF fits say of stars that hardly a pixel shows, or that show too little light."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.patches import Patches
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.core.star_warnings import (
    BLENDED_FIT,
    FAINT_FIT,
    NO_FIT,
    SATURATED_FIT,
    UNDER_CHARGE,
)
from tessphot_lib.photometry.known_stars import KnownStars
from tessphot_lib.photometry.linpsf import measure_linpsf
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(0, 40, 0, 50)
PRF = generic_prf()
N_IMAGES = 12


def measured(
    folder, row, column, tmag, *, flux=None, full=None, n_targets=1, change=None, **of_aperture
):
    """Fluxes of the first stars, whose true ones are ``flux``; with full pixels."""
    known = pd.DataFrame({"tic_id": 3 + 2 * np.arange(len(row))})
    known = known.assign(row=row, column=column, tmag=tmag)
    flux = flux_of(known["tmag"].to_numpy(dtype=float), PRF.zeropoint) if flux is None else flux
    image = scene_image(PRF, WINDOW, *(known[n].to_numpy(float) for n in ("row", "column")), flux)
    if full is not None:
        image[full] = FULL_WELL_RATE
    images = np.repeat(image[None], N_IMAGES, axis=0)
    average = image
    if change is not None:
        images = images + change
    box = Window.around(round(row[0]), round(column[0]), 2, WINDOW)
    light = ApertureLight(1.0, 1.0, np.zeros(5))
    found = Aperture(box, np.ones(box.shape, dtype=bool), light=light)
    apertures = [replace(found, **of_aperture)] * n_targets
    targets = StarList(known.iloc[:n_targets].reset_index(drop=True), apertures, known, PRF)
    with open_cube(
        folder, WINDOW, images.astype(np.float32), sky_error=0.1, average_image=average
    ) as cube:
        return measure_linpsf(cube, targets, None, PhotometrySettings())


def test_a_star_under_the_trail_of_another_is_not_measured_by_its_wings(tmp_path):
    trail = slice(6, 34), slice(20, 23)
    note = measured(tmp_path, [18.3, 30.2], [21.2, 21.0], [11.0, 5.5], full=trail).notes[0]
    assert note.failure == UNDER_CHARGE


def test_so_is_a_star_just_beyond_the_end_of_a_trail(tmp_path):
    """Pixels that are full, three rows from it, take those that show it from the fit."""
    trail = slice(19, 34), slice(19, 24)
    note = measured(tmp_path, [16.4, 30.2], [21.2, 21.0], [11.0, 5.5], full=trail).notes[0]
    assert note.failure == UNDER_CHARGE


def test_the_rules_measure_it_by_its_aperture_if_that_has_no_full_pixel(tmp_path):
    """At the end of a trail, where the fit uses no pixel that shows it."""
    place, trail = ([18.3, 30.2], [21.2, 21.0], [11.0, 5.5]), (slice(18, 34), slice(19, 24))
    beyond = np.zeros((5, 5), dtype=bool)
    beyond[0, 1:4] = True  # row 16
    found = measured(tmp_path, *place, full=trail, mask=beyond, is_automatic=True)
    (note,) = found.notes
    assert (note.failure, note.method, note.warning) == (None, "aperture", NO_FIT)
    own = [one[:1] for one in (*(np.array(axis) for axis in place[:2]),)]
    light = scene_image(PRF, WINDOW, *own, flux_of(np.array([11.0]), PRF.zeropoint))
    bright = [np.array(axis[1:]) for axis in place[:2]]
    light += scene_image(PRF, WINDOW, *bright, flux_of(np.array([5.5]), PRF.zeropoint))
    np.testing.assert_allclose(found.flux[0], light[16, 20:23].sum(), rtol=1e-3)
    for number, other in enumerate(
        ({"is_automatic": False}, {"mask": np.ones((5, 5), dtype=bool)})
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        kept = {"mask": beyond, "is_automatic": True} | other
        found = measured(folder, *place, full=trail, **kept)
        assert (found.notes[0].failure, found.notes[0].method) == (UNDER_CHARGE, None)


def test_a_star_beside_the_trail_of_another_is(tmp_path):
    trail = slice(6, 34), slice(20, 23)
    found = measured(tmp_path, [18.3, 30.2], [26.2, 21.0], [11.0, 5.5], full=trail)
    assert found.notes[0].failure is None
    assert found.notes[0].header["PSF_FRAC"][0] > 0.6


def test_a_star_that_fills_pixels_itself_is_measured_with_a_warning(tmp_path):
    full = slice(17, 20), slice(20, 22)
    note = measured(tmp_path, [18.3], [20.6], [6.5], full=full).notes[0]
    assert note.failure is None
    assert note.header["PSF_FRAC"][0] < 0.2
    assert note.warning == SATURATED_FIT


@pytest.mark.parametrize(("row", "column"), [(-0.45, 21.3), (18.2, 49.4), (-0.45, -0.45)])
def test_a_star_at_the_edge_of_the_ccd_is_measured(tmp_path, row, column):
    found = measured(tmp_path, [row], [column], [11.0])
    assert found.notes[0].failure is None
    assert found.notes[0].warning is None
    np.testing.assert_allclose(found.flux[0], flux_of(11.0, PRF.zeropoint), rtol=0.01)


def test_what_the_images_lack_of_a_star_is_said_by_its_light_curve(tmp_path):
    """The fit of the average image keeps fluxes above zero: a light curve below it shows none."""
    expected = flux_of(np.array([13.0]), PRF.zeropoint)
    lacking = -1.5 * scene_image(PRF, WINDOW, np.array([18.3]), np.array([21.4]), expected)
    found = measured(tmp_path, [18.3], [21.4], [13.0], change=lacking)
    assert np.median(found.flux[0]) < 0
    assert found.notes[0].warning == FAINT_FIT
    whole = measured(tmp_path, [18.3], [21.4], [13.0])
    assert whole.notes[0].warning is None


def test_a_star_in_the_light_of_a_far_brighter_one_is_blended(tmp_path):
    note = measured(tmp_path, [18.3, 18.9], [21.4, 22.4], [15.5, 8.5]).notes[0]
    assert note.header["PSF_CROW"][0] < 0.01
    assert BLENDED_FIT in note.warning
    far = measured(tmp_path, [18.3, 18.9], [21.4, 32.4], [15.5, 8.5]).notes[0]
    assert far.warning is None


def test_all_that_is_to_be_said_is(tmp_path):
    expected = flux_of(np.array([15.5]), PRF.zeropoint)
    lacking = -2 * scene_image(PRF, WINDOW, np.array([18.3]), np.array([21.4]), expected)
    note = measured(tmp_path, [18.3, 18.9], [21.4, 22.4], [15.5, 8.5], change=lacking).notes[0]
    assert note.warning == f"{BLENDED_FIT} {FAINT_FIT}"


def test_a_star_that_the_catalog_lacks_is_named_and_no_other_is_measured():
    row = np.array([4.0, 9.0, 2.0])
    stars = KnownStars(np.array([3, 5, 9]), row, row, row, row)
    np.testing.assert_array_equal(stars.index_of(np.array([9, 3])), [2, 0])
    np.testing.assert_array_equal(stars.index_of(np.array([9]), np.array([1, 2])), [1])
    for missing in (4, 12):
        with pytest.raises(InputDataError, match=f"TIC {missing}: no such star"):
            stars.index_of(np.array([3, missing]))
    with pytest.raises(InputDataError, match="TIC 3: no such star"):
        stars.index_of(np.array([3]), np.array([1, 2]))


def test_a_saturated_source_of_which_a_part_is_seen_is_fitted_there(tmp_path):
    """Its position is beyond the edge; at the visible middle it still stands for its wings."""
    row, column, tmag = np.array([35.2, 41.0]), np.array([25.3, 21.0]), np.array([13.0, 5.0])
    image = scene_image(PRF, WINDOW, row, column, flux_of(tmag, PRF.zeropoint))
    image[27:, 20:23] = np.maximum(image[27:, 20:23], FULL_WELL_RATE)
    known = pd.DataFrame({"tic_id": [3, -1], "row": [35.2, 33.0], "column": [25.3, 21.0]})
    known = known.assign(tmag=[13.0, 4.1])
    light = ApertureLight(1.0, 1.0, np.zeros(5))
    aperture = Aperture(Window(34, 37, 24, 27), np.ones((3, 3), dtype=bool), light=light)
    images = np.repeat(image[None], N_IMAGES, axis=0).astype(np.float32)
    off = []
    for number, neighbors in enumerate((known, known.iloc[:1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        targets = StarList(known.iloc[:1], [aperture], neighbors, PRF)
        with open_cube(folder, WINDOW, images, sky_error=0.1, average_image=image) as cube:
            fitted = measure_linpsf(cube, targets, None, PhotometrySettings())
        off.append(abs(np.median(fitted.flux[0]) / flux_of(13.0, PRF.zeropoint) - 1))
    assert off[0] < 0.005
    assert off[1] > 0.1  # without it


def test_a_star_that_moves_over_the_edge_of_its_stamp_has_errors(tmp_path):
    """In the mean it is 0.505 pixels beside the first column: 0.005 off all pixels there are."""
    outer, stamp, beside = Window(0, 30, 12, 40), Window(8, 19, 12, 23), Window(0, 30, 33, 40)
    known = pd.DataFrame({"tic_id": [3], "row": [13.2], "column": [11.505], "tmag": [9.0]})
    place = known["row"].to_numpy(), known["column"].to_numpy() - 0.01
    light = scene_image(PRF, outer, *place, flux_of(np.array([9.0]), PRF.zeropoint))
    flux = np.full((4, *outer.shape), np.nan)
    for window in (stamp, beside):
        rows, columns = window.slices_in(outer)
        flux[:, rows, columns] = light[rows, columns]
    box = Aperture(Window(12, 15, 12, 14), np.ones((3, 2), bool))
    box = replace(box, light=ApertureLight(1.0, 0.4, np.zeros(5)))
    motion = np.tile([0.0, 0, 0, -0.01, 0, 0], (4, 1))
    more = {"sky_error": 0.3, "flux_err": 2.0, "motion": motion}
    with open_cube(tmp_path, outer, flux, patches=Patches.of([stamp, beside]), **more) as cube:
        found = measure_linpsf(cube, StarList(known, [box], known, PRF), None, PhotometrySettings())
    assert found.notes[0].failure is None
    np.testing.assert_allclose(found.flux / flux_of(9.0, PRF.zeropoint), 1.0, rtol=0.01)
    assert np.isfinite(found.flux_err).all()
