"""Image motion: injected into a field of rendered stars, and found again."""

import numpy as np
import pytest
from scipy.special import erf

from tessphot_lib.core.affine import affine_from_points, displacement, displacement_in
from tessphot_lib.core.geometry import Window
from tessphot_lib.motion.affine_fit import fit_motion, relative_to
from tessphot_lib.motion.star_positions import (
    measure_positions,
    select_motion_stars,
    without_twins,
)

WINDOW = Window(600, 1000, 100, 700)
PSF_SIGMA = 0.75  # [pixels] FWHM 1.8


def profile(position, centre):
    """Share of a Gaussian in pixels, integrated."""
    low, high = position - 0.5 - centre, position + 0.5 - centre
    return 0.5 * (erf(high / PSF_SIGMA / np.sqrt(2)) - erf(low / PSF_SIGMA / np.sqrt(2)))


def render(window, row, column, flux, noise=0.0, seed=0):
    """Image of stars, 21 x 21 pixels each."""
    image = np.random.default_rng(seed).normal(0, noise, window.shape) if noise else 0.0
    image = image + np.zeros(window.shape)
    offsets = np.arange(-10, 11)
    for at_row, at_column, light in zip(row, column, flux, strict=True):
        rows, columns = round(at_row) + offsets, round(at_column) + offsets
        rows = rows[(rows >= window.row0) & (rows < window.row1)]
        columns = columns[(columns >= window.column0) & (columns < window.column1)]
        stamp = light * profile(rows, at_row)[:, None] * profile(columns, at_column)
        image[np.ix_(rows - window.row0, columns - window.column0)] += stamp
    return image.astype(np.float32)


def field(n_rows=8, n_columns=12, seed=0):
    """Stars far apart, at any phase of the pixels: (row, column, flux)."""
    rng = np.random.default_rng(seed)
    row = np.linspace(WINDOW.row0 + 20, WINDOW.row1 - 20, n_rows)
    column = np.linspace(WINDOW.column0 + 20, WINDOW.column1 - 20, n_columns)
    row, column = (axis.ravel() for axis in np.meshgrid(row, column, indexing="ij"))
    row = row + rng.uniform(-4, 4, row.size)
    column = column + rng.uniform(-4, 4, row.size)
    return row, column, 10 ** rng.uniform(3.0, 4.5, row.size)


def measured_motion(motions, stars, *, noise=0.0, shift=(0.0, 0.0), spoil=None):
    """Render the stars with each motion, measure and fit; the catalog is off by ``shift``."""
    row, column, flux = stars
    d_row, d_column = displacement(np.asarray(motions, dtype=float), row, column)
    measured = []
    for index in range(len(motions)):
        image = render(
            WINDOW, row + d_row[index], column + d_column[index], flux, noise=noise, seed=index
        )
        if spoil is not None:
            spoil(index, image)
        measured.append(positions(image, row + shift[0], column + shift[1]))
    measured_row, measured_column = (np.array(values) for values in zip(*measured, strict=True))
    return fit_motion(measured_row, measured_column, row, column)[:3]


def positions(image, row, column, sky=100.0):
    """Measured positions of stars on a constant sky."""
    return measure_positions(image + sky, WINDOW, row, column, np.full(len(row), sky))


STILL = np.zeros(6)


def with_still_majority(*motions):
    """Motions among images that do not move, so that the median position is theirs."""
    return [STILL] * (len(motions) + 1) + list(motions)


def test_affine_motion_by_hand():
    row, column = np.array([1023.5, 1023.5 + 512, 1023.5]), np.array([1023.5, 1023.5, 1023.5 - 256])
    d_row, d_column = displacement(np.array([[1.0, 2, 4, 10, 20, 40]]), row, column)
    np.testing.assert_allclose(d_row, [[1, 2, 0]])
    np.testing.assert_allclose(d_column, [[10, 20, 0]])


def test_motion_of_points_is_found_again():
    rng = np.random.default_rng(0)
    row, column = rng.uniform(0, 2047, 20), rng.uniform(0, 2047, 20)
    motion = rng.normal(0, 1, 6)
    d_row, d_column = displacement(motion[None], row, column)
    found = affine_from_points(row, column, row + d_row[0], column + d_column[0])
    np.testing.assert_allclose(found, motion, atol=1e-10)
    np.testing.assert_allclose(relative_to(motion, found), 0, atol=1e-10)


