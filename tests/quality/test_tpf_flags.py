"""Quality borrowed from target pixel files: cadence by cadence, against counting by hand."""

import numpy as np
import pytest

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.quality.tpf_flags import (
    BORROWED_BITS,
    borrow_quality,
    common_quality,
    is_covered,
    join_borrowed,
    spacecraft_time,
)

START = np.array([10.0, 11.0, 12.0, 20.0])
STOP = np.array([11.0, 12.0, 13.0, 21.0])  # the third and the fourth lie apart


def borrowed(*cadences):
    moment, quality = np.array(cadences, dtype=float).reshape(-1, 2).T
    return borrow_quality(START, STOP, moment, quality.astype(int)).tolist()


def test_only_the_mission_bits_of_a_whole_ccd():
    assert [int(bit) for bit in BORROWED_BITS] == [1, 2, 4, 8, 32, 2048, 4096]
    assert borrowed((10.5, 0xFFFFFF)) == [1 + 2 + 4 + 8 + 32 + 2048 + 4096, 0, 0, 0]


def test_bits_of_all_cadences_in_an_exposure_add_up():
    assert borrowed((11.9, 4), (10.9, 32), (11.1, 32), (11.5, 0)) == [32, 36, 0, 0]


def test_between_exposures_and_outside():
    assert borrowed((9.99, 4), (13.5, 32), (21.5, 8), (20.5, 1)) == [0, 0, 0, 1]


def test_a_cadence_on_the_border_belongs_to_the_later_exposure():
    assert borrowed((11.0, 4)) == [0, 4, 0, 0]


def test_nothing_from_nothing():
    assert borrowed() == [0, 0, 0, 0]
    assert borrowed((np.nan, 4)) == [0, 0, 0, 0]
    assert borrow_quality(np.empty(0), np.empty(0), np.array([1.0]), np.array([4])).shape == (0,)
    missing = np.array([np.nan])
    assert borrow_quality(missing, missing, np.array([1.0]), np.array([4])).tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_like_a_loop_over_all_pairs(seed):
    rng = np.random.default_rng(seed)
    start = np.sort(rng.uniform(0, 100, 60))
    stop = start + rng.uniform(0, 3, 60)
    moment, quality = rng.uniform(-2, 105, 700), rng.integers(0, 1 << 16, 700)
    moment[rng.random(700) < 0.1] = np.nan
    expected = [
        np.bitwise_or.reduce(quality[(moment >= low) & (moment < high)] & 6191, initial=0)
        for low, high in zip(start, stop, strict=True)
    ]
    np.testing.assert_array_equal(borrow_quality(start, stop, moment, quality), expected)


def test_momentum_dump_falls_into_the_image_it_was_in():
    """20,000 cadences of 120 s, at the other side of the camera from the images' CCD centre."""
    moment = 1683.4 + (np.arange(20_000) + 0.5) / 720
    quality = np.zeros(20_000, dtype=int)
    quality[7000] = int(CadenceFlag.MOMENTUM_DUMP)
    timecorr = 0.003 + 1e-5 * np.arange(20_000) / 20_000
    start = 1683.4 + np.arange(1300) / 48
    at_the_spacecraft = spacecraft_time(moment + timecorr, timecorr, np.arange(20_000))
    found = borrow_quality(start, start + 1 / 48, at_the_spacecraft, quality)
    assert np.flatnonzero(found).tolist() == [7000 // 15]
    # With barycentric times, 4 minutes late, others would be hit.
    late = borrow_quality(start, start + 1 / 48, moment + timecorr, np.roll(quality, 6))
    assert np.flatnonzero(late).tolist() == [7000 // 15 + 1]


def test_missing_times_follow_from_the_numbers():
    number = np.array([5, 6, 7, 9, 10, 14])
    moment = 100.0 + number / 720 + 1e-6 * number**2
    time, timecorr = moment + 0.004, np.full(6, 0.004)
    time[[0, 3]] = np.nan
    timecorr[5] = np.nan
    found = spacecraft_time(time, timecorr, number)
    np.testing.assert_allclose(found, moment, rtol=0, atol=2e-4)
    assert np.all(found[[1, 2, 4]] == (time - timecorr)[[1, 2, 4]])


def test_a_single_time_gives_none():
    found = spacecraft_time(np.array([np.nan, 5.0]), np.zeros(2), np.array([1, 2]))
    assert np.isnan(found).all()


def test_clock_goes_on_across_rows_that_are_missing():
    """Of every third cadence only, one in 120 s, and on beyond them."""
    number = np.array([0, 3, 6, 9, 12, 14, 30])
    true = 1683.4 + number / 720
    time = np.where(np.isin(number, [6, 14, 30]), np.nan, true + 0.002)
    found = spacecraft_time(time, np.full(7, 0.002), number)
    np.testing.assert_allclose(found, true, rtol=0, atol=1e-9)


# -- several files ------------------------------------------------------------------------------


def test_scattered_light_of_single_targets_is_not_that_of_the_ccd():
    """20 files, each with bit 4096 in three images of its own: none is flagged."""
    borrowed = np.zeros((20, 60), dtype=int)
    for number in range(20):
        borrowed[number, 3 * number : 3 * number + 3] = 4096
    covered = np.ones(borrowed.shape, dtype=bool)
    assert not join_borrowed(borrowed, covered).any()
    borrowed[:11, 7] |= 4096
    borrowed[:9, 8] |= 4096
    assert np.flatnonzero(join_borrowed(borrowed, covered)).tolist() == [7]


def test_bits_of_the_spacecraft_count_if_one_file_has_them():
    borrowed = np.array([[32, 0, 4096 + 4], [0, 2048, 0]])
    covered = np.ones(borrowed.shape, dtype=bool)
    assert join_borrowed(borrowed, covered).tolist() == [32, 2048, 4]


def test_majority_is_of_the_files_that_cover_the_image():
    borrowed = np.array([[4096, 4096], [4096, 4096], [4096, 0], [0, 0], [0, 0]])
    covered = np.array([[1, 1], [1, 1], [1, 0], [0, 0], [0, 0]], dtype=bool)
    # Two files that agree say nothing.
    assert join_borrowed(borrowed, covered).tolist() == [4096, 0]


def test_exposures_that_cadences_fall_into():
    moment = np.array([20.5, np.nan, 11.0])
    assert is_covered(START, STOP, moment).tolist() == [False, True, False, True]


def test_bits_of_most_files_are_those_of_the_ccd():
    """Cadence 12 is in one file only; cosmic rays (64) and outliers (512) are a star's own."""
    numbers = [np.array([10, 11, 13]), np.array([10, 11, 13]), np.array([10, 11, 12, 13])]
    quality = [np.array([8, 32 | 64, 512]), np.array([0, 32 | 64, 4096]), np.array([8, 64, 4, 4])]
    found = common_quality(np.array([10, 11, 12, 13, 14]), numbers, quality)
    assert found.tolist() == [8, 32, 4, 0, 0]


@pytest.mark.parametrize(
    ("n_files", "n_agreeing", "is_of_ccd"), [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 2, 0), (5, 3, 1)]
)
def test_scattered_light_of_few_targets_does_not_flag_their_ccd(n_files, n_agreeing, is_of_ccd):
    """Bit 4096 is set for each target by itself; bit 32 of half of the files counts."""
    quality = [np.array([4096 + 32]) if i < n_agreeing else np.array([0]) for i in range(n_files)]
    found = common_quality(np.array([7]), [np.array([7])] * n_files, quality)
    assert found.tolist() == [32 + 4096 * is_of_ccd]
