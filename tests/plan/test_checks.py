"""What keys, files and the environment say of each other: one line for each contradiction."""

import copy
import io

import pandas as pd
import pytest
from configurations import ONE_STAR, SCHEMA, put, without_mistakes
from star_tables import STAR_TABLES, write_star_table

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.plan.checks import check_config


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A configuration without mistakes."""
    monkeypatch.delenv("TESSPHOT_INPUT", raising=False)
    return without_mistakes(tmp_path)


def problems(config):
    with pytest.raises(ConfigError) as caught:
        check_config(config, SCHEMA)
    first, *others = str(caught.value).splitlines()
    expected = "1 error" if len(others) == 1 else f"{len(others)} errors"
    assert first == f"{expected} in the configuration:"
    return others


def test_configuration_without_mistakes(config):
    before = copy.deepcopy(config)
    check_config(config, SCHEMA)
    assert config == before


def test_mistakes_of_the_schema_come_first(config):
    put(config, "cameras", [0])
    put(config, "input.window", [9, 2, 3, 4])
    assert problems(config) == ["cameras[0]: 0 must be at least 1"]
    put(config, "cameras", [1])
    put(config, "times.ephemeris", "x.bsp")
    assert [line.split(":")[0] for line in problems(config)] == ["input.window", "times.ephemeris"]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("input.source", "tesscut", "input.cutout_dir: must name a folder, since input.source is"),
        ("input.cutouts.targets", [[9, -95]], "input.cutouts.targets: [9, -95] is not [ra, dec]"),
        ("input.mast.time_range", [1684, 1683.5], "input.mast.time_range: 1684 is not before 1683"),
        ("times.ephemeris", "x.bsp", "times.ephemeris: there is no file 'x.bsp'"),
        ("input.tpf_dir", "x", "input.tpf_dir: there is no folder 'x'"),
        ("input.window", [9, 2, 3, 4], "input.window: window [9, 2, 3, 4] is empty or leaves"),
        ("input.ffi_dir", "/none", "input.ffi_dir: there is no folder '/none'"),
        ("catalog.source", "simulated", "goes with input.source: simulated only, which is 'ffi'"),
        ("catalog.file", None, "catalog.file: must name a file, since catalog.source is 'file'"),
        ("catalog.file", "/none/tic.csv", "catalog.file: there is no file '/none/tic.csv'"),
        ("catalog.file", "tic.doc", "'tic.doc' ends in none of .csv, .tsv, .ecsv, .fits"),
        ("catalog.faint_limit", 14, "todo.faint_limit: 15.0 is fainter than catalog.faint_limit"),
        ("prepare.motion.faint_limit", 7, "prepare.motion.bright_limit: 7.5 must be less than"),
        ("prf.bright_limit", 13.5, "prf.bright_limit: 13.5 must be less than faint_limit, 13.5"),
        ("prf.source", "spoc", "prf.folder: must name a folder, since prf.source is 'spoc'"),
        ("prf.folder", "x", "prf.folder: there is no folder 'x'"),
    ],
)
def test_contradiction_is_one_line(config, key, value, line):
    put(config, key, value)
    (said,) = problems(config)
    assert line in said


def test_folder_of_cutouts_may_come_with_them(config):
    config["input"] |= {"source": "tesscut", "cutout_dir": "/none"}
    (said,) = problems(config)
    assert "input.cutout_dir: there is no folder '/none'" in said
    config["input"]["cutouts"]["targets"] = [93549226, [129.5, -53.25]]
    check_config(config, SCHEMA)


@pytest.mark.parametrize("source", ["mast", "vizier"])
def test_stars_of_the_sky_are_not_those_of_a_simulation(config, source):
    config["catalog"] |= {"source": source, "file": None}
    check_config(config, SCHEMA)
    config["input"] |= {"source": "simulated", "ffi_dir": None}
    (said,) = problems(config)
    assert f"catalog.source: {source!r} does not go with input.source: simulated" in said


@pytest.mark.parametrize("is_installed", [True, False])
def test_footprint_by_pointing_needs_a_package_and_no_images(config, monkeypatch, is_installed):
    found = {"tesswcs": is_installed or None}
    monkeypatch.setattr("tessphot_lib.plan.stars.find_spec", found.get)
    config["input"]["ffi_dir"] = "/none"
    config["catalog"] |= {"source": "mast", "file": None, "footprint": "pointing"}
    if is_installed:
        check_config(config, SCHEMA)
    else:
        (said,) = problems(config)
        assert "catalog.footprint: 'pointing' needs the package tesswcs" in said


@pytest.mark.parametrize("name", STAR_TABLES)
@pytest.mark.parametrize("n_stars", [1, 0])
def test_readable_star_tables(config, tmp_path, name, n_stars):
    path = tmp_path / name
    write_star_table(path, pd.read_csv(io.StringIO(ONE_STAR)).iloc[:n_stars])
    config["catalog"]["file"] = str(path)
    if n_stars:
        check_config(config, SCHEMA)
    else:
        (said,) = problems(config)
        assert said == f"catalog.file: {path}: no stars in the file"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("ID,ra,dec,pmRA,pmDEC,Vmag\n7,280,35,,,9\n", "no column for tmag (as tmag)"),
        ("ID,ra,dec,pmRA,pmDEC,Tmag\n7,280,95,,,9\n", "row 1, column dec: '95' is not possible"),
        ("ID,ra,dec,pmRA,pmDEC,Tmag,tmag\n7,1,2,,,9,8\n", "column 'tmag' is there 2 times"),
    ],
)
def test_what_is_no_list_of_stars_is_told_before_any_job(config, tmp_path, content, reason):
    path = tmp_path / "stars.csv"
    path.write_text(content)
    config["catalog"]["file"] = str(path)
    (said,) = problems(config)
    assert said.startswith(f"catalog.file: {path}: {reason}")


@pytest.mark.parametrize("name", ["a.txt", "a.dat", "a.csv.zip", "a.parquet.gz", "csv", "a.gz"])
def test_star_tables_of_other_formats_are_refused(config, tmp_path, name):
    (tmp_path / name).touch()
    config["catalog"]["file"] = str(tmp_path / name)
    (said,) = problems(config)
    assert said.startswith(f"catalog.file: '{tmp_path / name}' ends in none of .csv, .tsv, ")


def test_simulation_needs_no_files(config):
    config["input"] |= {"source": "simulated", "ffi_dir": None}
    config["catalog"] |= {"source": "simulated", "file": None}
    check_config(config, SCHEMA)
