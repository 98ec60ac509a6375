"""Whose light is in an aperture: hand-solved first, then against moved scenes."""

import numpy as np
import pytest

from tessphot_lib.aperture.crowding import (
    KnownLight,
    aperture_light,
    light_moved,
    moved_light_error,
    unexplained_slopes,
    with_unexplained,
)
from tessphot_lib.core.geometry import Window
from tessphot_lib.prf.scene import scene_image
from tests.prf.test_evaluate import lopsided

SHAPE = (4, 6)


def mask_of(*pixels):
    mask = np.zeros(SHAPE, dtype=bool)
    for pixel in pixels:
        mask[pixel] = True
    return mask


def one_pixel(pixel, value):
    image = np.zeros(SHAPE)
    image[pixel] = value
    return image


def test_shares_by_hand():
    target_prf = one_pixel((1, 4), 0.5) + one_pixel((2, 4), 0.25)  # a quarter is elsewhere
    images = np.zeros((6, *SHAPE))
    images[0] = 100 * target_prf + one_pixel((1, 4), 30.0) + one_pixel((3, 0), 1e4)
    images[1], images[5] = one_pixel((2, 4), 7.0), one_pixel((1, 4), -2.0)
    both = aperture_light(mask_of((1, 4), (2, 4)), target_prf, 100.0, images)
    assert both.flfrcsap == 0.75
    assert both.crowdsap == pytest.approx(75 / 105)
    assert both.motion.tolist() == [7.0, 0.0, 0.0, 0.0, -2.0]
    one = aperture_light(mask_of((2, 4)), target_prf, 100.0, images)
    assert (one.crowdsap, one.flfrcsap) == (1.0, 0.25)
    full = aperture_light(mask_of((2, 4)), target_prf, 100.0, images, is_saturated=True)
    assert full.motion.tolist() == [0.0] * 5


def test_empty_aperture_holds_nothing():
    light = aperture_light(mask_of(), np.zeros(SHAPE), 100.0, np.zeros((6, *SHAPE)))
    assert np.isnan(light.crowdsap)
    assert light.flfrcsap == 0


def test_shares_are_never_more_than_all():
    # Light of the others that is negative by rounding, and a PRF that sums to a little more.
    target_prf = one_pixel((1, 4), 1.001)
    images = np.zeros((6, *SHAPE))
    images[0] = 100 * target_prf - 0.5
    light = aperture_light(mask_of((1, 4), (2, 4)), target_prf, 100.0, images)
    assert (light.crowdsap, light.flfrcsap) == (1.0, 1.0)
    assert aperture_light(mask_of((1, 4)), -target_prf, 100.0, images).flfrcsap == 0.0


def test_arrays_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"mask is \(4, 6\), the PRF \(6, 4\)"):
        aperture_light(mask_of(), np.zeros((6, 4)), 1.0, np.zeros((6, *SHAPE)))


def test_shares_of_all_stars_add_up_to_one():
    prf, window = lopsided(), Window(300, 330, 400, 420)
    rng = np.random.default_rng(2)
    row, column = rng.uniform(305, 325, 6), rng.uniform(404, 416, 6)
    tmag = rng.uniform(9, 13, 6)
    light = KnownLight.expected(
        prf, window, row, column, tmag, targets=np.arange(6), stamps=[window] * 6
    )
    mask = rng.random(window.shape) < 0.3
    shares = [
        aperture_light(mask, target_prf, flux, light.images).crowdsap
        for target_prf, flux in zip(light.target_prf, light.flux, strict=True)
    ]
    assert sum(shares) == pytest.approx(1, rel=1e-3)


def test_light_of_a_patch_is_drawn_where_it_has_pixels():
    prf, window, patch = lopsided(), Window(300, 330, 400, 420), Window(310, 317, 403, 412)
    rng = np.random.default_rng(3)
    row, column, tmag = rng.uniform(290, 340, 20), rng.uniform(390, 430, 20), rng.uniform(9, 15, 20)
    stars = {"targets": np.array([4]), "stamps": [patch]}
    whole = KnownLight.expected(prf, window, row, column, tmag, **stars)
    light = KnownLight.expected(prf, window, row, column, tmag, **stars, drawn=patch)
    cut = patch.slices_in(window)
    np.testing.assert_allclose(light.images[:, *cut], whole.images[:, *cut], rtol=1e-9, atol=1e-6)
    light.images[:, *cut] = 0.0
    assert not light.images.any()
    np.testing.assert_array_equal(light.target_prf[0], whole.target_prf[0])


