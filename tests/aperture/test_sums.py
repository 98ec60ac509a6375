"""Sums over apertures, by hand on cubes whose pixels all differ."""

import numpy as np
import pytest

from tessphot_lib.aperture.sums import ApertureMatrix, sum_apertures
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.geometry import Window

REGION = Window(300, 306, 700, 711)  # 6 x 11
N_CADENCES = 4


def aperture(*pixels):
    """Aperture of some science pixels, in the smallest stamp with a margin of one at the end."""
    rows, columns = zip(*pixels, strict=True)
    stamp = Window(min(rows), max(rows) + 1, min(columns), max(columns) + 1)
    mask = np.zeros(stamp.shape, dtype=bool)
    for row, column in pixels:
        mask[row - stamp.row0, column - stamp.column0] = True
    return Aperture(stamp, mask)


def cubes(seed=0):
    rng = np.random.default_rng(seed)
    shape = (N_CADENCES, *REGION.shape)
    flux = rng.uniform(100, 1e4, shape).astype(np.float32)
    flux_err = rng.uniform(1, 20, shape).astype(np.float32)
    background = rng.uniform(50, 60, shape)
    return flux, flux_err, background, np.zeros(shape, dtype=np.uint8)


APERTURES = [
    aperture((301, 703), (301, 704), (302, 704)),
    aperture((305, 710)),
    aperture((300, 700), (303, 702), (303, 703), (304, 708)),
    aperture((301, 704), (302, 705)),  # shares a pixel with the first
]


def measure(apertures, arrays):
    return sum_apertures(*arrays, ApertureMatrix.over(REGION, apertures))


def test_sums_by_hand():
    arrays = cubes()
    flux, flux_err, background, _ = (values.astype(float) for values in arrays)
    sums = measure(APERTURES, arrays)
    net = flux - background
    for k in range(N_CADENCES):
        a, b, c = net[k, 1, 3], net[k, 1, 4], net[k, 2, 4]
        assert sums.flux[0, k] == pytest.approx(a + b + c, rel=1e-12)
        variance = flux_err[k, 1, 3] ** 2 + flux_err[k, 1, 4] ** 2 + flux_err[k, 2, 4] ** 2
        assert sums.flux_err[0, k] == pytest.approx(np.sqrt(variance), rel=1e-12)
        sky = background[k, 1, 3] + background[k, 1, 4] + background[k, 2, 4]
        assert sums.background[0, k] == pytest.approx(sky, rel=1e-12)
        centroid = (301 * (a + b) + 302 * c) / (a + b + c)
        assert sums.centroid_row[0, k] == pytest.approx(centroid, rel=1e-12)
        centroid = (703 * a + 704 * (b + c)) / (a + b + c)
        assert sums.centroid_column[0, k] == pytest.approx(centroid, rel=1e-12)
        assert sums.flux[1, k] == pytest.approx(net[k, 5, 10], rel=1e-12)
        assert (sums.centroid_row[1, k], sums.centroid_column[1, k]) == pytest.approx((305, 710))
        assert sums.flux[3, k] == pytest.approx(net[k, 1, 4] + net[k, 2, 5], rel=1e-12)


def test_missing_pixel_costs_its_stars_that_cadence_only():
    arrays = cubes()
    whole = measure(APERTURES, arrays)
    arrays[0][2, 2, 4] = np.nan  # (302, 704) of the first
    arrays[1][2, 2, 4] = np.nan
    sums = measure(APERTURES, arrays)
    lost = np.zeros((len(APERTURES), N_CADENCES), dtype=bool)
    lost[0, 2] = True
    for name in ("flux", "flux_err", "centroid_row", "centroid_column"):
        np.testing.assert_array_equal(np.isnan(getattr(sums, name)), lost)
        np.testing.assert_array_equal(getattr(sums, name)[~lost], getattr(whole, name)[~lost])


def test_alone_or_with_others_the_same_to_the_last_bit():
    rng = np.random.default_rng(3)
    region = Window(100, 160, 200, 290)
    many = []
    for _ in range(70):
        row0, column0 = rng.integers(100, 150), rng.integers(200, 278)
        mask = rng.random((9, 11)) < 0.6
        many.append(Aperture(Window(row0, row0 + 9, column0, column0 + 11), mask))
    shape = (5, *region.shape)
    arrays = (
        rng.uniform(0, 1e5, shape).astype(np.float32),
        rng.uniform(1, 9, shape).astype(np.float32),
        rng.uniform(50, 3000, shape),
        rng.integers(0, 32, shape).astype(np.uint8),
    )
    together = sum_apertures(*arrays, ApertureMatrix.over(region, many))
    for index in (0, 13, 69):
        # ... and from a region cut tightly around it, as another tile would be
        stamp = many[index].window
        cut = tuple(values[:, *stamp.slices_in(region)] for values in arrays)
        for alone in (
            sum_apertures(*arrays, ApertureMatrix.over(region, [many[index]])),
            sum_apertures(*cut, ApertureMatrix.over(stamp, [many[index]])),
        ):
            for name, values in vars(together).items():
                np.testing.assert_array_equal(getattr(alone, name)[0], values[index], name)
    backwards = sum_apertures(*arrays, ApertureMatrix.over(region, many[::-1]))
    np.testing.assert_array_equal(backwards.flux[::-1], together.flux)


def test_flags_of_any_pixel():
    arrays = cubes()
    flags = arrays[3]
    flags[0, 1, 3], flags[0, 2, 4] = 8, 2
    flags[2, 1, 4] = 4
    flags[3, 0, 1] = 31  # in no aperture
    expected = np.zeros((4, N_CADENCES), dtype=np.uint8)
    expected[0, 0], expected[0, 2], expected[3, 2] = 10, 4, 4
    sums = measure(APERTURES, arrays)
    np.testing.assert_array_equal(sums.pixel_flags, expected)
    assert sums.pixel_flags.dtype == np.uint8


def test_no_centroid_without_light():
    arrays = cubes()
    arrays[0][1] = 10.0  # below the sky
    sums = measure(APERTURES, arrays)
    assert (sums.flux[:, 1] < 0).all()
    assert np.isnan(sums.centroid_row[:, 1]).all()
    assert np.isnan(sums.centroid_column[:, 1]).all()
    assert np.isfinite(sums.centroid_row[:, [0, 2, 3]]).all()


def test_star_without_pixels_and_no_stars():
    empty = Aperture(Window(301, 303, 701, 704), np.zeros((2, 3), dtype=bool))
    sums = measure([APERTURES[0], empty, APERTURES[1]], cubes())
    assert (sums.flux[1] == 0).all()
    assert (sums.flux_err[1] == 0).all()
    assert np.isnan(sums.centroid_row[1]).all()
    np.testing.assert_array_equal(sums.flux[2], measure([APERTURES[1]], cubes()).flux[0])
    assert measure([], cubes()).flux.shape == (0, N_CADENCES)


def test_inputs_are_left_as_they_were():
    arrays, before = cubes(), cubes()
    measure(APERTURES, arrays)
    for values, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(values, copy)


def test_aperture_must_lie_in_the_region():
    with pytest.raises(ValueError, match=r"leaves the region \[300, 306, 700, 711\]"):
        ApertureMatrix.over(REGION, [aperture((305, 711))])
