"""Files and folders appear complete or not at all."""

import pytest

from tessphot_lib.io.atomic import complete_file, complete_folder


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
