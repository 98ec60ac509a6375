"""What a run consists of: CCDs, files of each, and what it makes in the end or up to a stage."""

import copy
from dataclasses import replace

import pytest
from configurations import SCHEMA
from conftest import make_images

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.plan.config import read_config
from tessphot_lib.plan.run import TPF_LISTING, Plan
from tests.io.images.test_tpf import write_tpf

HERE, OTHER = CcdId(14, 3, 2), CcdId(14, 3, 4)
CCD, OTHER_CCD = "results/s0014-cam3-ccd2", "results/s0014-cam3-ccd4"


@pytest.fixture
def config(config, tmp_path):
    """Two CCDs with 20 and 3 images, a window that holds two of 4 x 2 tiles."""
    make_images(tmp_path / "ffi", 20, camera=3, ccd=2)
    make_images(tmp_path / "ffi", 3, camera=3, ccd=4)
    config["ccds"] = [1, 2, 4]
    config["input"] |= {"ffi_dir": "../ffi", "window": [100, 300, 900, 1100]}
    config["prepare"]["block_size"] = 8
    config["photometry"]["tiles"] = [4, 2]
    return config


def test_ccds_asked_for(config):
    config |= {"sectors": [14, 3], "cameras": [4], "ccds": [2, 1]}
    assert list(map(str, AskedCcds.from_config(config).by_name())) == [
        "s0014-cam4-ccd2",
        "s0014-cam4-ccd1",
        "s0003-cam4-ccd2",
        "s0003-cam4-ccd1",
    ]


def test_files_of_a_run(config):
    plan = Plan(config)
    assert plan.ccds == [HERE, OTHER]
    assert plan.warnings == ["left out, no images in '../ffi': s0014-cam3-ccd1"]
    assert plan.tiles_of(HERE) == ["r0c0", "r0c1"]
    assert plan.of_each_ccd("prf.fits") == [f"{CCD}/prf.fits", f"{OTHER_CCD}/prf.fits"]
    blocks = plan.source.blocks_of(HERE)
    assert plan.block_files(HERE) == [f"{CCD}/blocks/{block}.hdf5" for block in blocks]
    assert sum(map(len, blocks.values())) == 20
    last = list(blocks)[-1]
    assert plan.images_of_block(HERE, last) == plan.source.images_of(HERE)[-len(blocks[last]) :]
    with pytest.raises(ConfigError, match=r"^s0014-cam3-ccd4 has no block b0000001$"):
        plan.images_of_block(OTHER, "b0000001")
    assert plan.ffi_tables_of(14) == [f"{CCD}/ffis.ecsv", f"{OTHER_CCD}/ffis.ecsv"]
    assert plan.ffi_tables_of(15) == []
    assert plan.star_list(HERE) == "../tic.csv"
    assert plan.settings("output", "version") == {"version": 1}


def test_products(config):
    plan = Plan(config)
    assert plan.first_products == []
    of_ccds = [*plan.of_each_ccd("todo.sqlite"), *plan.measured]
    of_run = ["results/summary.txt", "results/run.json", "results/todo.sqlite"]
    assert plan.products == [*of_run, "results/report/index.html", *of_ccds]
    config["output"]["report"] = False
    assert plan.products == [*of_run, *of_ccds]
    config["output"]["pictures"] = True
    assert plan.products[3:6] == [
        "results/pictures/average_image_s0014-cam3-ccd2.png",
        "results/pictures/average_image_s0014-cam3-ccd4.png",
        "results/pictures/light_curve.png",
    ]


@pytest.mark.parametrize(
    ("stage", "name"),
    [("catalog", "catalog.sqlite"), ("prepare", "pixels.hdf5"), ("todo", "todo.sqlite")],
)
def test_products_up_to_a_stage(config, stage, name):
    assert Plan(config).products_up_to(stage) == [f"{CCD}/{name}", f"{OTHER_CCD}/{name}"]


