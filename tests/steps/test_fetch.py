"""Lists, headers and images from an archive on this machine, by the code of the jobs."""

import re
from dataclasses import replace

import pytest
from archive import STAMPS, Archive, ffi_bytes, ffi_name, fill, serving, unused_address

from tessphot_lib.core.errors import DownloadError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import MastSettings, ServerSettings
from tessphot_lib.io.archives.mast import read_script
from tessphot_lib.io.images.ffi_files import INCOMING, FfiFile, set_aside
from tessphot_lib.io.images.ffi_headers import read_headers, two_headers
from tessphot_lib.io.images.ffi_list import (
    ListedFfi,
    as_files,
    one_per_time,
    read_ffi_list,
    write_ffi_list,
)
from tessphot_lib.steps.fetch import run_fetch, run_fetch_headers, run_fetch_list, run_fetch_script
from tessphot_lib.steps.ffi_table import run_ffi_table

CCD = CcdId(14, 3, 2)  # others have other images
NAMES = [ffi_name(stamp, 3, 2) for stamp in STAMPS]


@pytest.fixture
def archive():
    archive = Archive()
    fill(archive, STAMPS, ccds=[(1, 1), (3, 2)])
    with serving(archive):
        yield archive


@pytest.fixture
def settings(archive):
    servers = ServerSettings(cloud=archive.url, archive=archive.url, mast=archive.url)
    return MastSettings(connections=3, retries=2, pause=0.01, timeout=0.7, servers=servers)


@pytest.fixture
def listed(archive, settings, tmp_path):
    run_fetch_list([], tmp_path / "list.csv", CCD, settings=settings)
    return tmp_path / "list.csv"


def at_bucket(name):
    return f"/stpubdata/tess/public/ffi/s0014/2019/199/3-2/{name}"


def test_list_of_the_cloud(archive, listed):
    said = read_ffi_list(listed)
    assert [one.name for one in said] == NAMES
    for one in said:
        path = one.url.removeprefix(archive.url)
        assert path == at_bucket(one.name)
        assert one.size == len(archive.files[path])


def test_list_of_the_cloud_is_asked_for_again_when_the_server_fails(archive, settings, tmp_path):
    archive.faults["/stpubdata"] = [500, 503]
    run_fetch_list([], tmp_path / "list.csv", CCD, settings=settings)
    assert len(read_ffi_list(tmp_path / "list.csv")) == len(STAMPS)


def test_list_of_mast(archive, settings, tmp_path):
    archive.faults["*"] = ["cut", 503]
    run_fetch_script(tmp_path / "script.sh", sector=14, settings=settings)
    run_fetch_list([tmp_path / "script.sh"], tmp_path / "list.csv", CCD, settings=settings)
    start = f"{archive.url}/api/v0.1/Download/file/?uri=mast:TESS/product/"
    expected = [ListedFfi(name, start + name, None) for name in NAMES]
    assert read_ffi_list(tmp_path / "list.csv") == expected


