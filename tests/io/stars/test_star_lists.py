"""Lists of stars in the configuration and in CSV files."""

import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.stars.star_lists import in_sector, list_files, read_excluded, read_methods


@pytest.fixture
def csv_file(tmp_path):
    def write(text):
        path = tmp_path / "list.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def test_stars_in_the_configuration():
    named = [7, "8", {"tic_id": 9, "sector": 14, "reason": "a planet"}, {"tic_id": 9}]
    assert read_excluded(named) == {
        (7, None): "",
        (8, None): "",
        (9, 14): "a planet",
        (9, None): "",
    }
    assert read_methods({7: "psf", "8": "halo"}) == {(7, None): "psf", (8, None): "halo"}
    assert read_excluded([]) == read_methods({}) == {}


def test_stars_in_files(csv_file):
    text = '\ufeff# my list\n\nSector, TIC_ID,reason\n14, 7 ,"far, far"\n,8,\n15,7,\n'
    assert read_excluded(csv_file(text)) == {(7, 14): "far, far", (8, None): "", (7, 15): ""}
    assert read_methods(csv_file("tic_id,method\r\n7,linpsf\r\n")) == {(7, None): "linpsf"}
    assert read_methods(csv_file("tic_id,method\n")) == {}


def test_a_named_sector_goes_first():
    stars = {(7, 14): "psf", (7, None): "halo", (8, None): "linpsf", (9, 15): "psf"}
    assert in_sector(stars, 14) == {7: "psf", 8: "linpsf"}
    assert in_sector(stars, 15) == {7: "halo", 8: "linpsf", 9: "psf"}


def test_files_that_are_named(tmp_path):
    assert list_files({"exclude": [], "methods": {}}) == []
    path = tmp_path / "a.csv"
    assert list_files({"exclude": str(path), "methods": {}}) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tic_id\n7\nabc\n", "line 3: tic_id 'abc' is not a whole number from 1 to 99999999999"),
        ("tic_id\n7.0\n", "line 2: tic_id '7.0' is not a whole"),
        ("tic_id\n0\n", "line 2: tic_id '0' is not a whole"),
        ("tic_id,sector\n7,x\n", "line 2: sector 'x' is not a whole number from 1 to 9999"),
        ("tic_id,sector\n7\n", "line 2: 1 value, but the header has 2 columns"),
        ("tic_id\n7\n8\n7\n", "line 4: tic_id 7 is listed twice"),
        ("tic_id,sector\n7,14\n7,14\n", "line 3: tic_id 7 is listed twice in sector 14"),
        ("7\n8\n", "line 1: there is no tic_id among 7"),
        ("tic_id,sectro\n7,1\n", "line 1: 'sectro' is unknown; known are tic_id, sector, reason"),
        ("tic_id,tic_id\n7,1\n", "line 1: 'tic_id' is there twice"),
        ("", "has no header; it should be tic_id"),
        (b"tic_id\n\xff\n", "cannot be read as CSV: 'utf-8' codec"),
    ],
)
def test_files_that_make_no_sense(csv_file, text, message):
    path = csv_file(text)
    with pytest.raises(InputDataError) as caught:
        read_excluded(path)
    said = str(caught.value)
    assert said.startswith(f"todo.exclude: {path}")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tic_id,method\n7,lin\n", "line 2: method 'lin' of TIC 7 must be one of aperture, linpsf"),
        ("tic_id\n7\n", "line 1: there is no method among tic_id"),
    ],
)
def test_methods_that_make_no_sense(csv_file, text, message):
    with pytest.raises(InputDataError, match=message):
        read_methods(csv_file(text))


@pytest.mark.parametrize(
    ("read", "named", "message"),
    [
        (read_excluded, [7, True], r"^todo\.exclude\[1\]: tic_id True is not a whole"),
        (read_excluded, [{"tic_id": 7, "sector": 0}], r"^todo\.exclude\[0\]: sector 0 is not"),
        (read_excluded, [{"star": 7}], r"^todo\.exclude\[0\]: there is no tic_id among star"),
        (read_excluded, [{"tic_id": 7, "x": 1}], r"^todo\.exclude\[0\]: 'x' is unknown"),
        (read_excluded, [7, 7], r"^todo\.exclude\[1\]: tic_id 7 is listed twice"),
        (read_excluded, "none.csv", r"^todo\.exclude: there is no file 'none\.csv'"),
        (read_methods, {"x": "psf"}, r"^todo\.methods: tic_id 'x' is not a whole"),
        (read_methods, {7: "lin"}, r"^todo\.methods: method 'lin' of TIC 7 must be one of"),
        (read_methods, {7: None}, r"^todo\.methods: method None of TIC 7 must be one of"),
    ],
)
def test_configurations_that_make_no_sense(read, named, message):
    with pytest.raises(InputDataError, match=message):
        read(named)


@pytest.mark.parametrize("name", ["stars.fits", "stars.ecsv", "stars.csv.gz", "stars.VOT"])
def test_lists_are_csv_only(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputDataError, match=f"{name}: should be a CSV file, with a header$"):
        read_excluded(str(tmp_path / name))