def test_light_curves_are_of_tiles_or_of_listed_stars(config):
    plan = Plan(config)
    tiles_of = plan.tiles_of(HERE)
    tiles = [f"{ccd}/diagnostics/{tile}.ecsv" for ccd in (CCD, OTHER_CCD) for tile in tiles_of]
    assert plan.diagnostics == tiles
    curves = [f"{ccd}/lightcurves/{tile}" for ccd in (CCD, OTHER_CCD) for tile in tiles_of]
    assert plan.measured == plan.products_up_to("photometry") == tiles + curves
    config["targets"]["tic_ids"] = [5]
    assert plan.products_up_to("photometry") == [f"{CCD}/targets", f"{OTHER_CCD}/targets"]


@pytest.mark.parametrize("stage", ["catalog", "prepare", "todo", "photometry"])
def test_unknown_images_are_listed_first_whatever_is_asked_for(config, stage):
    config["input"]["source"] = "mast"
    plan = Plan(config)
    lists = [f"results/{ccd_id}/ffi_list.csv" for ccd_id in AskedCcds.from_config(config).by_name()]
    assert plan.products_up_to(stage) == plan.products == plan.lists_to_fetch == lists
    (said,) = plan.warnings
    assert "this run only fetches their lists (rule fetch_list)" in said


def test_stars_come_first_where_there_are_no_images_yet(config):
    config["input"]["ffi_dir"] = "../none"
    config["catalog"] |= {"source": "mast", "footprint": "pointing"}
    plan = Plan(config)
    stars = [f"results/{ccd_id}/tic.fits" for ccd_id in AskedCcds.from_config(config).by_name()]
    assert plan.products_up_to("todo") == plan.products == stars
    assert plan.input_files() == []


def test_only_cutouts_have_tables_of_cutouts(config, tmp_path):
    plan = Plan(config)
    assert plan.cutout_table(HERE) == plan.not_measured == []
    assert plan.outputs_beside_todo(plan.ccds) == {}
    (tmp_path / "cuts").mkdir()
    (tmp_path / "cuts" / "tess-s0014-3-2_9.0_1.0_5x5_astrocut.fits").touch()
    config["input"] |= {"source": "tesscut", "cutout_dir": "../cuts"}
    plan = Plan(config)
    assert plan.cutout_table(HERE) == [f"{CCD}/cutouts.ecsv"]
    assert plan.not_measured == [f"{CCD}/not_measured.ecsv"]
    assert plan.outputs_beside_todo(plan.ccds) == {
        "not_measured": "results/{ccd_id}/not_measured.ecsv"
    }
    assert plan.footprint_cutouts(HERE) == f"{CCD}/cutouts.ecsv"


def test_footprint_by_images_or_pointing(config):
    plan = Plan(config)
    assert (plan.footprint_table(HERE), plan.footprint_cutouts(HERE)) == (f"{CCD}/ffis.ecsv", [])
    config["catalog"]["footprint"] = "pointing"
    assert (plan.footprint_table(HERE), plan.footprint_cutouts(HERE)) == ([], [])


@pytest.mark.parametrize(
    ("source", "name"), [("simulated", "tic.csv"), ("mast", "tic.fits"), ("vizier", "tic.fits")]
)
def test_star_list_by_source(config, source, name):
    plan = Plan(config)
    config["catalog"]["source"] = source
    assert plan.star_list(OTHER) == f"{OTHER_CCD}/{name}"


def test_files_that_settings_ask_for(config):
    plan = Plan(config)
    assert plan.trends_file(HERE) == f"{CCD}/trends.hdf5"
    config["photometry"]["correction"]["method"] = "motion"
    assert plan.trends_file(HERE) == []
    assert plan.ephemeris_files() == plan.star_list_files() == plan.prf_files(HERE) == []
    config["times"]["ephemeris"] = "tess.bsp"
    assert plan.ephemeris_files() == ["tess.bsp"]
    config["todo"]["exclude"] = "not_these.csv"
    assert plan.star_list_files() == ["not_these.csv"]


def test_memory_by_window_and_block_size(config):
    """200 x 200 pixels, 8 images to a block."""
    assert Plan(config).memory(10, 100, 50)(None, 1) == 10 + 20