@pytest.mark.parametrize("phase", [(0.0, 0.0), (0.3, -0.2), (0.5, 0.5), (-0.4, 0.1)])
def test_position_of_one_star(phase):
    row, column = 700.0 + phase[0], 300.0 + phase[1]
    image = render(WINDOW, [row], [column], [1000.0])
    # The catalog may be off by some tenths of a pixel without moving the result.
    for off in ((0, 0), (0.3, -0.4), (-0.6, 0.2)):
        found = positions(image, np.array([row + off[0]]), np.array([column + off[1]]))
        np.testing.assert_allclose([found[0][0], found[1][0]], [row, column], atol=0.02)


@pytest.mark.parametrize("term", range(6))
@pytest.mark.parametrize("size", [0.04, -0.3])
def test_each_term_is_found_with_sign_and_scale(term, size):
    motion = STILL.copy()
    motion[term] = size
    found, error, n_used = measured_motion(with_still_majority(motion), field())
    np.testing.assert_allclose(found[:2], 0, atol=1e-6)
    assert found[2][term] == pytest.approx(size, rel=0.02)
    np.testing.assert_allclose(np.delete(found[2], term), 0, atol=0.025 * abs(size) + 1e-3)
    assert (n_used >= 90).all()
    assert (error < 0.01).all()


def test_rotation_and_coarse_pointing():
    angle = 2e-4
    rotation = np.array([0.3, 0, -angle * 1024, -0.25, angle * 1024, 0])
    found, *_ = measured_motion(with_still_majority(rotation), field(), noise=1.0)
    assert found[2][2] == pytest.approx(-angle * 1024, rel=0.05)
    assert found[2][4] == pytest.approx(angle * 1024, rel=0.05)
    # What counts is the motion at the stars:
    row, column, _ = field()
    expected, reached = displacement(rotation[None], row, column), displacement(found, row, column)
    np.testing.assert_allclose(reached[0][2], expected[0][0], atol=0.008)
    np.testing.assert_allclose(reached[1][2], expected[1][0], atol=0.008)


def test_catalog_positions_that_are_off_do_not_matter():
    motion = np.array([0.1, 0, 0, -0.2, 0, 0])
    found, *_ = measured_motion(with_still_majority(motion), field(), shift=(0.4, -0.3))
    assert found[2][0] == pytest.approx(0.1, abs=0.004)
    assert found[2][3] == pytest.approx(-0.2, abs=0.004)


def test_error_is_right():
    """Still images with noise: the translations scatter by what their errors say."""
    row, column, flux = field()
    flux = np.full_like(flux, 2000.0)
    centre = np.array([799.5]), np.array([399.5])
    found, error, _ = measured_motion([STILL] * 60, (row, column, flux), noise=20.0)
    d_row, d_column = displacement(found, *centre)
    scatter = np.concatenate([d_row[:, 0], d_column[:, 0]]).std()
    assert scatter == pytest.approx(np.median(error), rel=0.3)
    assert 1e-4 < scatter < 0.01


def test_quiet_stars_count_more_than_restless_ones():
    """30 stars that keep to 10 mpx among 90 that wander by 40: each counts by its own scatter."""
    rng = np.random.default_rng(0)
    row, column = rng.uniform(0, 2047, 120), rng.uniform(0, 2047, 120)
    scatter = np.where(np.arange(120) < 30, 0.01, 0.04)
    off = rng.normal(0, 1, (2, 300, 120)) * scatter
    motion, error, n_used, _ = fit_motion(*off, row, column)
    assert n_used.min() > 100
    best = 1 / np.sqrt(np.sum(1 / scatter**2))
    # At their middle, where three terms cost no more than one.
    weight = 1 / scatter**2
    middle = (np.average(place, weights=weight)[None] for place in (row, column))
    found = np.concatenate(displacement(motion, *middle))
    assert np.sqrt(np.mean(found**2)) == pytest.approx(best, rel=0.2)
    assert np.median(error) == pytest.approx(best, rel=0.2)


