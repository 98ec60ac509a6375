"""Cadences of a target pixel file as the archive takes them: bad files are told."""

import gzip

import numpy as np
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.images.tpf_stamps import read_stamp
from tessphot_lib.preparation.stamp_cubes import (
    _checked,
    _common_runs,
    _Reader,
    _refusing,
    _skipping,
)
from tests.io.images.test_tpf_stamps import CCD, with_sums, write_stamp

NUMBERS = np.arange(998, 1010)
CLOCK = NUMBERS, 1683.4 - 0.001 + (NUMBERS - 1000) / 720


def column(name, value):
    def change(primary, table):
        table.data[name] = value(table.data[name]) if callable(value) else value

    return change


@pytest.mark.parametrize("take", [_checked, _skipping])
def test_good_file_comes_as_it_is(tmp_path, take):
    stamp = read_stamp(write_stamp(tmp_path), CCD)
    (part,) = take(stamp, CLOCK)
    assert part.cadenceno.tolist() == [1000, 1001, 1002, 1003, 1004, 1005]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (column("FLUX", np.nan), "all of column FLUX is NaN"),
        (column("FLUX_ERR", np.nan), "all of column FLUX_ERR is NaN"),
        (column("FLUX_BKG", np.nan), "all of column FLUX_BKG is NaN"),
        (column("CADENCENO", lambda number: number + 500), "it has no cadence"),
        (column("TIME", lambda time: time + 0.5), r"cadence 1000 is \+43200 s off its time"),
    ],
)
def test_bad_file_is_named(tmp_path, change, said):
    path = write_stamp(tmp_path, change=change)
    with pytest.raises(InputDataError, match=said) as caught:
        list(_checked(read_stamp(path, CCD), CLOCK))
    assert str(path) in str(caught.value)
    with pytest.raises(InputDataError, match=f"{said}.* .input.on_bad_image: skip leaves") as told:
        list(_refusing(read_stamp(path, CCD), CLOCK))
    assert str(told.value).startswith(str(caught.value))
    parts = list(_skipping(read_stamp(path, CCD), CLOCK))
    assert not any(np.isin(part.cadenceno, NUMBERS).any() for part in parts)


def test_unknown_times_contradict_nothing(tmp_path):
    stamp = read_stamp(write_stamp(tmp_path, change=column("TIME", np.nan)), CCD)
    assert len(list(_checked(stamp, CLOCK))) == 1


def test_nothing_is_taken_of_a_packed_file_that_is_damaged(tmp_path):
    path = write_stamp(tmp_path, n=90)
    stamp = read_stamp(path, CCD)
    content = bytearray(path.read_bytes())
    packed = bytearray(gzip.compress(content, compresslevel=0))
    packed[stamp.begin + 4000] ^= 0xFF
    damaged = path.with_name(path.name + ".gz")
    damaged.write_bytes(packed)
    with pytest.raises(InputDataError, match=r"s_tp\.fits\.gz: cannot be read: "):
        list(_checked(read_stamp(damaged, CCD), CLOCK))
    assert list(_skipping(read_stamp(damaged, CCD), CLOCK)) == []


def test_common_cadences_in_runs():
    numbers, others = np.array([3, 4, 5, 7, 8, 9, 12]), np.array([1, 4, 5, 6, 7, 9, 12, 13])
    runs = list(_common_runs(numbers, others))
    assert runs == [
        (slice(1, 3), slice(1, 3)),
        (slice(3, 4), slice(4, 5)),
        (slice(5, 7), slice(5, 7)),
    ]
    assert list(_common_runs(numbers, numbers[2:5])) == [(slice(2, 5), slice(0, 3))]
    assert list(_common_runs(numbers, np.array([20, 21]))) == []
    assert list(_common_runs(numbers, others[:0])) == []


def test_end_of_a_file_is_checked_after_the_last_common_cadence(tmp_path):
    path = with_sums(write_stamp(tmp_path, n=90))
    stamp = read_stamp(path, CCD)
    content = bytearray(path.read_bytes())
    content[stamp.begin + 89 * stamp.row.itemsize] ^= 0xFF  # in the last cadence
    path.write_bytes(content)
    reader = _Reader(stamp, _checked(stamp, CLOCK), np.array([1005]))
    (part,) = reader.next_chunk()
    assert part.cadenceno.tolist() == [1000, 1001, 1002, 1003, 1004, 1005]
    with pytest.raises(InputDataError, match=r"wrong (CHECK|DATA)SUM"):
        reader.finish()
    assert list(_skipping(stamp, CLOCK)) == []
