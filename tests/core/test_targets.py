"""What users call a star."""

import pytest

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.targets import (
    Target,
    name_sectors,
    parse_sectors,
    parse_target,
    read_targets,
)


@pytest.mark.parametrize("text", ["261136679", "TIC 261136679", "tic261136679", " TIC-261136679 "])
def test_number_in_the_tic(text):
    assert parse_target(text) == Target(tic_id=261136679)
    assert parse_target(text).label == "TIC261136679"


@pytest.mark.parametrize(
    "text", ["4623036865373793408", "Gaia DR3 4623036865373793408", "GaiaDR3_4623036865373793408"]
)
def test_number_in_gaia(text):
    target = parse_target(text)
    assert target == Target(gaia_id=4623036865373793408)
    assert str(target) == "Gaia DR3 4623036865373793408"


@pytest.mark.parametrize("text", ["84.2912 -80.4691", "84.2912,-80.4691", "84.2912 , -80.4691"])
def test_degrees(text):
    assert parse_target(text) == Target(position=(84.2912, -80.4691))


def test_degrees_and_magnitude():
    assert parse_target("84.2912, +80.4691, 11.5").tmag == 11.5
    assert parse_target("84.2912 80.4691", 9.0).tmag == 9.0


@pytest.mark.parametrize(
    "text", ["05:37:09.9 -80:28:09", "05 37 09.9 -80 28 09", "5h37m09.9s -80d28m09s"]
)
def test_sexagesimal(text):
    ra, dec = parse_target(text).position
    assert ra == pytest.approx(15 * (5 + 37 / 60 + 9.9 / 3600), abs=1e-9)
    assert dec == pytest.approx(-(80 + 28 / 60 + 9 / 3600), abs=1e-9)


def test_the_sign_of_small_declinations_counts():
    assert parse_target("01:00:00 -00:30:00").position == (15.0, -0.5)


def test_names():
    assert parse_target("pi  Men") == Target(name="pi Men")
    assert parse_target("2MASS J05370990-8028088").name is not None
    assert parse_target("V* RY Tau/b").label == "V_RY_Tau_b"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("0", "no number of a star"),
        ("TIC 99999999999999", "the TIC has no such number"),
        ("Gaia DR2 4623036865373793408", "only numbers of Gaia DR3"),
        ("400 10", "not right ascension and declination"),
        ("10 -91", "not right ascension and declination"),
        ("05:60:09.9 -80:28:09", "minutes and seconds must be less than 60"),
        ("05:37:60 -80:28:09", "minutes and seconds must be less than 60"),
        ("05:37:09 -80:60:09", "minutes and seconds must be less than 60"),
        ("05:37:09 -80:28:75.1", "minutes and seconds must be less than 60"),
        ("+-7", "no number, no coordinates and no name of a star$"),
        ("84.291", "no name of a star; coordinates go in one pair of quotes"),
    ],
)
def test_what_makes_no_sense(text, reason):
    with pytest.raises(ConfigError, match=reason):
        parse_target(text)


def test_list_of_lines_with_a_broken_one():
    lines = ["# mine", "", "TIC 7", "500,10", "84.5 -80.25 11", "RY Tau"]
    found = list(read_targets(lines, "stars.csv"))
    assert [one for one in found if isinstance(one, Target)] == [
        Target(tic_id=7),
        Target(position=(84.5, -80.25), tmag=11.0),
        Target(name="RY Tau"),
    ]
    (error,) = (one for one in found if isinstance(one, ConfigError))
    assert str(error).startswith("stars.csv: line 4: '500,10'")


def test_list_with_columns():
    lines = ["Name, TIC, ra, dec, Tmag", '"RY, Tau", 7, , ,', "x,,10,-20.5,12.5", "RY Tau,,,,"]
    lines += ["only,three,columns", ",,,,", "x,,10,-20.5,bright"]
    found = list(read_targets(lines, "list"))
    assert found[:3] == [
        Target(tic_id=7),
        Target(position=(10.0, -20.5), tmag=12.5, called="x"),
        Target(name="RY Tau"),
    ]
    assert (str(found[1]), found[1].label) == ("x", "x")
    assert [str(error)[:12] for error in found[3:]] == [
        "list: line 5",
        "list: line 6",
        "list: line 7",
    ]


def test_numbers_of_rows_are_not_taken_for_numbers_of_the_tic():
    for words, others in (("id,ra,dec", "ra"), ("Name, ID", "target"), ("ID,gaia,tmag", "gaia")):
        (error,) = read_targets([words, "1,10.0,-20.0", "2,11.0,-21.0"], "mine.csv")
        assert str(error) == (
            "mine.csv: line 1: column 'id': name it 'tic' if it holds TIC numbers, else leave it "
            f"out: there are other columns that name the star ({others})"
        )
    assert list(read_targets(["ID,Tmag", "7,11.0"], "list")) == [Target(tic_id=7, tmag=11.0)]


def test_columns_that_mean_the_same_are_refused():
    (error,) = read_targets(["tic,id,ra", "7,1,10.0"], "mine.csv")
    assert str(error) == "mine.csv: line 1: columns 'tic' and 'id' mean the same: leave one"


def test_brightness_counts_for_targets_of_a_list_that_have_none():
    lines = ["10.0 -20.0", "11.0 -21.0 12.5", "RY Tau"]
    assert [one.tmag for one in read_targets(lines, "list", 9.5)] == [9.5, 12.5, 9.5]
    lines = ["ra,dec,tmag", "10.0,-20.0,", "11.0,-21.0,12.5"]
    assert [one.tmag for one in read_targets(lines, "list", 9.5)] == [9.5, 12.5]


def test_sectors():
    assert parse_sectors("all") is None
    assert parse_sectors("1-3, 7,27") == {1, 2, 3, 7, 27}
    for wrong in ("", "3-1", "0", "one", "1;2"):
        with pytest.raises(ConfigError, match="--sectors"):
            parse_sectors(wrong)


@pytest.mark.parametrize(
    ("sectors", "name"),
    [({5}, "sector 5"), ([7, 1, 2, 3, 3], "sectors 1-3,7"), ({8, 9}, "sectors 8-9")],
)
def test_sectors_are_named_as_they_are_read(sectors, name):
    assert name_sectors(sectors) == name
    assert parse_sectors(name.split()[1]) == set(sectors)