def test_images_without_data_have_no_motion():
    motions = with_still_majority(np.array([0.1, 0, 0, 0.2, 0, 0]))

    def spoil(index, image):
        if index == 0:
            image[:] = np.nan

    found, error, n_used = measured_motion(motions, field(), spoil=spoil)
    assert np.isnan(found[0]).all()
    assert np.isnan(error[0])
    assert n_used[0] == 0
    assert found[2][3] - found[1][3] == pytest.approx(0.2, abs=0.004)


def test_missing_pixel_costs_only_its_star():
    row, column, _ = field()

    def spoil(index, image):
        if index == 2:
            image[round(row[17]) - WINDOW.row0, round(column[17]) - WINDOW.column0 + 2] = np.nan

    motions = with_still_majority(np.array([0.1, 0, 0, 0.2, 0, 0]))
    found, _, n_used = measured_motion(motions, field(), spoil=spoil)
    assert n_used[2] < len(row)
    assert found[2][[0, 3]] == pytest.approx([0.1, 0.2], abs=0.004)


def test_variable_neighbors_and_outliers_are_left_out():
    row, column, flux = field()
    motions = with_still_majority(np.array([0.05, 0, 0, -0.05, 0, 0]))

    def spoil(index, image):
        if index == 2:  # an asteroid over three stars
            for star in (3, 40, 77):
                passing = render(WINDOW, [row[star] + 1.5], [column[star]], [0.8 * flux[star]])
                image += passing

    found, _, n_used = measured_motion(motions, field(), spoil=spoil)
    assert found[2][[0, 3]] == pytest.approx([0.05, -0.05], abs=0.003)
    assert n_used[2] <= len(row) - 3


def test_few_stars_give_a_translation():
    row, column, flux = field(2, 2)
    motion = np.array([0.1, 0.0, 0.0, -0.2, 0.0, 0.0])
    found, _, n_used = measured_motion(with_still_majority(motion), (row, column, flux))
    assert n_used[2] == 4
    np.testing.assert_array_equal(found[2][[1, 2, 4, 5]], 0)
    assert found[2][[0, 3]] == pytest.approx([0.1, -0.2], abs=0.006)


@pytest.mark.parametrize("n_stars", [0, 1, 2])
def test_too_few_stars_give_nothing(n_stars):
    row, column, flux = (values[:n_stars] for values in field())
    found, error, n_used = measured_motion([STILL] * 3, (row, column, flux))
    assert found.shape == (3, 6)
    assert np.isnan(found).all()
    assert np.isnan(error).all()
    assert (n_used < 3).all()


def test_dark_or_empty_place_is_no_star():
    image = np.random.default_rng(0).normal(0, 1, WINDOW.shape) - 0.5
    row, column, _ = field()
    measured = np.array(positions(image - 5, row, column))
    assert np.isnan(measured).mean() > 0.9
    blank = np.array(positions(np.zeros(WINDOW.shape), row, column))
    assert np.isnan(blank).all()


# -- the choice of stars ------------------------------------------------------------------------


def chosen(row, column, tmag, n_stars=2000, window=WINDOW):
    return select_motion_stars(
        np.array(row, dtype=float),
        np.array(column, dtype=float),
        np.array(tmag, dtype=float),
        window,
        n_stars=n_stars,
        bright_limit=7.5,
        faint_limit=12.5,
    ).tolist()


def test_stars_within_the_limits_of_brightness():
    row, column = [700, 740, 780, 820, 860], [200, 240, 280, 320, 360]
    assert chosen(row, column, [7.4, 7.5, 12.5, 14.6, np.nan]) == [1, 2]


def test_fainter_stars_complete_the_few_bright_ones():
    place = 620 + 40.0 * np.arange(9)
    assert chosen(place, place - 400, [9, 9, 12.7, 12.9, 13, 13.1, 13.2, 13.3, 13.4]) == [*range(8)]
    assert chosen(place, place - 400, [9.0] * 8 + [12.6]) == [*range(8)]


