"""Sectors as ranges, stars from files."""

import copy

import pytest

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.plan.checks import contradictions
from tessphot_lib.plan.lists import with_lists
from tessphot_lib.plan.run import Plan

CUTOUTS = ("tess-s0008-3-4_1.5_2.5_5x5_astrocut.fits", "tess-s0035-3-4_1.5_2.5_5x5_astrocut.fits")
OTHER_CAMERA = "tess-s0009-1-4_1.5_2.5_5x5_astrocut.fits"


@pytest.fixture
def stars(tmp_path):
    """Write a list of stars; returns its path from the folder of the run."""

    def write(*lines):
        (tmp_path / "stars.csv").write_text("\n".join(lines) + "\n")
        return "../stars.csv"

    return write


@pytest.fixture
def cutouts(config, tmp_path):
    """A configuration over a folder of cutouts of two sectors, and one of another camera."""
    (tmp_path / "cutouts").mkdir()
    for name in (*CUTOUTS, OTHER_CAMERA):
        (tmp_path / "cutouts" / name).touch()
    config["input"] |= {"source": "tesscut", "cutout_dir": "../cutouts"}
    return config | {"sectors": "all", "cameras": [3], "ccds": [1, 4]}


def test_ranges_of_sectors(config):
    for given, wanted in (("all", "all"), ("3,1-2", [1, 2, 3]), ("27", [27]), ([5], [5])):
        before = copy.deepcopy(config | {"sectors": given})
        config["sectors"] = given
        assert with_lists(config)["sectors"] == wanted
        assert config == before
    with pytest.raises(ConfigError, match=r"^sectors: '3-1' is not like all, 1-13 or 27,28"):
        with_lists(config | {"sectors": "3-1"})


def test_stars_from_files(config, stars):
    config["targets"]["tic_ids"] = stars("# mine", "TIC 7", "5", "7")
    assert with_lists(config)["targets"]["tic_ids"] == [7, 5]
    config["targets"]["tic_ids"] = []
    config["input"]["cutouts"]["targets"] = stars("tic,ra,dec,tmag", "7,,,", ",129.25,-53.5,11.0")
    assert with_lists(config)["input"]["cutouts"]["targets"] == [7, [129.25, -53.5]]


def test_files_of_stars_for_target_pixel_files_and_at_home(config, stars, tmp_path, monkeypatch):
    config["input"]["tpfs"]["targets"] = stars("7", "9")
    before = copy.deepcopy(config)
    assert with_lists(config)["input"]["tpfs"]["targets"] == [7, 9]
    assert config == before
    config["input"]["tpfs"]["targets"] = stars("129.25 -53.5")
    with pytest.raises(ConfigError, match=r"input\.tpfs\.targets: .* only numbers of the TIC here"):
        with_lists(config)
    config["input"]["tpfs"]["targets"] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    config["targets"]["tic_ids"] = "~/stars.csv"
    (tmp_path / "stars.csv").write_text("11\n")
    assert with_lists(config)["targets"]["tic_ids"] == [11]
    (tmp_path / "stars.csv").write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(ConfigError, match=r"^targets\.tic_ids: .* cannot be read: it is no text$"):
        with_lists(config)


def test_each_line_that_makes_no_sense_is_told(config, stars):
    config["targets"]["tic_ids"] = stars("7", "500,10", "RY Tau", "84.5 -80.25", "8")
    with pytest.raises(ConfigError) as told:
        with_lists(config)
    assert str(told.value).splitlines() == [
        "3 errors in the configuration:",
        "targets.tic_ids: ../stars.csv: line 2: '500,10' is not right ascension and declination "
        "in degrees",
        "targets.tic_ids: ../stars.csv: RY Tau: only numbers of the TIC here; nothing is looked up "
        "before a run; tessphot get takes names and numbers of Gaia",
        "targets.tic_ids: ../stars.csv: 84.50000 -80.25000: only numbers of the TIC here",
    ]


def test_a_file_without_stars_does_not_mean_all_stars(config, stars):
    config["targets"]["tic_ids"] = stars("# none yet")
    with pytest.raises(ConfigError, match=r"^targets\.tic_ids: \.\./stars\.csv names no star$"):
        with_lists(config)
    config["targets"]["tic_ids"] = "nowhere.csv"
    with pytest.raises(ConfigError, match=r"^targets\.tic_ids: 'nowhere\.csv' cannot be read: No"):
        with_lists(config)


def test_all_sectors_are_those_of_the_files(cutouts):
    plan = Plan(cutouts)
    assert plan.ccds == [CcdId(8, 3, 4), CcdId(35, 3, 4)]
    assert plan.warnings == [
        "not asked for by sectors, cameras and ccds: the cutouts of s0009-cam1-ccd4"
    ]
    plan.keep_listings()
    assert Plan(cutouts, is_main=False).ccds == plan.ccds
    with pytest.raises(ConfigError, match="no image of these cameras and CCDs in"):
        Plan(cutouts | {"ccds": [2]})


def test_all_sectors_before_the_cutouts_are_fetched(cutouts):
    cutouts["input"]["cutouts"]["targets"] = [7]
    plan = Plan(cutouts)
    assert plan.ccds == plan.trends_files == []
    assert plan.products == plan.lists_to_fetch == [plan.source.list_path]


def test_joined_light_curves_are_of_listed_stars(cutouts):
    cutouts["output"]["joined"] = True
    (problem,) = contradictions(cutouts)
    assert problem.startswith("output.joined: true needs stars")
    assert "results/joined" in Plan(cutouts | {"targets": {"tic_ids": [7]}}).products


@pytest.mark.parametrize("source", ["mast", "simulated"])
def test_all_sectors_need_images_that_are_here(config, source):
    config["sectors"] = "all"
    config["input"]["source"] = source
    config["catalog"] |= {"source": "file", "file": "../tic.csv"}
    assert [line for line in contradictions(config) if line.startswith("sectors")] == [
        f"sectors: 'all' does not go with input.source: {source}, whose images are not here yet: "
        "name the sectors"
    ]


@pytest.mark.parametrize(
    ("sectors", "problem"),
    [
        ("All", "'all' does not go with input.source: mast"),
        ("3-1", "'3-1' is not like all, 1-13 or 27,28"),
        ("1-3", None),
    ],
)
def test_a_text_of_sectors_is_checked_with_all_else(config, sectors, problem):
    config["sectors"] = sectors
    config["input"]["source"] = "mast"
    config["output"]["joined"] = True
    found = list(contradictions(config))
    assert [one for one in found if one.startswith("output.joined: true needs stars")]
    of_sectors = [one for one in found if one.startswith("sectors: ")]
    assert len(of_sectors) == (problem is not None)
    assert problem is None or of_sectors[0].startswith(f"sectors: {problem}")
