"""Files of a CCD: by name, from a folder or from the inputs of a job."""

from pathlib import Path

import pytest

from tessphot_lib.core.ccd_files import CcdFiles

INPUTS = {
    "prf": "run/prf.fits",
    "blocks": ["run/blocks/1.hdf5", "run/blocks/2.hdf5"],
    "todo": "run/todo.sqlite",
    "catalog": "run/catalog.sqlite",
    "pixels": "run/pixels.hdf5",
}


def test_inputs_go_by_their_names():
    files = CcdFiles.of_inputs(INPUTS)
    assert files.prf == Path("run/prf.fits")
    assert files.trends is None
    assert [path.name for path in files.paths()] == [
        *("pixels.hdf5", "catalog.sqlite", "todo.sqlite", "prf.fits")
    ]
    assert CcdFiles.of_inputs(INPUTS | {"trends": []}) == files
    more = CcdFiles.of_inputs(INPUTS | {"trends": "t.hdf5"})
    assert more.trends == Path("t.hdf5")
    assert more.paths()[-1] == Path("t.hdf5")


def test_missing_input_is_an_error():
    with pytest.raises(TypeError, match="'catalog'"):
        CcdFiles.of_inputs({name: path for name, path in INPUTS.items() if name != "catalog"})


def test_files_of_a_folder(tmp_path):
    files = CcdFiles.in_folder(tmp_path)
    assert files.todo == tmp_path / "todo.sqlite"
    assert files.trends is None
    (tmp_path / "trends.hdf5").touch()
    assert CcdFiles.in_folder(tmp_path).trends == tmp_path / "trends.hdf5"
    other = CcdFiles.in_folder(tmp_path, todo=Path("mine.sqlite"), trends=None)
    assert (other.todo, other.trends) == (Path("mine.sqlite"), None)
    assert other.prf == tmp_path / "prf.fits"
    with pytest.raises(TypeError, match="diary"):
        CcdFiles.in_folder(tmp_path, diary=Path("diary"))