def test_target_pixel_files(config, tmp_path):
    cards = ("SECTOR  = 14", "CAMERA  = 3", "CCD     = 4", "END")
    (tmp_path / "tpf").mkdir()
    path = tmp_path / "tpf" / "tess2019198215352-s0014-0000000000000007-0150-s_tp.fits"
    path.write_text("".join(f"{card:80}" for card in cards))
    config["input"]["tpf_dir"] = "../tpf"
    plan = Plan(config)
    assert plan.tpfs_of(HERE) == []
    assert plan.tpfs_of(OTHER) == [f"../tpf/{path.name}"]
    assert "input.tpf_dir: no target pixel file of s0014-cam3-ccd2 in '../tpf'" in plan.warnings
    plan.keep_listings()
    assert TPF_LISTING.exists()
    path.unlink()
    of_job = Plan(config, is_main=False)
    assert of_job.tpfs_of(OTHER) == plan.tpfs_of(OTHER)
    assert of_job.warnings == []
    assert of_job.block_files(HERE) == plan.block_files(HERE)


def test_name_that_is_no_date_is_found_before_any_job(config, tmp_path):
    (tmp_path / "ffi" / "tess2019999201929-s0014-3-2-0150-s_ffic.fits").touch()
    with pytest.raises(InputDataError, match="'2019999201929' in a file name is no date"):
        Plan(config)


def test_configuration_is_merged_and_read(config):
    given = [("config.yaml", config), ("--config", {"targets": {"tic_ids": ["7"]}})]
    read, warnings = read_config(given, SCHEMA, is_main=True)
    assert read["targets"]["tic_ids"] == [7]
    assert read["input"] == config["input"]
    assert warnings == []


def test_an_empty_list_of_stars_that_somebody_wrote_is_said_to_mean_all(config):
    empty = {"targets": {"tic_ids": []}}
    given = [("config.yaml", config | empty)]
    assert read_config(given, SCHEMA, is_main=True)[1] == []  # the default
    _, warnings = read_config([*given, ("mine.yaml", empty)], SCHEMA, is_main=True)
    assert warnings == [
        "targets.tic_ids: empty in mine.yaml: all stars of the todo list are measured"
    ]
    later = ("--config", {"targets": {"tic_ids": [7]}})
    assert read_config([*given, ("mine.yaml", empty), later], SCHEMA, is_main=True)[1] == []


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("todo", "exclude", "none.csv", "todo.exclude: there is no file 'none.csv'"),
        ("todo", "methods", {7: "none"}, "method 'none' of TIC 7 must be one of"),
        ("input", "ffi_dir", "../none", "input.ffi_dir: there is no folder '../none'"),
        ("photometry", "linpsf", {"free_limit": 9}, "photometry.linpsf.free_limit: 9 is brighter"),
    ],
)
def test_main_process_checks_the_configuration(config, section, key, value, said):
    given = [("config.yaml", copy.deepcopy(config)), ("mine.yaml", {section: {key: value}})]
    with pytest.raises((ConfigError, InputDataError), match=said):
        read_config(given, SCHEMA, is_main=True)
    read_config(given, SCHEMA, is_main=False)


def test_mistake_under_an_old_name_comes_with_the_new_one(config):
    mine = {"prepare": {"background": {"anomaly_limit": "x"}}}
    with pytest.raises(ConfigError) as caught:
        read_config([("config.yaml", config), ("mine.yaml", mine)], SCHEMA, is_main=True)
    _, problem, renamed = str(caught.value).splitlines()
    assert problem.startswith("prepare.background.reflection_limit: 'x' must be")
    assert "mine.yaml" in renamed and "anomaly_limit" in renamed


def test_cutouts_have_as_few_tiles_as_their_number_needs(config, tmp_path):
    """With the 8 x 8 tiles of whole CCDs 60 of 64 jobs for four stars found none."""
    folder = tmp_path / "cutouts"
    folder.mkdir()
    for number in range(201):
        name = f"tess-s0014-3-2_{100 + number / 100:.6f}_20.000000_15x15_astrocut.fits"
        (folder / name).touch()
    config["input"] |= {"source": "tesscut", "cutout_dir": str(folder), "window": None}
    config |= {"ccds": [2]}
    config["photometry"]["tiles"] = None
    plan = Plan(config)
    (ccd_id,) = plan.ccds
    assert plan.grid_of(ccd_id) == [2, 2]
    plan.keep_listings()
    assert Plan(config, is_main=False).tiles_of(ccd_id) == plan.tiles_of(ccd_id)
    next(folder.iterdir()).unlink()
    assert Plan(config).tiles_of(ccd_id) == ["r0c0"]
    config["photometry"]["tiles"] = [4, 1]
    assert Plan(config).grid_of(ccd_id) == [4, 1]


