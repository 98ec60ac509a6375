"""Rounded times, put back on the clock: right, and with the right error."""

import numpy as np
import pytest

from tessphot_lib.io.images.rounded_times import as_rounded, is_rounded, on_the_clock

DAY = 86400.0


def rounded_rows(n_rows, rng, *, seconds=1800.0, rate=1 - 4.4e-7):
    """True times at the telescope, corrections that drift, and the rounded times of a cutout."""
    steps = np.arange(n_rows) + 600
    time = 1816.0 + 30 * rng.random() + steps * rate * seconds / DAY
    timecorr = 0.004 - 2.4e-6 * (steps - 600) * seconds / 1800
    return steps, time, timecorr, as_rounded(time, timecorr, seconds)


@pytest.mark.parametrize(("n_rows", "largest"), [(1, 4.0), (2, 3.0), (10, 2.0), (100, 1.0)])
@pytest.mark.parametrize("rate", [1 - 4.4e-7, 1.0])
def test_few_rows_know_their_error(n_rows, largest, rate):
    rng = np.random.default_rng(n_rows)
    off, said = [], []
    for _ in range(60):
        steps, time, timecorr, rounded = rounded_rows(n_rows, rng, rate=rate)
        assert is_rounded(rounded)
        found, error = on_the_clock(rounded, timecorr, steps, 1800.0)
        off.append(np.abs(found - time).max() * DAY)
        said.append(error)
    assert np.max(off) < largest
    assert 0.6 < np.sqrt(np.mean(np.square(off))) / np.sqrt(np.mean(np.square(said))) < 1.6


def test_a_sector_is_known_to_a_tenth_of_a_second():
    rng = np.random.default_rng(3)
    for rate in (1 - 4.4e-7, 1.0):
        steps, time, timecorr, rounded = rounded_rows(1100, rng, rate=rate)
        found, error = on_the_clock(rounded, timecorr, steps, 1800.0)
        assert np.abs(found - time).max() * DAY < 0.1
        assert error < 0.1


def test_times_that_follow_no_clock_have_the_line_through_them():
    rng = np.random.default_rng(4)
    steps, time, timecorr, rounded = rounded_rows(200, rng, rate=1 + 2e-5)
    found, error = on_the_clock(rounded, timecorr, steps, 1800.0)
    assert np.abs(found - time).max() * DAY < 1.5
    assert 0.2 < error < 0.5


def test_two_rows_off_the_clock_are_as_good_as_each_is():
    """Half a step of 10.5 s of a start and of a stop, evenly distributed."""
    steps, time, timecorr, rounded = rounded_rows(2, np.random.default_rng(5), rate=1.05)
    found, error = on_the_clock(rounded, timecorr, steps, 1800.0)
    assert np.abs(found - time).max() * DAY < 5.3
    assert error == pytest.approx(2**-13 * DAY / np.sqrt(24))


def test_exact_times_are_not_taken_for_rounded_ones():
    rounded = rounded_rows(20, np.random.default_rng(6))[3]
    assert is_rounded(rounded)
    rounded[7] += 1e-6
    assert not is_rounded(rounded)