def test_stars_a_stamp_off_the_edge():
    # Stamps are 9 x 9: a star at row 604 has its first row at 600.
    row = [604, 603.4, 995, 996, 700, 740, 780, 820, np.nan]
    column = [200, 240, 300, 340, 104, 103, 695, 696, 400]
    assert chosen(row, column, [10] * 9) == [0, 2, 4, 6]


def test_chosen_stars_at_the_edge_can_be_measured():
    rng = np.random.default_rng(0)
    row, column = rng.uniform(599, 1001, 3000), rng.uniform(99, 701, 3000)
    index = chosen(row, column, rng.uniform(8, 12, 3000), n_stars=100_000)
    image = np.ones(WINDOW.shape)
    assert len(positions(image, row[index], column[index])[0]) == len(index) > 50


def test_only_isolated_stars():
    # A pair 3 px apart, one with a faint neighbor, one with a neighbor 5 px away.
    row = [700, 703, 800, 800, 900, 900]
    column = [200, 200, 300, 302, 400, 405.0]
    tmag = [9, 10.5, 9, 11.5, 9, 9]
    assert chosen(row, column, tmag) == [2, 4, 5]
    # A neighbor off the window, too faint or too bright for the list counts as well:
    assert chosen([700, 702], [200, 200], [9, 3]) == []
    assert chosen([700, 702], [200, 200], [12, 13.5]) == []


def test_brightest_of_each_part_of_the_ccd():
    rng = np.random.default_rng(1)
    row, column = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(10, 2040, 8.0), np.arange(10, 2040, 8.0), indexing="ij")
    )
    tmag = rng.uniform(8, 12, row.size)
    index = np.array(chosen(row, column, tmag, n_stars=512, window=Window()))
    assert (np.diff(index) > 0).all()
    cell = (row // 128).astype(int) * 16 + (column // 128).astype(int)
    np.testing.assert_array_equal(np.bincount(cell[index], minlength=256), 2)
    for one in (0, 37, 255):
        brightest = np.sort(tmag[cell == one])[:2]
        np.testing.assert_array_equal(np.sort(tmag[index[cell[index] == one]]), brightest)


def test_window_has_more_stars_per_cell_than_a_full_ccd():
    """A window of 2 x 4 cells: the wanted stars are its own, up to 12 in a cell."""
    window = Window(512, 768, 1024, 1536)
    row, column = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(518, 766, 8.0), np.arange(1030, 1534, 8.0), indexing="ij")
    )
    tmag = np.random.default_rng(2).uniform(8, 12, row.size)
    for n_stars, per_cell in ((2048, 12), (80, 10), (512, 12), (8, 1)):
        index = np.array(chosen(row, column, tmag, n_stars=n_stars, window=window))
        cell = (row[index] // 128).astype(int) * 16 + (column[index] // 128).astype(int)
        assert np.unique(cell, return_counts=True)[1].tolist() == [per_cell] * 8


def test_no_star():
    assert chosen([], [], []) == []
    assert chosen([np.nan], [np.nan], [9]) == []


def test_displacement_of_a_region_is_that_of_its_pixels():
    motion = np.array([0.1, -0.02, 0.03, -0.4, 0.05, 0.06])
    region = Window(100, 104, 1500, 1507)
    d_row, d_column = displacement_in(motion, region)
    assert d_row.shape == d_column.shape == region.shape
    row, column = np.mgrid[100:104, 1500:1507]
    expected = displacement(motion[None], row.ravel(), column.ravel())
    np.testing.assert_allclose(d_row.ravel(), expected[0][0], rtol=1e-12)
    np.testing.assert_allclose(d_column.ravel(), expected[1][0], rtol=1e-12)


def test_of_stars_at_one_position_the_brightest_counts():
    row, column = np.array([10.0, 10.5, 11.4, 40.0, 40.0]), np.array([5.0, 5.5, 6.4, 9.0, 9.0])
    tmag = np.array([11.0, 10.0, 12.0, 9.0, 9.0])
    # The third is within reach of the second, the first too.
    assert without_twins(np.array([0, 1, 2, 3, 4]), row, column, tmag).tolist() == [3, 1]
    assert without_twins(np.array([0, 2]), row, column, tmag).tolist() == [0, 2]
    assert without_twins(np.zeros(0, dtype=int), row, column, tmag).shape == (0,)
