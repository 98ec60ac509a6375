"""Quality of points: image bits reach all stars, pixel bits and stray light their own star."""

import numpy as np
import pytest

from tessphot_lib.core.flags import CadenceFlag, LightCurveFlag, PixelFlag, is_bad_for_all_stars
from tessphot_lib.quality.light_curve_flags import (
    has_straylight_at_star,
    star_pixel_quality,
    star_quality,
)

N_STARS, N_CADENCES = 3, 10
BAD = LightCurveFlag.FLAGGED_BAD


def quality(cadence=None, pixels=None, flux=None, sky=None, **settings):
    """Quality of quiet stars with some points changed: ``{index: value}``."""
    arrays = {
        "cadence_quality": np.zeros(N_CADENCES, dtype=np.int32),
        "pixel_flags": np.zeros((N_STARS, N_CADENCES), dtype=np.uint8),
        "flux": np.full((N_STARS, N_CADENCES), 100.0),
        "sky": np.repeat([[80.0], [160.0], [0.01]], N_CADENCES, axis=1),
    }
    for array, changes in zip(arrays.values(), (cadence, pixels, flux, sky), strict=True):
        for index, value in (changes or {}).items():
            array[index] = value
    before = {name: array.copy() for name, array in arrays.items()}
    result = star_quality(**arrays, **({"bad_quality": 32, "straylight_factor": 5.0} | settings))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])
    return result


def test_quiet_stars_are_good():
    result = quality()
    assert result.dtype == np.int32
    assert not result.any()


def test_bits_of_images_reach_all_stars():
    dump, weak, own = CadenceFlag.MOMENTUM_DUMP, CadenceFlag.IMPULSIVE_OUTLIER, CadenceFlag.NO_DATA
    manual = CadenceFlag.MANUAL_EXCLUDE
    result = quality(cadence={2: dump, 4: weak, 5: own | weak, 7: manual})
    expected = np.zeros(N_CADENCES, dtype=int)
    expected[[2, 5]] = BAD
    expected[7] = LightCurveFlag.MANUAL_EXCLUDE
    np.testing.assert_array_equal(result, np.tile(expected, (N_STARS, 1)))
    assert (quality(cadence={4: weak}, bad_quality=int(weak))[:, 4] == BAD).all()


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        (PixelFlag.SATURATED, 0),
        (PixelFlag.BACKGROUND_ANOMALY, LightCurveFlag.BACKGROUND_ANOMALY),
        (PixelFlag.MANUAL_EXCLUDE, LightCurveFlag.MANUAL_EXCLUDE),
        (PixelFlag.NOT_USED_FOR_BACKGROUND, 0),
    ],
)
def test_bits_of_pixels_reach_their_star_only(pixel, expected):
    result = quality(pixels={(1, 3): pixel})
    assert result[1, 3] == expected
    result[1, 3] = 0
    assert not result.any()


def test_missing_pixels():
    result = quality(flux={(2, 0): np.nan})
    assert result[2, 0] == LightCurveFlag.MISSING_PIXELS
    assert np.count_nonzero(result) == 1


def test_stray_light_is_measured_by_the_star_s_own_quiet_sky():
    # Five times 80 is 400: just over it is too much for star 0, and nothing for star 1.
    result = quality(sky={(0, 6): 401.0, (1, 6): 401.0, (0, 8): 399.0})
    assert result[0, 6] == BAD | LightCurveFlag.STRAYLIGHT
    assert np.count_nonzero(result) == 1
    # A sky of nearly nothing counts as 1 e-/s.
    faint = quality(sky={(2, 1): 4.9, (2, 2): 5.1})
    assert faint[2].tolist().count(0) == N_CADENCES - 1
    assert faint[2, 2] != 0


def test_stray_light_in_a_corner_does_not_cost_all_stars_the_image():
    in_corner = CadenceFlag.STRAYLIGHT_MEASURED
    result = quality(cadence={6: in_corner, 7: in_corner}, sky={(0, 6): 401.0, (1, 7): np.nan})
    assert result[0, 6] == BAD | LightCurveFlag.STRAYLIGHT  # the light is at this star,
    assert result[1, 7] == BAD | LightCurveFlag.STRAYLIGHT  # and may be at this one
    assert np.count_nonzero(result) == 2


def test_other_faults_of_images_are_those_of_all_stars():
    for own in (CadenceFlag.NO_DATA, CadenceFlag.BAD_BACKGROUND, CadenceFlag.COARSE_MEASURED):
        assert (quality(cadence={3: own})[:, 3] == BAD).all()


def test_unknown_sky_is_not_flagged():
    sky = np.full((2, 5), np.nan)
    sky[1, :2] = 100.0
    assert not has_straylight_at_star(sky, 5.0).any()
    assert has_straylight_at_star(np.zeros((0, 5)), 5.0).shape == (0, 5)


def test_a_saturated_star_is_good_and_told_of():
    flags = np.array([0, PixelFlag.SATURATED, PixelFlag.SATURATED | PixelFlag.BACKGROUND_ANOMALY])
    image = np.array([CadenceFlag.MOMENTUM_DUMP, 0, CadenceFlag.MOMENTUM_DUMP])
    full = int(CadenceFlag.SATURATED_STAR)
    good = np.zeros((2, 3), dtype=np.int32)
    assert star_pixel_quality(image, flags, good[0]).tolist() == [32, full, 32 + full]
    nothing = np.zeros((2, 3), dtype=np.uint8)
    assert star_pixel_quality(image, nothing, good).tolist() == [[32, 0, 32]] * 2


def test_findings_are_told_in_bits_of_the_mission_too():
    """As TASOC's corrections leave out a point only by PIXEL_QUALITY & 4335."""
    found = CadenceFlag.TRANSLATED
    coarse, light = CadenceFlag.COARSE_MEASURED, CadenceFlag.STRAYLIGHT_MEASURED
    cases = [
        (0, 0, 0),
        (light, 0, light),  # the light is elsewhere on the CCD
        (light, BAD | LightCurveFlag.STRAYLIGHT, light | 4096 | found),
        (coarse, BAD, coarse | 4 | found),
        (CadenceFlag.BAD_BACKGROUND, BAD, CadenceFlag.BAD_BACKGROUND | 128 | found),
        (0, LightCurveFlag.BACKGROUND_ANOMALY, 128 | found),
        (coarse | light, BAD | LightCurveFlag.STRAYLIGHT, coarse | light | 4096 | 4 | found),
        (32, BAD | LightCurveFlag.STRAYLIGHT, 32),  # the mission's own bit is enough
        (2048, BAD, 2048 | 128 | found),  # by prepare.bad_quality of the user's
    ]
    image, star, expected = np.array(cases, dtype=np.int64).T
    flags = np.zeros((3, len(cases)), dtype=np.uint8)
    result = star_pixel_quality(image, flags, np.stack([star, 0 * star, star]))
    assert result[0].tolist() == result[2].tolist() == expected.tolist()
    assert result[1].tolist() == image.tolist()
    assert result.dtype == np.int32


def test_images_are_bad_for_all_stars_but_not_by_light_on_a_part_of_the_ccd():
    images = [0, CadenceFlag.MOMENTUM_DUMP, CadenceFlag.COARSE_POINT]
    images += [CadenceFlag.NO_DATA, CadenceFlag.STRAYLIGHT_MEASURED, CadenceFlag.COARSE_MEASURED]
    is_bad = is_bad_for_all_stars(np.array(images, dtype=np.int32), CadenceFlag.MOMENTUM_DUMP)
    assert is_bad.tolist() == [False, True, False, True, False, True]
