"""The list of stars against an image of known truth: what it lacks and what it has wrong."""

from dataclasses import replace

import numpy as np
import pytest
import scipy

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.prf.census import take_census
from tessphot_lib.prf.census_light import light_of_stars, solve
from tessphot_lib.prf.evaluate import DERIVATIVES, prf_stamps
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.list_check import close_pairs, judge, twins
from tessphot_lib.prf.scene import scene_image
from tessphot_lib.prf.sources import find_sources

WINDOW = Window(700, 748, 1200, 1260)  # not square
PRF = generic_prf()
GOOD_PRF = replace(PRF, error=np.full(PRF.error.shape, 0.002))
NOISE = 0.5
CONFUSION = float(flux_of(18.0))
# Of the first two the middle is between pixels, which no single pixel shows well.
ROW = np.array([706.5, 713.1, 721.8, 730.3, 738.7, 742.2])
COLUMN = np.array([1212.5, 1250.4, 1221.6, 1240.2, 1210.9, 1248.3])
TMAG = np.array([10.0, 11.5, 12.3, 13.0, 14.1, 14.6])
KEPT = [0, 2, 3, 4, 5]


def picture(row=ROW, column=COLUMN, tmag=TMAG, more=0.0, seed=0):
    image = scene_image(PRF, WINDOW, row, column, flux_of(tmag)) + more
    return image + np.random.default_rng(seed).normal(0, NOISE, WINDOW.shape)


def census(image, row=ROW, column=COLUMN, tmag=TMAG, prf=GOOD_PRF):
    noise = np.full(WINDOW.shape, NOISE)
    return take_census(prf, WINDOW, image, noise, row, column, flux_of(tmag))


def verdict(found, n_stars):
    middle = np.array([WINDOW.middle]).T.round()
    peak = prf_stamps(PRF, *middle, *(middle.astype(int) - 1), (3, 3)).max()
    return judge(found.take(np.arange(n_stars)), np.full(n_stars, NOISE), peak, confusion=CONFUSION)


def test_a_right_list_is_believed():
    found = census(picture())
    assert len(found.flux) == len(ROW)
    np.testing.assert_allclose(found.flux, flux_of(TMAG), rtol=0.02)
    assert np.hypot(found.row - ROW, found.column - COLUMN).max() < 0.02
    said = verdict(found, len(ROW))
    assert not (said.magnitude_off | said.position_off | said.is_absent).any()
    np.testing.assert_array_equal(said.flux, flux_of(TMAG))


@pytest.mark.parametrize("lacking", range(6))
def test_a_star_that_the_list_lacks_is_found(lacking):
    kept = np.delete(np.arange(6), lacking)
    found = census(picture(), ROW[kept], COLUMN[kept], TMAG[kept])
    assert len(found.flux) == 6
    at = found.row[-1], found.column[-1]
    assert np.hypot(at[0] - ROW[lacking], at[1] - COLUMN[lacking]) < 0.05
    assert found.flux[-1] == pytest.approx(flux_of(TMAG[lacking]), rel=0.03)


def test_a_star_that_the_list_lacks_beside_one_that_it_has():
    """2.1 pixels apart, and the one that is known is the fainter."""
    row, column = np.append(ROW, 722.9), np.append(COLUMN, 1223.4)
    tmag = np.append(TMAG, 13.8)
    found = census(
        picture(row, column, tmag), np.delete(row, 2), np.delete(column, 2), np.delete(tmag, 2)
    )
    assert len(found.flux) == 7
    assert np.hypot(found.row[-1] - ROW[2], found.column[-1] - COLUMN[2]) < 0.1
    assert found.flux[-1] == pytest.approx(flux_of(TMAG[2]), rel=0.1)


@pytest.mark.parametrize("offset", [(0.5, 0.0), (-0.3, 0.4)])
def test_a_position_that_is_off_is_set_right(offset):
    row, column = ROW.copy(), COLUMN.copy()
    row[3] += offset[0]
    column[3] += offset[1]
    found = census(picture(), row, column)
    said = verdict(found, 6)
    assert np.flatnonzero(said.position_off).tolist() == [3]
    assert said.d_row[3] == pytest.approx(-offset[0], abs=0.05)
    assert said.d_column[3] == pytest.approx(-offset[1], abs=0.05)
    assert len(found.flux) == 6


