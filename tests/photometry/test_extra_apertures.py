"""Fluxes in further apertures, of stars whose light is known."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import ApertureSettings, PhotometrySettings
from tessphot_lib.photometry import extra_apertures
from tessphot_lib.photometry.extra_apertures import measure_extra_apertures
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(300, 340, 400, 452)  # not square
SKY = np.array([50.0, 80.0, 65.0, 60.0])
RADII = [1.5, 2.5, 3.5]
PRF = generic_prf()
# A star with a neighbor 2.6 pixels away, one by itself, and one at the edge of the data.
ROW = np.array([312.3, 313.9, 325.0, 301.2])
COLUMN = np.array([409.8, 411.9, 437.4, 444.0])
TMAG = np.array([11.0, 11.7, 12.0, 12.0])
FLUX = flux_of(TMAG, PRF.zeropoint)
D_ROW, D_COLUMN = np.array([0.0, 0.06, -0.05, 0.0]), np.array([0.0, -0.04, 0.05, 0.0])


def stars():
    table = pd.DataFrame({"tic_id": [7, 5, 9, 3], "row": ROW, "column": COLUMN, "tmag": TMAG})
    table["method"] = "aperture"
    return StarList(table, [Aperture.whole(Window(310, 315, 408, 412))] * 4, table, PRF)


@pytest.fixture
def cube(tmp_path):
    """Images in which the stars move, and the third is fainter in the last."""
    images = []
    for index in range(4):
        flux = FLUX * np.array([1, 1, 0.9 if index == 3 else 1, 1])
        moved = ROW + D_ROW[index], COLUMN + D_COLUMN[index]
        images.append(SKY[index] + scene_image(PRF, WINDOW, *moved, flux))
    motion = np.zeros((4, 6))
    motion[:, 0], motion[:, 3] = D_ROW, D_COLUMN
    with open_cube(
        tmp_path,
        WINDOW,
        np.array(images),
        flux_err=np.full((4, *WINDOW.shape), 3.0),
        sky=SKY,
        sky_error=0.1,
        motion=motion,
        average_image=scene_image(PRF, WINDOW, ROW, COLUMN, FLUX),
    ) as made:
        yield made


def measured(cube, tile=None, members=(0, 1, 2, 3), **aperture):
    settings = PhotometrySettings(extra_apertures=RADII, aperture=ApertureSettings(**aperture))
    return measure_extra_apertures(cube, stars().take(list(members)), tile, settings)


def test_the_whole_flux_of_each_star_follows_from_each_aperture(cube):
    found = measured(cube)
    assert found.flux.shape == found.flux_err.shape == (4, 3, 4)
    assert (np.diff(found.flfrcsap[:3], axis=1) > 0.02).all()
    assert (np.diff(found.crowdsap[:2], axis=1) < -0.02).all()
    assert (found.crowdsap[2] > 0.995).all()
    for star in (0, 1, 2):
        for number in range(3):
            flux = found.flux[star, number, :3]
            dilution = (1 - found.crowdsap[star, number]) * flux
            whole = (flux - dilution) / found.flfrcsap[star, number]
            np.testing.assert_allclose(whole, FLUX[star], rtol=3e-3)
    # What a star loses, it loses in all of them.
    change = found.flux[2, :, 3] / found.flux[2, :, 0]
    np.testing.assert_allclose(change, 0.9, rtol=2e-3)


def test_what_motion_carries_over_the_edge_is_put_back(cube):
    bare = measured(cube, motion_correction=False)
    found = measured(cube)

    def scatter(fluxes):
        return np.ptp(fluxes.flux[0, :, :3], axis=1) / FLUX[0]

    assert (scatter(bare)[:2] > 0.002).all()
    assert (scatter(found) < 0.35 * scatter(bare)).all()


def test_a_star_that_is_listed_far_too_bright_does_not_move_more_light_than_there_is(cube):
    listed = stars()
    listed.neighbors.loc[2, "tmag"] -= 3.0
    bare = measured(cube, motion_correction=False).flux[2, :, :3]
    found = measure_extra_apertures(
        cube, listed.take([2]), None, PhotometrySettings(extra_apertures=RADII)
    ).flux[0, :, :3]
    assert (np.ptp(found, axis=1) < 0.5 * np.ptp(bare, axis=1)).all()


def test_light_of_listed_stars_is_not_taken_for_that_of_others(cube, monkeypatch):
    """Slopes by differences of pixels are not those of the PRF: 1 % of a star's flux per pixel."""
    left = []

    def instead(cube, flux, moved, motion, unexplained, *, is_corrected):
        left.append(unexplained[0])
        return flux, np.zeros(flux.shape)

    monkeypatch.setattr(extra_apertures, "correct_for_motion", instead)
    measured(cube)
    assert len(left) == 10  # all circles that are on the data
    assert np.abs(left).max() < 2e-3 * FLUX.max()


