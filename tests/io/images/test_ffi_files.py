"""Names, folders and blocks of full-frame images."""

import os

import numpy as np
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.cutout_files import find_cutouts
from tessphot_lib.io.images.ffi_files import (
    FfiFile,
    block_of,
    cadence_of,
    find_ffis,
    group_in_blocks,
    listed_ccds,
    name_btjd,
    parse_ffi_name,
    read_listing,
    write_listing,
)

STAMP = "2019199201929"


def name(stamp=STAMP, sector=14, camera=3, ccd=2, scid=150, end=""):
    return f"tess{stamp}-s{sector:04d}-{camera}-{ccd}-{scid:04d}-s_ffic.fits{end}"


@pytest.mark.parametrize("end", ["", ".gz"])
def test_name_tells_ccd_and_stamp(end):
    assert parse_ffi_name(name(end=end)) == (CcdId(14, 3, 2), STAMP)


@pytest.mark.parametrize(
    "other",
    [
        name(camera=5),
        name(sector=0),
        name(end=".partial"),
        name().replace("_ffic", "_ffir"),
        "x" + name(),
        "tess2019198215352-s0014-0000000012345678-0150-s_tp.fits",
    ],
)
def test_other_names_tell_nothing(other):
    assert parse_ffi_name(other) is None


def test_stamp_is_a_date():
    # 2019-07-18 (day 199) 20:19:29 UTC; JD of 2019-07-18 0 h is 2458682.5.
    assert name_btjd(STAMP) == pytest.approx(1682.5 + (20 * 3600 + 19 * 60 + 29) / 86400)
    assert name_btjd("2020001000000") - name_btjd("2019365000000") == 1
    assert name_btjd("2021001000000") - name_btjd("2020366000000") == 1


@pytest.mark.parametrize("stamp", ["2019000000000", "2019367000000", "2019199240000"])
def test_nonsense_is_no_date(stamp):
    with pytest.raises(InputDataError, match=f"{stamp}.*is no date"):
        name_btjd(stamp)


def test_cadence_is_the_median_difference():
    stamps = ["2019199000000", "2019199001001", "2019199002000", "2019200000000", "2019200001000"]
    assert cadence_of([*stamps, stamps[0]]) == 600
    assert cadence_of(stamps[:1]) == 1800
    assert cadence_of([]) == 1800


def stamps_of(n_images, cadence=1800, seed=0):
    """Stamps as the mission gives them, a second off now and then, and a gap."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(n_images) * cadence + rng.integers(0, 2, n_images)
    seconds[n_images // 2 :] += 86400
    days, seconds = divmod(72000 + seconds, 86400)
    return [
        f"2019{199 + day:03d}{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
        for day, second in zip(days, seconds, strict=True)
    ]


@pytest.mark.parametrize("cadence", [1800, 600, 200])
def test_blocks_have_their_length_and_keep_their_images(cadence):
    ffis = [FfiFile(stamp, stamp, False) for stamp in stamps_of(200, cadence)]
    blocks = group_in_blocks(ffis, 16)
    assert list(blocks) == sorted(blocks)
    assert [path for block in blocks.values() for path in block] == [ffi.path for ffi in ffis]
    assert max(len(block) for block in blocks.values()) <= 17  # of 16, a second off at the edges
    for gone in (0, 50, 199):
        fewer = group_in_blocks(ffis[:gone] + ffis[gone + 1 :], 16)
        for block, paths in blocks.items():
            left = [path for path in paths if path != ffis[gone].path]
            assert fewer.get(block, []) == left


def test_block_counts_from_btjd_zero():
    length = 64 * 1800 / 86400
    assert block_of(STAMP, 1800, 64) == f"b{int(name_btjd(STAMP) // length):07d}"


def test_folders_are_searched_and_duplicates_marked(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    later = "2019199204929"
    for path in (
        tmp_path / name(later),
        tmp_path / "b" / name(end=".gz"),
        tmp_path / "b" / "deep" / name(scid=151),
        tmp_path / "b" / name(ccd=1),
        tmp_path / ".hidden" / name("2019199211929"),
        tmp_path / "readme.txt",
    ):
        path.touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = find_ffis(tmp_path)
    assert list(found) == [CcdId(14, 3, 1), CcdId(14, 3, 2)]
    assert found[CcdId(14, 3, 2)] == [
        FfiFile(STAMP, str(tmp_path / "b" / "deep" / name(scid=151)), False),
        FfiFile(STAMP, str(tmp_path / "b" / name(end=".gz")), True),
        FfiFile(later, str(tmp_path / name(later)), False),
    ]


def test_cutouts_are_searched_as_images_are(tmp_path):
    """Links to folders are followed, hidden folders left out, and a missing one is named."""
    name = "tess-s0014-3-4_10.5_-3.25_15x15_astrocut.fits"
    elsewhere = tmp_path / "elsewhere"
    for folder in (elsewhere / "deep", tmp_path / "cut" / ".cache"):
        folder.mkdir(parents=True)
        (folder / name).touch()
    (tmp_path / "cut" / "linked").symlink_to(elsewhere)
    found = find_cutouts(tmp_path / "cut")
    assert found == {
        CcdId(14, 3, 4): [FfiFile("", str(tmp_path / "cut" / "linked" / "deep" / name), False)]
    }
    with pytest.raises(InputDataError, match="nowhere: cannot be searched"):
        find_cutouts(tmp_path / "nowhere")


def test_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputDataError, match=f"{tmp_path}/none: cannot be searched: No such file"):
        find_ffis(tmp_path / "none")


def test_relative_folder_gives_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("ffi")
    (tmp_path / "ffi" / name()).touch()
    assert find_ffis("ffi")[CcdId(14, 3, 2)][0].path == f"ffi/{name()}"


def test_listing_is_read_back(tmp_path):
    found = {CcdId(14, 3, 2): [FfiFile(STAMP, "a", False), FfiFile(STAMP, "b", True)]}
    write_listing(tmp_path / "cache", found)
    assert listed_ccds(tmp_path / "cache") == [CcdId(14, 3, 2)]
    assert read_listing(tmp_path / "cache", CcdId(14, 3, 2)) == found[CcdId(14, 3, 2)]
    with pytest.raises(InputDataError, match=r"s0014-cam3-ccd1.json: the list of the images is"):
        read_listing(tmp_path / "cache", CcdId(14, 3, 1))