def test_moved_light_is_what_a_moved_scene_shows():
    prf, window = lopsided(), Window(300, 330, 400, 420)
    row, column = np.array([312.3, 316.0]), np.array([409.2, 411.4])
    tmag, mask = np.array([10.0, 10.7]), np.zeros(window.shape, dtype=bool)
    mask[10:16, 7:12] = True
    light = KnownLight.expected(
        prf, window, row, column, tmag, targets=np.array([0]), stamps=[window]
    )
    motion = aperture_light(mask, light.target_prf[0], light.flux[0], light.images).motion
    d_row, d_column = np.array([[0.0, 0.05, -0.08, np.nan]]), np.array([[0.0, -0.07, -0.03, 0.1]])
    found = light_moved(motion[None], d_row, d_column)
    flux = 10 ** (0.4 * (prf.zeropoint - tmag))
    scenes = [
        scene_image(prf, window, row + down, column + along, flux)[mask].sum()
        for down, along in zip(d_row[0, :3], d_column[0, :3], strict=True)
    ]
    change = np.array(scenes) - scenes[0]
    assert found[0, 0] == 0
    np.testing.assert_allclose(found[0, 1:3], change[1:], rtol=0.02)
    assert np.isfinite(found[0, 3])


def test_light_that_the_image_does_not_hold_does_not_move():
    """Magnitudes of all stars too bright by 0, 1, 2, 3: the change is that of the real ones."""
    prf, window = lopsided(), Window(300, 330, 400, 420)
    row, column, tmag = np.array([312.3, 316.0]), np.array([409.2, 411.4]), np.array([10.0, 10.7])
    mask = np.zeros(window.shape, dtype=bool)
    mask[10:16, 7:12] = True
    flux = 10 ** (0.4 * (prf.zeropoint - tmag))
    held = float(scene_image(prf, window, row, column, flux)[mask].sum())
    found = []
    for too_bright in (0.0, 1.0, 2.0, 3.0, -1.0):
        light = KnownLight.expected(
            prf, window, row, column, tmag - too_bright, targets=np.array([0]), stamps=[window]
        )
        images = light.images
        found.append(
            aperture_light(mask, light.target_prf[0], light.flux[0], images, held=held).motion
        )
    np.testing.assert_allclose(found[:4], [found[0]] * 4, rtol=0.01)
    # Light that no star explains may be anywhere.
    np.testing.assert_allclose(found[4], 10**-0.4 * found[0], rtol=0.01)
    assert not aperture_light(mask, light.target_prf[0], 1.0, light.images, held=-5.0).motion.any()


def test_error_of_moved_light():
    motion, nothing = np.array([[3.0, 4.0, 0, 0, 0], [0.0, 0, 9, 9, 9]]), np.zeros((2, 2))
    known = moved_light_error(motion, nothing, np.array([0.01, np.nan]))
    np.testing.assert_allclose(known, [[0.05, 0], [0, 0]])
    # Other light doubles the slopes of the first and is all of those of the second.
    more, rms = np.array([[3.0, 4.0], [5.0, 12.0]]), {"unseen_rms": 0.02, "seen_rms": 0.1}
    found = moved_light_error(motion, more, np.array([0.01, np.nan]), **rms)
    constant = np.hypot([0.2, 0.26], [0.5, 1.3])
    np.testing.assert_allclose(found[:, 1], constant)
    np.testing.assert_allclose(found[:, 0], np.hypot(constant, [0.05, 0]))


def test_unexplained_light_moves_as_a_shifted_image_does():
    rows, columns = np.indices((14, 17))

    def image(down, along, flux):
        return flux * np.exp(-((rows - 6.3 - down) ** 2) / 2.4 - (columns - 9.1 - along) ** 2 / 3.1)

    mask = np.zeros(rows.shape, dtype=bool)
    mask[6:9, 7:10] = True  # the star is not in the middle of it
    known = 3.0 * columns + image(0, 0, 300.0)
    found = unexplained_slopes(known + image(0, 0, 900.0), known, mask)
    change = [
        (image(1e-3, 0, 900) - image(-1e-3, 0, 900))[mask].sum() / 2e-3,
        (image(0, 1e-3, 900) - image(0, -1e-3, 900))[mask].sum() / 2e-3,
    ]
    np.testing.assert_allclose(found, change, rtol=0.05)
    np.testing.assert_array_equal(unexplained_slopes(known, known, mask), 0)


def test_light_of_unknown_stars_is_corrected_for_but_not_that_of_saturated_ones():
    motion = np.array([[3.0, -2.0, 0.5, 0.1, 0.2], [0.0] * 5])
    unexplained = np.array([[10.0, 1.0], [40.0, 2.0]])
    error = np.array([[4.0, 0.4], [7.0, 7.0]])
    whole, uncertain = with_unexplained(motion, unexplained, error)
    np.testing.assert_allclose(whole, [[13.0, -1.0, 0.5, 0.1, 0.2], [0.0] * 5])
    np.testing.assert_allclose(uncertain, [[4.0, 0.4], [40.0, 2.0]])
    np.testing.assert_array_equal(motion[0, :2], [3.0, -2.0])