def test_light_of_unknown_stars_moves_too(tmp_path):
    """As for other apertures: a star that no list has is at the edge of the circle."""
    rng = np.random.default_rng(3)
    moves = rng.normal(0, 0.02, (150, 2))
    target, unknown = (320.3, 420.4), (322.6, 421.9)
    row, column = (np.array(axis) for axis in zip(target, unknown, strict=True))
    flux = np.array([3000.0, 1500.0])
    images = [scene_image(PRF, WINDOW, row + r, column + c, flux) for r, c in moves]
    motion = np.zeros((150, 6))
    motion[:, [0, 3]] = moves
    table = pd.DataFrame({"tic_id": [7], "row": row[:1], "column": column[:1]})
    table = table.assign(tmag=PRF.zeropoint - 2.5 * np.log10(flux[0]), method="aperture")
    targets = StarList(table, [Aperture.whole(Window(310, 315, 408, 412))], table, PRF)
    scatter = []
    with open_cube(tmp_path, WINDOW, np.array(images), motion=motion) as cube:
        for is_corrected in (True, False):
            aperture = ApertureSettings(motion_correction=is_corrected)
            settings = PhotometrySettings(extra_apertures=[2.5], aperture=aperture)
            found = measure_extra_apertures(cube, targets, None, settings)
            scatter.append(np.std(found.flux[0, 0]))
    assert scatter[0] < 0.1 * scatter[1]


def test_a_circle_over_the_edge_of_the_data_is_unknown(cube):
    found = measured(cube)
    assert np.isfinite(found.flux[3, 0]).all()  # 1.5 pixels around row 301.2
    assert np.isnan(found.flux[3, 1:]).all()
    assert np.isnan(found.crowdsap[3, 1:]).all()


def test_errors_are_those_of_weighted_pixels_and_of_the_sky(cube):
    from tessphot_lib.aperture.circles import circle_weights

    error = measured(cube, motion_correction=False).flux_err[2]
    for number, radius in enumerate(RADII):
        weights = circle_weights(WINDOW, ROW[2], COLUMN[2], radius)
        expected = np.hypot(3.0 * np.sqrt((weights**2).sum()), 0.1 * np.pi * radius**2)
        np.testing.assert_allclose(error[number], expected, rtol=0.01)


def test_tile_and_other_stars_make_no_difference(cube):
    alone, together = measured(cube), measured(cube, tile=Window(304, 336, 404, 448))
    some = measured(cube, members=(2, 0))
    for name in ("flux", "flux_err", "crowdsap", "flfrcsap"):
        expected = getattr(together, name)
        np.testing.assert_allclose(getattr(alone, name), expected, rtol=1e-9)
        np.testing.assert_allclose(getattr(some, name), expected[[2, 0]], rtol=1e-9)


def test_columns_and_keywords(cube):
    found = measured(cube)
    columns = found.columns(2)
    assert [column.name for column, _ in columns] == [
        *("FLUX_AP1", "FLUX_AP1_ERR", "FLUX_AP2", "FLUX_AP2_ERR", "FLUX_AP3", "FLUX_AP3_ERR")
    ]
    np.testing.assert_array_equal(columns[2][1], found.flux[2, 1])
    np.testing.assert_array_equal(columns[5][1], found.flux_err[2, 2])
    cards = found.cards(0)
    assert cards["AP2_RAD"][0] == 2.5
    assert cards["AP3_CROW"][0] == found.crowdsap[0, 2]
    assert all(len(key) <= 8 and len(comment) <= 47 for key, (_, comment) in cards.items())


def test_none_are_measured_unless_asked_for(cube):
    assert measure_extra_apertures(cube, stars(), None, PhotometrySettings()) is None
