"""Apertures: every pixel to one star, whatever else is on the list."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes
from star_images import gaussian_star

from tessphot_lib.aperture.assignment import claim_bleeds, pixel_owners
from tessphot_lib.aperture.crowding import KnownLight, unexplained_slopes
from tessphot_lib.aperture.selection import (
    _best_pixels,
    _without_holes,
    aperture_flags,
    edge_flux,
    find_apertures,
)
from tessphot_lib.aperture.sizes import reach, stamp_window, stamp_windows
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.sky_noise import sky_noise
from tessphot_lib.core.slopes import SLOPE_REACH
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(500, 580, 900, 1020)
SIGMA = 0.9  # [pixels] of the stars
NOISE = 1.0  # [e-/s]


def flux_of(tmag):
    return 10 ** (0.4 * (20.44 - np.asarray(tmag, dtype=float)))


def sky_with(row, column, tmag, seed=0):
    """Average image of some stars."""
    image = np.random.default_rng(seed).normal(0, NOISE, WINDOW.shape)
    for at_row, at_column, flux in zip(row, column, flux_of(tmag), strict=True):
        image += gaussian_star(WINDOW, at_row, at_column, flux, SIGMA)
    return image


def apertures_of(image, row, column, tmag, measured=None, **settings):
    row, column, tmag = (np.array(values, dtype=float) for values in (row, column, tmag))
    settings = {"threshold": 3.0, "min_pixels": 4, "max_radius": 13.0} | settings
    return find_apertures(
        image,
        WINDOW,
        row,
        column,
        tmag,
        measured=np.arange(len(row)) if measured is None else np.array(measured),
        sky=~star_mask(WINDOW, row, column, tmag),
        **settings,
    )


def pixels(aperture):
    """Science pixels of an aperture as a set of (row, column)."""
    rows, columns = np.nonzero(aperture.mask)
    return set(
        zip(
            (rows + aperture.window.row0).tolist(),
            (columns + aperture.window.column0).tolist(),
            strict=True,
        )
    )


def crowd(n_stars=60, seed=1):
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(500, 579, n_stars), rng.uniform(900, 1019, n_stars)
    return row, column, rng.uniform(8, 14.5, n_stars)


def test_lone_star_has_the_pixels_that_stand_out():
    row, column, tmag = [530.3], [947.8], [11.0]
    (aperture,) = apertures_of(sky_with(row, column, tmag), row, column, tmag)
    assert not aperture.is_minimum
    peak = flux_of(11.0) / (2 * np.pi * SIGMA**2)
    radius = SIGMA * np.sqrt(2 * np.log(peak / (3 * NOISE)))
    found = pixels(aperture)
    for at_row in range(500, 580):
        for at_column in range(900, 1020):
            distance = np.hypot(at_row - 530.3, at_column - 947.8)
            if distance < radius - 0.4:
                assert (at_row, at_column) in found
            elif distance > radius + 1.5:
                assert (at_row, at_column) not in found


def test_two_blended_stars_share_no_pixel():
    row, column, tmag = [530.0, 530.0], [940.0, 943.0], [10.0, 10.5]
    bright, faint = apertures_of(sky_with(row, column, tmag), row, column, tmag)
    assert not bright.is_minimum
    assert not faint.is_minimum
    assert pixels(bright).isdisjoint(pixels(faint))
    assert {(530, 940), (530, 941), (531, 940), (530, 938)} <= pixels(bright)
    assert {(530, 943), (531, 943), (530, 945)} <= pixels(faint)


@pytest.mark.parametrize("seed", range(4))
def test_significant_apertures_never_overlap_in_a_crowd(seed):
    row, column, tmag = crowd(seed=seed)
    apertures = apertures_of(sky_with(row, column, tmag), row, column, tmag)
    taken = [
        pixel for aperture in apertures if not aperture.is_minimum for pixel in pixels(aperture)
    ]
    assert len(taken) > 300
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_stars_does_not_matter(seed):
    row, column, tmag = crowd(seed=seed)
    tmag[5] = tmag[6]  # equals, too
    image = sky_with(row, column, tmag)
    expected = apertures_of(image, row, column, tmag)
    order = np.random.default_rng(seed).permutation(len(row))
    shuffled = apertures_of(image, row[order], column[order], tmag[order])
    for index, aperture in zip(order, shuffled, strict=True):
        assert pixels(aperture) == pixels(expected[index])
        assert aperture.window == expected[index].window


def test_who_else_is_measured_does_not_matter():
    row, column, tmag = crowd()
    image = sky_with(row, column, tmag)
    everyone = apertures_of(image, row, column, tmag)
    some = apertures_of(image, row, column, tmag, measured=[40, 3, 17])
    assert [pixels(one) for one in some] == [pixels(everyone[index]) for index in (40, 3, 17)]


def test_faint_star_gets_the_pixels_around_it():
    row, column, tmag = [530.4, 560.6], [940.6, 990.4], [17.5, 8.0]
    faint, bright = apertures_of(sky_with([560.6], [990.4], [8.0]), row, column, tmag)
    assert faint.is_minimum
    assert pixels(faint) == {(r, c) for r in (529, 530, 531) for c in (940, 941, 942)}
    assert not bright.is_minimum


def test_faint_star_beside_a_bright_one_does_not_take_its_light():
    row, column, tmag = [540.0, 540.0], [950.0, 953.0], [8.0, 13.5]
    bright, faint = apertures_of(sky_with(row, column, tmag), row, column, tmag)
    assert (540, 952) in pixels(bright)
    assert faint.is_minimum or pixels(bright).isdisjoint(pixels(faint))


@pytest.mark.parametrize(
    ("row", "column"),
    [(500.0, 960.0), (579.4, 960.0), (540.0, 899.6), (540.0, 1019.3), (499.7, 1019.4)],
)
def test_star_on_the_border(row, column):
    (aperture,) = apertures_of(sky_with([row], [column], [10.0]), [row], [column], [10.0])
    assert not aperture.is_minimum
    assert aperture.window.intersect(WINDOW) == aperture.window
    assert (round(row), round(column)) in pixels(aperture)
    assert len(pixels(aperture)) >= 5
    (faint,) = apertures_of(sky_with([], [], []), [row], [column], [17.0])
    assert faint.is_minimum
    assert len(pixels(faint)) in (4, 6)


def test_pixels_without_data_are_in_no_aperture():
    row, column, tmag = [530.0, 560.0, 545.0], [940.0, 990.0, 1000.0], [9.0, 17.5, 10.0]
    image = sky_with(row[:1], column[:1], tmag[:1])
    holes = [(530, 940), (531, 942), (560, 991)]
    for hole in holes:
        image[hole[0] - 500, hole[1] - 900] = np.nan
    image[40:50, 90:] = np.nan  # all around the third
    bright, faint, blind = apertures_of(image, row, column, tmag)
    assert pixels(bright).isdisjoint(holes)
    assert (530, 941) in pixels(bright)
    assert len(pixels(faint)) == 8
    assert pixels(blind) == set()


def test_dark_pixel_amid_an_aperture_belongs_to_it():
    row, column, tmag = [530.0], [940.0], [9.0]
    image = sky_with(row, column, tmag)
    image[31, 39] = image[31, 40] = -5.0  # (531, 939), (531, 940): seen, but without light
    (aperture,) = apertures_of(image, row, column, tmag)
    assert {(531, 939), (531, 940), (532, 939), (530, 940)} <= pixels(aperture)
    image[31, 40] = np.nan
    (aperture,) = apertures_of(image, row, column, tmag)
    assert (531, 940) not in pixels(aperture)
    assert (531, 939) in pixels(aperture)


def test_light_that_hangs_not_together_with_the_star_is_not_its():
    row, column, tmag = [530.0], [940.0], [9.0]
    image = sky_with(row, column, tmag)
    image[30, 44 + 3] += 500.0  # (530, 947): within reach of the star, beyond its light
    assert 6 < 13 * 10 ** (0.1 * (5 - 9.0)) + 2
    (aperture,) = apertures_of(image, row, column, tmag)
    assert (530, 947) not in pixels(aperture)


def test_bleed_column_belongs_to_its_star():
    row, column, tmag = [540.0, 565.0], [950.0, 952.0], [3.5, 11.0]
    image = sky_with(row, column, tmag)
    image[12:70, 50] = 9e4  # rows 512 to 569 of column 950: far beyond the reach of the star
    bright, faint = apertures_of(image, row, column, tmag)
    assert {(r, 950) for r in range(512, 570)} <= pixels(bright)
    assert all(c != 950 for _, c in pixels(faint))
    assert pixels(bright).isdisjoint(pixels(faint))


def optimal_apertures(row, column, tmag, **settings):
    """Apertures for the best signal to noise, on a sky of some noise per image."""
    row, column, tmag = (np.array(values, dtype=float) for values in (row, column, tmag))
    prf = generic_prf()
    image = scene_image(prf, WINDOW, row, column, flux_of(tmag))
    image += np.random.default_rng(0).normal(0, 0.1, WINDOW.shape)
    settings = {"max_radius": 13.0} | settings
    stamps = [
        stamp_window(*star, WINDOW, settings["max_radius"])
        for star in zip(row, column, tmag, strict=True)
    ]
    targets = np.arange(len(row))
    light = KnownLight.expected(prf, WINDOW, row, column, tmag, targets=targets, stamps=stamps)
    noise = np.sqrt(2.0 + 0.1 * light.images[0])
    return apertures_of(image, row, column, tmag, noise=noise, known_light=light, **settings)


def test_optimal_aperture_of_a_faint_star_is_small():
    # Of the same star's pixels: a faint one is lost in the noise where a bright one is not.
    sizes = [
        optimal_apertures([530.3], [947.8], [tmag])[0].mask.sum() for tmag in (9.0, 11.0, 14.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2] >= 5


def test_optimal_aperture_beats_any_pixel_more_or_less():
    (aperture,) = optimal_apertures([530.3], [947.8], [10.0])
    own = (
        10 ** (0.4 * (20.44 - 10.0))
        * prf_stamps(
            generic_prf(),
            np.array([530.3]),
            np.array([947.8]),
            np.array([aperture.window.row0]),
            np.array([aperture.window.column0]),
            aperture.window.shape,
        )[0]
    )

    def signal_to_noise(mask):
        return own[mask].sum() / np.sqrt(np.sum(2.0 + 0.1 * own[mask]))

    best = signal_to_noise(aperture.mask)
    for pixel in np.ndindex(aperture.mask.shape):
        other = aperture.mask.copy()
        other[pixel] = ~other[pixel]
        assert signal_to_noise(other) <= best * (1 + 1e-9)


def test_apertures_know_whose_light_they_hold():
    row, column, tmag = [530.0, 530.0, 560.0], [940.0, 943.0, 1000.0], [10.0, 10.5, 11.0]
    bright, faint, lone = optimal_apertures(row, column, tmag)
    assert lone.light.crowdsap == pytest.approx(1, abs=1e-4)
    assert faint.light.crowdsap < bright.light.crowdsap < 0.995
    assert 0.7 < lone.light.flfrcsap < 1
    # A saturated star's charge does not follow its PRF.
    (full,) = optimal_apertures([540.0], [950.0], [5.0])
    assert (full.light.motion == 0).all()
    assert (bright.light.motion != 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_holes_of_masks_are_filled(seed):
    rng = np.random.default_rng(seed)
    for density in (0.05, 0.3, 0.6, 0.9):
        mask = rng.uniform(0, 1, (7, 11)) < density
        np.testing.assert_array_equal(_without_holes(mask), binary_fill_holes(mask))


@pytest.mark.parametrize("star", [(530.3, 947.8), (501.2, 1018.9)])
def test_slopes_of_unknown_light_are_those_of_the_stamp(star):
    """Beside missing pixels and at the corner of the image, too, where they are one-sided."""
    row, column, tmag = (np.array([value]) for value in (*star, 11.0))
    rng = np.random.default_rng(4)
    prf = generic_prf()
    image = scene_image(prf, WINDOW, row, column, 0.9 * flux_of(tmag))
    image += rng.normal(0, 3.0, WINDOW.shape)
    middle = round(star[0]) - WINDOW.row0, round(star[1]) - WINDOW.column0
    image[middle[0] + 2, middle[1] - 1] = np.nan
    stamp = stamp_window(*star, 11.0, WINDOW, 13.0)
    targets = np.array([0])
    light = KnownLight.expected(prf, WINDOW, row, column, tmag, targets=targets, stamps=[stamp])
    (aperture,) = apertures_of(image, row, column, tmag, known_light=light)
    around = stamp.widened(SLOPE_REACH, WINDOW)
    cut = around.slices_in(WINDOW)
    used = np.zeros(around.shape, dtype=bool)
    used[stamp.slices_in(around)] = aperture.mask
    held = image[stamp.slices_in(WINDOW)][aperture.mask].sum()
    there = held / light.images[0][stamp.slices_in(WINDOW)][aperture.mask].sum()
    assert 0.8 < there < 1
    true = unexplained_slopes(image[cut], there * light.images[0][cut], used)
    assert aperture.light.unexplained == pytest.approx(true, rel=1e-9)


def test_stamps_of_many_stars_are_those_of_each():
    row, column = np.array([530.5, 501.5, 560.2]), np.array([940.2, 1018.5, 921.0])
    tmag = np.array([2.1, 13.3, 6.31])
    stars = list(zip(row, column, tmag, strict=True))
    together = stamp_windows(row, column, tmag, WINDOW, 13.0)
    assert together == [stamp_window(*star, WINDOW, 13.0) for star in stars]


@pytest.mark.parametrize(
    ("place", "tmag", "is_told"),
    [
        ((541.0, 951.0), 9.0, True),
        ((541.2, 950.5), 10.5, True),
        ((540.3, 950.0), 13.5, False),  # less than the star itself
        ((560.0, 950.0), 7.0, False),  # elsewhere
    ],
)
def test_light_of_a_star_that_nobody_knows_is_told(place, tmag, is_told):
    row, column, known = np.array([540.0]), np.array([950.0]), np.array([13.0])
    prf = generic_prf()
    image = scene_image(prf, WINDOW, *np.array([place]).T, flux_of([tmag]))
    image += scene_image(prf, WINDOW, row, column, flux_of(known))
    stamps = [stamp_window(540.0, 950.0, 13.0, WINDOW, 13.0)]
    light = KnownLight.expected(
        prf, WINDOW, row, column, known, targets=np.array([0]), stamps=stamps
    )
    for settings in ({}, {"noise": np.sqrt(100 + image)}):
        (aperture,) = apertures_of(image, row, column, known, known_light=light, **settings)
        assert aperture.has_unknown_light is is_told
    (aperture,) = apertures_of(image, row, column, known)
    assert not aperture.has_unknown_light  # without a PRF nobody can tell


def test_background_that_is_a_little_wrong_is_no_unknown_star():
    """Up to 5 e-/s in each of the 9 pixels of a star that gives them 7 together."""
    row, column, tmag = np.array([540.0]), np.array([950.0]), np.array([18.0])
    stamps = [stamp_window(540.0, 950.0, 18.0, WINDOW, 13.0)]
    light = KnownLight.expected(
        generic_prf(), WINDOW, row, column, tmag, targets=np.array([0]), stamps=stamps
    )
    for level, is_told in ((4.0, False), (7.0, True)):
        (aperture,) = apertures_of(
            light.images[0] + level, row, column, tmag, known_light=light, min_pixels=100
        )
        assert (aperture.is_minimum, aperture.mask.sum()) == (True, 9)
        assert aperture.has_unknown_light is is_told


def test_owner_is_the_star_that_gives_most_light():
    row, column = np.array([540.0, 540.0, np.nan]), np.array([940.0, 944.0, 942.0])
    owner = pixel_owners(WINDOW, row, column, np.array([10.0, 10.0, 1.0]), max_radius=13.0)
    assert owner.shape == WINDOW.shape
    assert owner[40, 41] == 0
    assert owner[40, 43] == 1
    assert owner[0, 0] == -1
    # One magnitude moves the border between the two towards the fainter.
    owner = pixel_owners(WINDOW, row, column, np.array([9.0, 11.0, np.nan]), max_radius=13.0)
    assert owner[40, 42] == 0
    assert set(np.unique(owner)) == {-1, 0, 1}


def test_noise_of_the_sky_is_local():
    rng = np.random.default_rng(0)
    image = rng.normal(5, 1, (100, 200))
    image[:64, :64] = rng.normal(20, 4, (64, 64))
    sky = np.ones(image.shape, dtype=bool)
    sky[:64, 128:192] = False  # nothing to be seen: that of all
    image[:64, 128:192] = 1e6
    image[3, 3] = np.nan
    level, noise = sky_noise(image, sky)
    assert level[10, 10] == pytest.approx(20, abs=0.5)
    assert noise[10, 10] == pytest.approx(4, rel=0.1)
    assert level[80, 80] == pytest.approx(5, abs=0.2)
    assert noise[80, 80] == pytest.approx(1, rel=0.2)
    assert 5 < level[10, 150] < 20


def test_stamp_holds_the_star_and_is_cut_at_the_window():
    assert stamp_window(540.4, 960.6, 12.0, WINDOW, 13.0) == Window(533, 548, 954, 969)
    assert stamp_window(503.0, 1019.0, 12.0, WINDOW, 13.0) == Window(500, 511, 1012, 1020)
    whole = Window()
    sizes = [stamp_window(1000, 900, tmag, whole, 13.0).shape for tmag in (2.1, 4.2, 8.0)]
    assert sizes[0][0] > 147  # rows x columns: bleeding runs along rows
    assert sizes == sorted(sizes, reverse=True)
    assert all(n_rows >= n_columns for n_rows, n_columns in sizes)


APERTURE = Aperture(
    Window(510, 514, 910, 915),
    np.array([[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]], dtype=bool),
)


def test_flags_of_the_aperture_image():
    stamp = Window(510, 512, 510, 515)  # columns of outputs A and B
    mask = np.zeros((2, 5), dtype=bool)
    mask[0, 1] = True
    image, sky = np.ones((2, 5)), np.zeros((2, 5), dtype=bool)
    image[1, 0], sky[1, :2] = np.nan, True
    flags = aperture_flags(Aperture(stamp, mask), image, sky)
    a, b, in_mask = 32, 64, 2 | 8
    assert flags.tolist() == [
        [a | 1, a | 1 | in_mask, b | 1, b | 1, b | 1],
        [a, a | 1 | 4, b | 1, b | 1, b | 1],
    ]
    last = Aperture(Window(0, 1, 1023, 1025), np.zeros((1, 2), dtype=bool))
    outputs = aperture_flags(last, np.ones((1, 2)), np.zeros((1, 2), dtype=bool)) & ~1
    assert outputs.tolist() == [[ApertureFlag.OUTPUT_B, ApertureFlag.OUTPUT_C]]


def test_flux_on_the_edge_of_the_stamp():
    image = np.arange(20.0).reshape(4, 5)
    assert edge_flux(APERTURE, image) == 17.0  # only the pixel in the last row
    image[3, 2] = np.nan
    assert edge_flux(APERTURE, image) == 0.0


def test_reach_and_stamps_by_magnitude():
    assert reach(np.array([5.0, 0.0, 10.0, 14.0]), 13.0) == pytest.approx(
        [13.0, 13 * 10**0.5, 13 / 10**0.5, 3.0]
    )
    everywhere = Window()
    # The trail of Tmag 1.5: 0.4 of the flux in full wells on each side, and 5 pixels; and 24
    # more for the time that it may be brighter.
    trail = int(np.ceil(0.4 * 10 ** (0.4 * (20.44 - 1.5)) / 9e4 + 5 + 24))
    assert trail > 172
    assert stamp_window(1000.2, 900.6, 1.5, everywhere, 13.0).shape[0] == 2 * trail + 1
    assert stamp_window(1000.2, 900.6, 12.0, everywhere, 13.0) == Window(993, 1008, 894, 909)


def test_trail_belongs_to_the_brightest_with_what_lies_beyond_its_ends():
    row, column = np.array([540.0, 552.0]), np.array([950.0, 950.0])
    full = np.zeros(WINDOW.shape, dtype=bool)
    full[20:61, 50] = True  # rows 520 to 560
    for tmag in ([3.5, 5.0], [5.0, 3.5]):
        owner = np.full(WINDOW.shape, -1)
        claim_bleeds(owner, full, WINDOW, row, column, np.array(tmag))
        brighter = int(np.argmin(tmag))
        assert (owner[20:61, 50] == brighter).all()
        assert (owner[16:20, 50] == brighter).all()
        assert (owner[61:65, 50] == brighter).all()
        assert np.count_nonzero(owner != -1) == 41 + 8
    # One that is nearly full does not bleed.
    owner = np.full(WINDOW.shape, -1)
    claim_bleeds(owner, full, WINDOW, row[:1], column[:1], np.array([7.1]))
    assert np.count_nonzero(owner != -1) == 41


def test_scatter_of_the_sky_is_that_of_a_normal_distribution():
    image = 10 + 3 * np.random.default_rng(4).standard_normal((128, 128))
    level, noise = sky_noise(image, np.ones(image.shape, dtype=bool))
    assert level.mean() == pytest.approx(10.0, abs=0.1)
    assert noise.mean() == pytest.approx(3.0, rel=0.03)


def test_best_pixels_by_hand():
    mask = np.ones((1, 4), dtype=bool)
    own = np.array([[100.0, 50.0, 10.0, 1.0]])
    still, noise = np.zeros((2, 1, 4)), np.full((1, 4), 10.0)
    # Signal to noise 10, 150 / sqrt(200) = 10.6, 160 / sqrt(300) = 9.2, …
    assert _best_pixels(mask, own, own, noise, still, 1, 4).tolist() == [[True, True, False, False]]
    assert _best_pixels(mask, own, own, noise, still, 3, 4).sum() == 3  # not fewer than so many
    assert _best_pixels(mask, own, own, noise, still, 1, 1).sum() == 1  # nor more
    # The third pixel takes back what moves out of the second.
    moved = np.zeros((2, 1, 4))
    moved[0, 0] = [0.0, 30.0, -30.0, 0.0]
    assert _best_pixels(mask, own, own, noise, moved, 1, 4).sum() == 1
    moved[0, 0] = [30.0, -25.0, 0.0, 0.0]
    assert _best_pixels(mask, own, own, noise, moved, 1, 4).sum() == 2
    moved[1, 0] = [0.0, 60.0, -60.0, 0.0]
    assert _best_pixels(mask, own, own, noise, moved, 1, 4).sum() == 3


def test_best_pixels_are_not_the_brightest_beside_a_neighbor():
    mask, still = np.ones((1, 3), dtype=bool), np.zeros((2, 1, 3))
    own = np.array([[10.0, 9.0, 8.0]])
    noise = np.array([[20.0, 1.0, 1.0]])
    assert _best_pixels(mask, own, own, noise, still, 1, 3).tolist() == [[False, True, True]]
    # 1 % of the light of a neighbor of 2000 e-/s counts as noise, too.
    light = own + np.array([[2000.0, 0.0, 0.0]])
    noise = np.ones((1, 3))
    assert _best_pixels(mask, own, light, noise, still, 1, 3).tolist() == [[False, True, True]]
    assert _best_pixels(mask, own, own, noise, still, 1, 3).all()


def test_as_many_pixels_as_are_needed_are_enough():
    image = np.zeros(WINDOW.shape)
    image[30, 40:44] = 50.0  # four pixels beside each other stand out
    (aperture,) = apertures_of(image, [530.0], [941.0], [12.0])
    assert (aperture.is_minimum, aperture.mask.sum()) == (False, 4)
    (aperture,) = apertures_of(image, [530.0], [941.0], [12.0], min_pixels=5)
    assert (aperture.is_minimum, aperture.mask.sum()) == (True, 9)


def test_flux_on_the_edge_of_the_stamp_is_that_of_a_cut_aperture():
    """A trail that leaves the stamp: the star's pixels would go on beyond both ends."""
    row, column, tmag = [540.0], [950.0], [4.5]
    image = sky_with(row, column, tmag)
    image[5:75, 50] = 9e4 + np.arange(70)
    (aperture,) = apertures_of(image, row, column, tmag)
    first, last = aperture.window.row0, aperture.window.row1 - 1
    assert 505 < first < 530 < 550 < last < 575
    ends = [image[at_row - 500, 50] for at_row in (first, last)]
    beside = [at for at in pixels(aperture) if at[0] in (first, last) and at[1] != 950]
    expected = sum(ends) + sum(image[at_row - 500, at - 900] for at_row, at in beside)
    assert aperture.cut_flux == pytest.approx(expected)
    assert not aperture.is_limited