@pytest.mark.parametrize("off", [-0.5, 0.5, 2.0])
def test_a_magnitude_that_is_off_is_set_right(off):
    tmag = TMAG.copy()
    tmag[3] += off
    said = verdict(census(picture(), tmag=tmag), 6)
    assert np.flatnonzero(said.magnitude_off).tolist() == [3]
    assert said.flux[3] == pytest.approx(flux_of(TMAG[3]), rel=0.03)


@pytest.mark.parametrize("tmag", [0.0, 9.0, 13.0])
def test_a_star_whose_light_is_not_there_is_not_believed(tmag):
    """0: a magnitude that stands for none."""
    row, column = np.append(ROW, 716.0), np.append(COLUMN, 1236.0)
    found = census(picture(), row, column, np.append(TMAG, tmag))
    said = verdict(found, 7)
    assert np.flatnonzero(said.is_absent).tolist() == [6]
    assert said.flux[6] < 20
    assert len(found.flux) == 7  # and its light is not found elsewhere
    np.testing.assert_allclose(found.flux[:6], flux_of(TMAG), rtol=0.03)


@pytest.mark.parametrize("row", [735.3, 746.1])  # in the middle, and at the edge
def test_a_star_that_is_there_but_not_of_tmag_0(row):
    rows, columns = np.append(ROW, row), np.append(COLUMN, 1226.0)
    image = picture(rows, columns, np.append(TMAG, 11.8))
    found = census(image, rows, columns, np.append(TMAG, 0.0))
    said = verdict(found, 7)
    assert np.flatnonzero(said.magnitude_off).tolist() == [6]
    assert said.flux[6] == pytest.approx(flux_of(11.8), rel=0.05)
    assert not said.is_absent.any()


def test_a_star_far_from_its_place_is_absent_there_and_found_where_it_is():
    """As the positions of Gaia's epoch are for stars that move."""
    row = ROW.copy()
    row[3] += 6.0
    found = census(picture(), row)
    said = verdict(found, 6)
    assert np.flatnonzero(said.is_absent).tolist() == [3]
    assert np.hypot(found.row[6] - ROW[3], found.column[6] - COLUMN[3]) < 0.05


@pytest.mark.parametrize("prf", [GOOD_PRF, PRF])
@pytest.mark.parametrize("offset", [(0.4, -0.3), (-0.8, 0.6), (1.2, 0.9), (1.5, -2.0)])
def test_a_star_beside_its_entry_is_found_and_its_position_set_right(offset, prf):
    """Also with a generic PRF, which errs by a tenth of the light of any star."""
    listed = ROW.copy(), COLUMN.copy()
    for axis, by in zip(listed, offset, strict=True):
        axis[2] += by
    found = census(picture(), *listed, prf=prf)
    assert len(found.flux) == 6
    said = verdict(found, 6)
    np.testing.assert_array_equal(np.flatnonzero(said.position_off), [2])
    assert said.d_row[2] == pytest.approx(-offset[0], abs=0.05)
    assert said.d_column[2] == pytest.approx(-offset[1], abs=0.05)
    assert not (said.is_absent | said.magnitude_off).any()


def test_another_star_beside_an_absent_one_is_not_taken_for_it():
    """Neither one of another brightness, nor one of two."""
    for more in ([(1.6, 1.0, 10.9)], [(1.6, 1.0, 12.3), (-1.8, 0.9, 12.4)]):
        there = [np.delete(axis, 2) for axis in (ROW, COLUMN, TMAG)]
        for d_row, d_column, tmag in more:
            new = ROW[2] + d_row, COLUMN[2] + d_column, tmag
            there = [np.append(axis, value) for axis, value in zip(there, new, strict=True)]
        found = census(picture(*there))
        assert not verdict(found, 6).position_off[2]
        assert len(found.flux) == 6 + len(more)