def test_script_that_is_none(archive, settings, tmp_path):
    (path,) = (path for path in archive.files if path.endswith(".sh"))
    archive.files[path] = b"<html>We are moving house</html>"
    with pytest.raises(DownloadError, match=r"sector_14_ffic\.sh: it names no images"):
        run_fetch_script(tmp_path / "script.sh", sector=14, settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_spaces_and_other_lines_in_the_script(tmp_path):
    lines = [
        "#!/bin/sh",
        f"curl -C - -L  -o  {NAMES[0]}   https://mast.stsci.edu/a/?uri=mast:TESS/{NAMES[0]} ",
        f"curl -C - -L -o {NAMES[1].replace('_ffic', '_ffir')} https://mast.stsci.edu/b",
        "echo done",
    ]
    (tmp_path / "s.sh").write_text("\r\n".join(lines))
    (one,) = read_script(tmp_path / "s.sh", CCD, mast="http://127.0.0.1:8000")
    expected = f"http://127.0.0.1:8000/a/?uri=mast:TESS/{NAMES[0]}"
    assert one == ListedFfi(NAMES[0], expected, None)


@pytest.mark.parametrize(
    ("ccd_id", "reason"),
    [
        (CcdId(14, 4, 4), "no image of s0014-cam4-ccd4"),
        (CcdId(15, 3, 2), "there is no stpubdata/tess/public/ffi/s0015/"),
    ],
)
def test_what_the_cloud_does_not_have(archive, settings, tmp_path, ccd_id, reason):
    with pytest.raises(DownloadError, match=f"^{archive.url}: {reason}"):
        run_fetch_list([], tmp_path / "list.csv", ccd_id, settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_cloud_that_is_not_there(settings, tmp_path):
    settings = replace(settings, servers=ServerSettings(cloud=unused_address()))
    with pytest.raises(DownloadError, match=r"s0014/ cannot be listed: Could not connect"):
        run_fetch_list([], tmp_path / "list.csv", CCD, settings=settings)


def test_list_is_written_and_read_back(tmp_path):
    listed = [ListedFfi("a", "http://b/?c=d,e", 12), ListedFfi("f", "http://g", None)]
    write_ffi_list(tmp_path / "list.csv", listed)
    assert read_ffi_list(tmp_path / "list.csv") == listed


@pytest.mark.parametrize("text", ["", "a,b\n", "name,url,size\nx,y\n", "name,url,size\nx,y,z\n"])
def test_other_file_is_no_list(tmp_path, text):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputDataError, match=r"list\.csv: not a list of images"):
        read_ffi_list(tmp_path / "list.csv")


def test_image_processed_twice_counts_once():
    old, new = NAMES[1], NAMES[1].replace("-0150-", "-0151-")
    listed = [
        ListedFfi(name, "", None) for name in (new, NAMES[2], old, NAMES[0], NAMES[0] + ".gz")
    ]
    assert [one.name for one in one_per_time(listed, CCD)] == [NAMES[0], new, NAMES[2]]


def test_time_range_includes_its_ends(tmp_path):
    listed = [ListedFfi(name, "", None) for name in NAMES]
    assert len(as_files(listed, tmp_path, None)) == len(NAMES)
    # Day 199 of 2019 begins at BTJD 1682.5; the images at 0:19:29, 1:19:29, ...
    second, fourth = (1682.5 + (hour * 3600 + 19 * 60 + 29) / 86400 for hour in (1, 3))
    chosen = as_files(listed, tmp_path, (second - 1e-9, fourth + 1e-9))
    assert chosen == [FfiFile(STAMPS[i], str(tmp_path / NAMES[i]), False) for i in (1, 2, 3)]
    assert as_files(listed, tmp_path, (1690.0, 1691.0)) == []


def test_images_are_those_of_the_archive_whatever_happens_on_the_way(
    archive, settings, listed, tmp_path
):
    faults = ["slow", "cut", "silent", 500, "damaged", "short", (503, {"Retry-After": "0"})]
    for name, fault in zip(NAMES, faults, strict=False):
        archive.faults[at_bucket(name)] = [fault]
    images = [tmp_path / "images" / name for name in NAMES[1:9]]
    run_fetch(listed, images, settings=settings)
    for image in images:
        assert image.read_bytes() == archive.files[at_bucket(image.name)]
    assert sorted(path for path in (tmp_path / "images").rglob("*") if path.is_file()) == images


def test_images_without_known_sizes(archive, settings, tmp_path):
    run_fetch_script(tmp_path / "script.sh", sector=14, settings=settings)
    run_fetch_list([tmp_path / "script.sh"], tmp_path / "list.csv", CCD, settings=settings)
    archive.faults[f"/{NAMES[0]}"] = ["short", "cut"]
    run_fetch(tmp_path / "list.csv", [tmp_path / name for name in NAMES[:3]], settings=settings)
    assert (tmp_path / NAMES[0]).read_bytes() == archive.files[f"/{NAMES[0]}"]
    assert len(archive.asked(NAMES[0])) == 3


def test_no_image_has_its_name_before_all_are_there(archive, settings, listed, tmp_path):
    images = [tmp_path / "images" / name for name in NAMES[:5]]
    content = archive.files.pop(at_bucket(NAMES[3]))
    with pytest.raises(DownloadError, match=rf"{at_bucket(NAMES[3])}: the server says 404"):
        run_fetch(listed, images, settings=settings)
    assert not any(image.exists() for image in images)

    archive.files[at_bucket(NAMES[3])] = content
    damaged = tmp_path / "images" / INCOMING / NAMES[1]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    (damaged.parent / NAMES[2]).write_bytes(b"half")
    archive.requests.clear()
    run_fetch(listed, images, settings=settings)
    asked = sorted(path for path, _ in archive.requests)
    assert asked == [at_bucket(NAMES[index]) for index in (1, 2, 3)]
    for image in images:
        assert image.read_bytes() == archive.files[at_bucket(image.name)]


def test_image_that_is_damaged_in_the_archive(archive, settings, listed, tmp_path):
    content = bytearray(archive.files[at_bucket(NAMES[0])])
    content[9000] ^= 4
    archive.files[at_bucket(NAMES[0])] = bytes(content)
    with pytest.raises(DownloadError, match=r"HDU 1 has a wrong DATASUM: .* \(the same twice\)"):
        run_fetch(listed, [tmp_path / NAMES[0]], settings=settings)
    run_fetch(listed, [tmp_path / NAMES[0]], settings=replace(settings, checksum=False))
    assert (tmp_path / NAMES[0]).read_bytes() == bytes(content)


def test_file_of_the_right_size_that_is_no_image(archive, settings, listed, tmp_path):
    size = len(archive.files[at_bucket(NAMES[0])])
    archive.files[at_bucket(NAMES[0])] = b"<html>".ljust(size)
    with pytest.raises(DownloadError, match=r"it is not FITS: b'<html>"):
        run_fetch(listed, [tmp_path / NAMES[0]], settings=settings)
    with pytest.raises(DownloadError, match=r"it is not FITS: b'<html>"):
        run_fetch_headers(
            listed, tmp_path / "h.zip", images=[tmp_path / NAMES[0]], settings=settings
        )


def test_image_that_is_not_on_the_list(settings, listed, tmp_path):
    other = ffi_name("2019199231929", 3, 2)
    with pytest.raises(InputDataError, match=rf"list\.csv: {other} is not in it"):
        run_fetch(listed, [tmp_path / NAMES[0], tmp_path / other], settings=settings)


def test_table_of_images_that_are_not_here_is_that_of_those_that_are(
    archive, settings, listed, tmp_path
):
    images = [tmp_path / name for name in NAMES]
    archive.faults[at_bucket(NAMES[2])] = [500, "no ranges"]
    run_fetch_headers(listed, tmp_path / "headers.zip", images=images, settings=settings)
    assert set(archive.asked("_ffic.fits")) == {"bytes=0-40319"}
    assert not any(image.exists() for image in images)
    for index, (name, content) in enumerate(sorted(read_headers(tmp_path / "headers.zip").items())):
        assert name == NAMES[index]
        assert ffi_bytes(index, 3, 2).startswith(content)

    options = {"on_bad_image": "error"}
    before, after = tmp_path / "before.ecsv", tmp_path / "after.ecsv"
    run_ffi_table(images, before, CCD, headers=[tmp_path / "headers.zip"], **options)
    run_fetch(listed, images, settings=settings)
    run_ffi_table(images, after, CCD, **options)
    assert rows_of(before) == rows_of(after)


def rows_of(path):
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def test_headers_that_are_longer_than_usual(archive, settings, listed, tmp_path, monkeypatch):
    monkeypatch.setattr("tessphot_lib.steps.fetch.BEGINNING", 2880)
    run_fetch_headers(listed, tmp_path / "h.zip", images=[tmp_path / NAMES[4]], settings=settings)
    assert archive.asked(NAMES[4]) == ["bytes=0-2879", "bytes=0-11519"]
    assert read_headers(tmp_path / "h.zip")[NAMES[4]] == two_headers(ffi_bytes(4, 3, 2))


@pytest.mark.parametrize("length", [0, 79, 2879, 2880, 2900, 5759])
def test_headers_that_do_not_end(length):
    assert two_headers(ffi_bytes(0)[:length]) is None


def test_archive_of_headers_that_is_none(tmp_path):
    (tmp_path / "h.zip").write_text("no")
    with pytest.raises(InputDataError, match=r"h\.zip: cannot be read"):
        read_headers(tmp_path / "h.zip")


def test_incomplete_blocks_are_set_aside(tmp_path):
    images = [tmp_path / name for name in NAMES[:4]]
    for image in images:
        image.write_text(image.name)
    set_aside(images)
    assert all(image.exists() for image in images)
    images[2].unlink()
    set_aside(images)
    assert not any(image.exists() for image in images)
    kept = sorted(path.name for path in (tmp_path / INCOMING).iterdir())
    assert kept == [NAMES[index] for index in (0, 1, 3)]
    set_aside(images)
    assert not any(re.match("tess", path.name) for path in tmp_path.iterdir())