def test_flux_beside_missing_pixels_is_that_of_a_cut_aperture():
    row, column, tmag = [530.0], [940.0], [9.0]
    image = sky_with(row, column, tmag)
    (whole,) = apertures_of(image, row, column, tmag)
    assert (whole.is_limited, whole.cut_flux) == (False, 0.0)
    image[:, 42:] = np.nan  # from column 942 on: two beside the star
    (cut,) = apertures_of(image, row, column, tmag)
    assert cut.is_limited
    in_column = [pixel for pixel in pixels(cut) if pixel[1] == 941]
    expected = sum(image[at_row - 500, at_column - 900] for at_row, at_column in in_column)
    assert cut.cut_flux == pytest.approx(expected)


def test_sky_of_other_parts_counts_where_a_part_shows_little():
    """As with small cutouts: ten pixels of sky here, and two hundred of other cutouts."""
    image, sky = np.full((15, 15), 500.0), np.zeros((15, 15), dtype=bool)
    sky[0, :10] = True
    image[0, :10] = 7.0
    elsewhere = np.random.default_rng(0).normal(2.0, 3.0, 2000)
    level, noise = sky_noise(image, sky, elsewhere)
    assert level[7, 7] == pytest.approx(2.0, abs=0.3)
    assert noise[7, 7] == pytest.approx(3.0, rel=0.1)
    level, noise = sky_noise(image, sky)
    assert (level[7, 7], noise[7, 7]) == (7.0, 0.0)
