"""Files and folders appear complete or not at all."""

import errno

import pytest

from tessphot_lib.core.errors import OutputError
from tessphot_lib.io.files.atomic import complete_file, complete_folder, remove_partials


@pytest.mark.parametrize("sync", [False, True])
def test_file_appears_when_the_block_ends(tmp_path, sync):
    path = tmp_path / "new" / "folder" / "data.fits.gz"
    with complete_file(path, sync=sync) as partial:
        assert partial.parent == path.parent
        assert partial.name.startswith("data.fits.gz.partial-")
        partial.write_bytes(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "data"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), complete_file(path) as partial:
        partial.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_before_anything_was_written(tmp_path):
    with pytest.raises(ZeroDivisionError), complete_file(tmp_path / "data"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "data"
    with complete_file(path) as first, complete_file(path) as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert path.read_text() == "1"


def test_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "r3c5"
    path.mkdir()
    (path / "stale").write_text("of the last run")
    with complete_folder(path) as partial:
        (partial / "star").write_text("new")
        assert (path / "stale").exists()
    assert [file.name for file in path.iterdir()] == ["star"]
    assert list(tmp_path.iterdir()) == [path]


def test_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "r3c5"
    path.mkdir()
    (path / "star").write_text("old")
    with pytest.raises(ZeroDivisionError), complete_folder(path) as partial:
        (partial / "star").write_text("new")
        raise ZeroDivisionError
    assert (path / "star").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("complete", [complete_file, complete_folder])
def test_full_disk_is_told_in_one_line(tmp_path, complete):
    path = tmp_path / "data"
    with (
        pytest.raises(OutputError, match=r"data: cannot be written: No space left"),
        complete(path),
    ):
        raise OSError(errno.ENOSPC, "Can't write data (file write failed: ...)")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "results").write_text("a file where a folder should be")
    path = tmp_path / "results" / "ccd" / "data"
    with pytest.raises(OutputError, match=r"data: cannot be written: Not a directory"):
        complete_file(path).__enter__()


def test_errors_of_reading_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError, match="other"), complete_file(tmp_path / "results" / "x"):
        raise PermissionError(errno.EACCES, "Permission denied", "/other/file")
    with pytest.raises(FileNotFoundError), complete_file(tmp_path / "results" / "x"):
        raise FileNotFoundError(errno.ENOENT, "No such file", str(tmp_path / "results" / "y"))


def test_what_killed_processes_left_is_removed(tmp_path):
    deep = tmp_path / "ccd" / "lightcurves"
    for folder in (tmp_path / "a.partial-1-ab", deep / "r0c0.old-1-ab", deep / "r0c0"):
        folder.mkdir(parents=True)
        (folder / "star.partial-1-ab").touch()
    (tmp_path / "ccd" / "pixels.hdf5.partial-1-ab").touch()
    removed = remove_partials(tmp_path, 3)
    assert [path.name for path in removed] == [
        "a.partial-1-ab",
        "r0c0.old-1-ab",
        "pixels.hdf5.partial-1-ab",
    ]
    left = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))]
    assert left == [
        "ccd",
        "ccd/lightcurves",
        "ccd/lightcurves/r0c0",
        "ccd/lightcurves/r0c0/star.partial-1-ab",  # as deep as was asked for, no deeper
    ]
    assert remove_partials(tmp_path / "nowhere", 3) == []