@pytest.mark.parametrize("lacking", range(4))
def test_a_bright_star_that_the_list_lacks_is_found_with_a_generic_prf(lacking):
    kept = np.delete(np.arange(6), lacking)
    found = census(picture(), ROW[kept], COLUMN[kept], TMAG[kept], prf=PRF)
    assert len(found.flux) == 6
    assert found.row[5] == pytest.approx(ROW[lacking], abs=0.05)
    assert found.flux[5] > 20 * found.seen_err[5]


@pytest.mark.parametrize("apart", [0.12, 0.3, 0.5])
@pytest.mark.parametrize("prf", [GOOD_PRF, PRF])
def test_a_star_listed_twice_is_one_with_any_prf(apart, prf):
    listed = np.append(ROW, ROW[2] + 0.8 * apart), np.append(COLUMN, COLUMN[2] - 0.6 * apart)
    found = census(picture(), *listed, np.append(TMAG, TMAG[2]), prf=prf)
    row, column = listed
    pairs, flux = close_pairs(row, column), flux_of(np.append(TMAG, TMAG[2]))
    same = twins(pairs, row, column, flux, found.flux[:7], found.alone_err[:7])
    assert same == {6: 2}


def test_light_of_unlisted_stars_at_the_edges_of_a_stamp_is_no_sky():
    """Three of them raised the level by 69 e-/s, and the star had no flux."""
    stamp = Window(100, 108, 200, 208)
    row, column = np.array([103.9, 99.2, 107.6, 108.3]), np.array([203.6, 206.6, 199.3, 206.1])
    flux = np.array([300.0, 6000.0, 9000.0, 4000.0])
    image = scene_image(PRF, stamp, row, column, flux)
    image += np.random.default_rng(2).normal(0, NOISE, stamp.shape)
    listed = row[:1], column[:1], flux[:1]
    found = take_census(GOOD_PRF, stamp, image, np.full(stamp.shape, NOISE), *listed)
    assert found.flux[0] == pytest.approx(300.0, rel=0.15)
    assert found.level < 11


def test_smooth_light_is_no_star():
    rows, columns = np.mgrid[700:748, 1200:1260]
    nebula = 120 * np.exp(-0.5 * ((rows - 722) ** 2 + (columns - 1231) ** 2) / 5.0**2)
    assert len(census(picture(more=nebula)).flux) == len(ROW)


def test_another_shape_of_the_prf_makes_no_stars():
    """Generic PRFs are off by as much as that: stars smeared by half a pixel."""
    image = sum(picture(ROW + shift, COLUMN - shift, seed=3) for shift in (-0.35, 0.0, 0.35)) / 3
    found = census(image, prf=PRF)
    assert len(found.flux) == len(ROW)
    said = verdict(found, 6)
    assert not (said.magnitude_off | said.position_off | said.is_absent).any()


def test_nothing_is_said_where_pixels_are_missing():
    image = picture()
    image[729 - 700 : 731 - 700, 1240 - 1200] = np.nan
    tmag = TMAG.copy()
    tmag[3] -= 1.5
    said = verdict(census(image, tmag=tmag), 6)
    assert not (said.magnitude_off | said.is_absent).any()


def test_noise_has_no_sources():
    noise = np.full(WINDOW.shape, NOISE)
    for seed in range(5):
        residual = np.random.default_rng(seed).normal(0, NOISE, WINDOW.shape)
        assert len(find_sources(PRF, WINDOW, residual, noise, min_snr=6.0)[0]) == 0
    empty = np.full(WINDOW.shape, np.nan)
    assert len(find_sources(PRF, WINDOW, empty, noise, min_snr=6.0)[0]) == 0