def test_images_have_tiles_of_the_usual_size(config):
    config["input"]["window"] = None
    config["photometry"]["tiles"] = None
    plan = Plan(config)
    assert [len(plan.tiles_of(ccd_id)) for ccd_id in plan.ccds] == [64] * len(plan.ccds)


def test_target_pixel_files_beside_images_have_tiles_by_their_number(config, tmp_path):
    """With the 8 x 8 tiles of the images most of the jobs for a few stars found none."""
    for tic_id in (5, 6):
        write_tpf(tmp_path / "tpf", tic_id, ccd_id=HERE)
    config["input"] |= {"datasources": ["ffi", "tpf"], "tpf_dir": "../tpf", "window": None}
    config["photometry"]["tiles"] = None
    plan = Plan(config)
    stamps = replace(HERE, cadence=120)
    assert plan.ccds == [HERE, OTHER, stamps]
    assert [len(plan.tiles_of(ccd_id)) for ccd_id in plan.ccds] == [64, 64, 1]
    assert plan.photometry_of(stamps, "method", "tiles") == {"method": "auto", "tiles": [1, 1]}
    assert plan.photometry_of(HERE)["tiles"] == [8, 8]
    assert config["photometry"]["tiles"] is None
    assert len(plan.light_curve_folders(stamps)) == 1
    config["photometry"]["tiles"] = [4, 2]
    assert Plan(config).grid_of(stamps) == [4, 2]


def test_fast_target_pixel_files_have_more_tiles(config, tmp_path):
    """They have six times as many cadences, and a tile holds the light curves of all its stars."""
    for is_fast in (False, True):
        first = write_tpf(tmp_path / "tpf", 5, ccd_id=HERE, fast=is_fast)
        for tic_id in range(6, 39):
            first.with_name(first.name.replace(f"{5:016d}", f"{tic_id:016d}")).hardlink_to(first)
    config["input"] |= {"datasources": ["tpf"], "tpf_dir": "../tpf", "window": None}
    config["photometry"]["tiles"] = None
    plan = Plan(config)
    slow, fast = (replace(HERE, cadence=cadence) for cadence in (120, 20))
    assert (plan.grid_of(slow), plan.grid_of(fast)) == ([1, 1], [2, 2])
    next((tmp_path / "tpf").glob("*fast*")).unlink()
    assert Plan(config).grid_of(fast) == [1, 1]


def test_target_pixel_files_that_are_not_there_yet(config, tmp_path):
    """Nothing is searched for in a folder that a download is going to make."""
    config["input"] |= {"datasources": ["tpf"], "tpf_dir": "../tpf"}
    config["input"]["tpfs"] = {"targets": [5], "cadences": [120]}
    plan = Plan(config)
    assert plan.products == [plan.stamps.list_path]
    assert plan.tpfs == {}
    for sources in (["tpf"], ["ffi", "tpf"]):  # the images are there
        config["input"]["datasources"] = sources
        plan = Plan(config)
        said = "; ".join(plan.warnings)
        assert "this run only fetches the target pixel files (rule fetch_tpfs). " in said
        with pytest.raises(ConfigError, match=r"^input\.tpfs\.targets does not go with the prefix"):
            plan.refuse_prefix("phot/")


def test_limit_of_the_fits_follows_that_of_the_stars(config):
    for faint_limit, expected in ((15.0, 16.0), (17.0, 17.0)):
        mine = {"todo": {"faint_limit": faint_limit}}
        given = [("config.yaml", copy.deepcopy(config)), ("mine.yaml", mine)]
        read, _ = read_config(given, SCHEMA, is_main=True)
        assert read["photometry"]["linpsf"]["free_limit"] == expected


def test_files_that_a_run_reads(config, tmp_path):
    (tmp_path / "no.csv").write_text("tic_id\n7\n")
    config["todo"]["exclude"] = "../no.csv"
    files = Plan(config).input_files()
    assert len(files) == len(set(files)) == 20 + 3 + 2
    assert files[-2:] == ["../tic.csv", "../no.csv"]
    assert all("_ffic.fits" in path for path in files[:-2])