def test_input_is_not_changed():
    image, flux, row = picture(), flux_of(TMAG), ROW.copy()
    before = image.copy(), flux.copy(), row.copy()
    take_census(GOOD_PRF, WINDOW, image, np.full(WINDOW.shape, NOISE), row, COLUMN, flux)
    for array, old in zip((image, flux, row), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize(
    ("distance", "both", "tmag", "expected"),
    [
        (0.05, True, 12.0, {1: 0}),  # nobody can tell them apart
        (0.05, False, 12.0, {1: 0}),
        (0.4, False, 12.0, {1: 0}),  # one star's light
        (0.4, True, 12.0, {}),
        (0.4, False, 13.5, {}),  # too unlike to be the same
        (0.4, False, 11.6, {0: 1}),  # the brighter one stays
        (0.9, False, 12.0, {}),
    ],
)
def test_twins(distance, both, tmag, expected):
    row, column = np.array([710.2, 710.2 + distance]), np.array([1210.4, 1210.4])
    flux = flux_of(np.array([12.0, tmag]))
    found = flux * (1.0 if both else 0.5) * np.array([1.1, 0.9])
    same = twins(close_pairs(row, column), row, column, flux, found, 0.01 * flux)
    assert same == expected


def test_three_entries_of_a_star_lead_to_one():
    row, column = np.array([710.2, 710.25, 710.15]), np.full(3, 1210.4)
    flux = flux_of(np.array([12.0, 12.1, 11.9]))
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    same = twins(pairs, row, column, flux, flux / 3, 0.01 * flux)
    assert same == {1: 2, 0: 2}
    order = np.array([2, 0, 1])
    same = twins(pairs, row[order], column[order], flux[order], flux / 3, 0.01 * flux)
    assert same == {1: 0, 2: 0}


@pytest.mark.parametrize("few", [0, 600])
def test_equations_are_solved_directly_or_in_steps(monkeypatch, few):
    """Of unknowns of very different size; two are coupled to none."""
    monkeypatch.setattr("tessphot_lib.prf.census_light.FEW_UNKNOWNS", few)
    rng = np.random.default_rng(3)
    size = 10.0 ** np.arange(-5, 7)
    design = rng.normal(size=(40, 12)) * (rng.random((40, 12)) < 0.4)
    design[:, [4, 9]] = 0.0
    normal, prior = design.T @ design / np.outer(size, size), 0.3 / size**2
    true = size * rng.normal(size=12)
    right = normal @ true + prior * true
    for matrix in (scipy.sparse.csr_array(normal), normal):
        np.testing.assert_allclose(solve(matrix, prior, right) / size, true / size, atol=1e-3)


def test_few_and_many_stars_have_the_same_light(monkeypatch):
    """In dense and in sparse arrays; stars in the corner, beside the window, and a faint one."""
    row, column = np.append(ROW, [699.6, 748.1]), np.append(COLUMN, [1200.2, 1233.3])
    stars = row, column, flux_of(np.append(TMAG, [10.5, 17.0]))
    dense = light_of_stars(PRF, WINDOW, *stars, DERIVATIVES[:3])
    monkeypatch.setattr("tessphot_lib.prf.census_light.FEW", 0)
    sparse = light_of_stars(PRF, WINDOW, *stars, DERIVATIVES[:3])
    for one, other in zip(dense.matrices, sparse.matrices, strict=True):
        assert isinstance(one, np.ndarray)
        np.testing.assert_allclose(one, other.toarray(), atol=1e-12)
    np.testing.assert_allclose(dense.error, sparse.error, atol=1e-9)
    own = np.where(dense.matrices[0] != 0, dense.own_error, 0.0)  # where it has light
    np.testing.assert_allclose(own, sparse.own_error.toarray(), atol=1e-9)


def test_the_census_is_the_same_in_sparse_arrays(monkeypatch):
    """With one star that the list lacks, and one that is off."""
    row = ROW + np.array([0, 0, 0.5, 0, 0, 0])
    dense = census(picture(), row[1:], COLUMN[1:], TMAG[1:])
    monkeypatch.setattr("tessphot_lib.prf.census_light.FEW", 0)
    sparse = census(picture(), row[1:], COLUMN[1:], TMAG[1:])
    for name in ("row", "column", "flux", "flux_err", "seen_err", "alone_err"):
        np.testing.assert_allclose(getattr(dense, name), getattr(sparse, name), rtol=1e-7)
