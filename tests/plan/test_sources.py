"""Where images are or will be, by source: folders, lists, names that follow from the settings."""

from dataclasses import replace
from pathlib import Path

import pytest
from tpf_header import write_tpf_header

from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.plan.source import LISTING, name_some
from tessphot_lib.plan.sources import SOURCES, FfiFolder, ffi_folder
from tessphot_lib.plan.stamp_sources import stamps_of

HERE, OTHER, EMPTY = CcdId(14, 3, 2), CcdId(14, 3, 4), CcdId(14, 1, 1)
DAYS = (199, 200, 202)  # of 2019, which begin at BTJD 1682.5, 1683.5 and 1685.5


def ffi_name(ccd_id, day):
    return f"tess2019{day}001929-s{ccd_id.sector:04d}-{ccd_id.camera}-{ccd_id.ccd}-0150-s_ffic.fits"


def make_ffis(folder, ccd_id, days=DAYS):
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        (folder / ffi_name(ccd_id, day)).touch()


def source_of(config, name, **settings):
    config["input"] |= {"source": name} | settings
    return SOURCES[name](config)


# A folder of full-frame images


def test_folder_of_the_images(config, monkeypatch):
    assert ffi_folder(config) == Path("data/ffi")
    monkeypatch.setenv("TESSPHOT_INPUT", "somewhere")
    assert ffi_folder(config) == Path("somewhere")
    config["input"]["ffi_dir"] = "here"
    assert ffi_folder(config) == Path("here")


def test_folder_is_named_as_the_user_did(config, monkeypatch):
    source = source_of(config, "ffi")
    assert source.folder_key == "input.ffi_dir and $TESSPHOT_INPUT are not set, the default"
    monkeypatch.setenv("TESSPHOT_INPUT", "somewhere")
    assert source.folder_key == "input.ffi_dir is null, $TESSPHOT_INPUT"
    (said,) = source.problems()
    assert said.startswith(f"{source.folder_key}: there is no folder 'somewhere'; ")
    config["input"]["ffi_dir"] = "here"
    assert source.folder_key == "input.ffi_dir"


def test_ccds_of_a_folder(config, tmp_path):
    make_ffis(tmp_path / "ffi" / "a", HERE)
    make_ffis(tmp_path / "ffi" / "b", OTHER, [200])
    source = source_of(config, "ffi", ffi_dir="../ffi")
    assert source.find([EMPTY, HERE], is_main=True) == [HERE]
    assert source.warnings == ["left out, no images in '../ffi': s0014-cam1-ccd1"]
    assert source.images_of(HERE) == [f"../ffi/a/{ffi_name(HERE, day)}" for day in DAYS]
    assert source.images_here(HERE) == source.images_of(HERE)
    assert source.headers_of(HERE) == source.lists_to_fetch([HERE]) == []
    assert not source.is_waiting
    with pytest.raises(ConfigError, match=r"^input\.ffi_dir: no image of s0014-cam1-ccd1 in '\.\."):
        source.find([EMPTY], is_main=True)


def test_blocks_of_a_folder(config, tmp_path):
    """Days 199 and 200 are one day apart, the median is a day and a half: blocks of 1.5 days."""
    make_ffis(tmp_path / "ffi", HERE)
    config["prepare"]["block_size"] = 1
    source = source_of(config, "ffi", ffi_dir="../ffi")
    source.find([HERE], is_main=True)
    first, second, third = source.images_of(HERE)
    # 1682.51 / 1.5 = 1121.68, 1683.51 / 1.5 = 1122.34, 1685.51 / 1.5 = 1123.68
    assert source.blocks_of(HERE) == {
        "b0001121": [first],
        "b0001122": [second],
        "b0001123": [third],
    }


def test_process_of_a_job_reads_what_was_kept(config, tmp_path):
    make_ffis(tmp_path / "ffi", HERE)
    make_ffis(tmp_path / "ffi", OTHER, [200])
    source = source_of(config, "ffi", ffi_dir="../ffi")
    source.find([HERE], is_main=True)
    source.keep_listing()
    assert LISTING.is_dir()
    make_ffis(tmp_path / "ffi", HERE, [203])
    make_ffis(tmp_path / "ffi", EMPTY)
    of_job = FfiFolder(config)
    assert of_job.find([EMPTY, HERE], is_main=False) == [HERE]
    assert of_job.images_of(HERE) == source.images_of(HERE)
    assert not of_job.is_waiting
    assert of_job.warnings == []


def test_jobs_take_no_ccd_that_has_no_images(config, tmp_path):
    """Unless the run is there for the lists of stars, before any image."""
    make_ffis(tmp_path / "ffi", HERE)
    config["input"]["ffi_dir"] = str(tmp_path / "ffi")
    source = FfiFolder(config)
    source.find([HERE], is_main=True)
    source.keep_listing()
    assert FfiFolder(config).find([EMPTY], is_main=False) == []
    config["catalog"] |= {"source": "mast", "footprint": "pointing"}
    assert FfiFolder(config).find([EMPTY], is_main=False) == [EMPTY]


def test_nothing_is_kept_of_a_folder_without_images(config, tmp_path):
    FfiFolder(config).keep_listing()
    assert not LISTING.exists()


def test_folder_may_wait_for_images_where_the_pointing_gives_the_stars(config, tmp_path):
    config["catalog"] |= {"source": "vizier", "footprint": "pointing"}
    source = source_of(config, "ffi", ffi_dir="../ffi")
    assert source.find([EMPTY, HERE], is_main=True) == [EMPTY, HERE]
    assert source.is_waiting
    (said,) = source.warnings
    assert "no images yet" in said
    source.keep_listing()
    of_job = source_of(config, "ffi", ffi_dir="../ffi")
    assert of_job.find([EMPTY, HERE], is_main=False) == [EMPTY, HERE]
    make_ffis(tmp_path / "ffi", HERE)
    assert source.find([EMPTY, HERE], is_main=True) == [HERE]
    assert not source.is_waiting
    config["catalog"]["footprint"] = "image"
    assert not FfiFolder(config).is_waiting


# Cutouts


def test_cutouts_are_one_block(config, tmp_path):
    (tmp_path / "cuts").mkdir()
    for name in ("tess-s0014-3-2_9.0_1.0_5x5_astrocut.fits", "tess-s0014-3-4_9_1_5x5.fits.gz"):
        (tmp_path / "cuts" / name).touch()
    source = source_of(config, "tesscut", cutout_dir="../cuts")
    assert source.find([EMPTY, HERE], is_main=True) == [HERE]
    assert source.blocks_of(HERE) == {"cutouts": source.images_of(HERE)}
    assert [Path(path).name for path in source.images_of(HERE)] == [
        "tess-s0014-3-2_9.0_1.0_5x5_astrocut.fits"
    ]
    assert source.warnings == [
        "left out, no images in '../cuts': s0014-cam1-ccd1",
        "not asked for by sectors, cameras and ccds: the cutouts of s0014-cam3-ccd4",
    ]


def test_cutouts_are_fetched_once_for_the_same_targets(config, tmp_path):
    source = source_of(config, "tesscut", cutout_dir="../cuts")
    config["input"]["cutouts"]["targets"] = [7]
    (path,) = source.lists_to_fetch([HERE])
    assert source.find([EMPTY, HERE], is_main=True) == [EMPTY, HERE]
    Path(path).parent.mkdir()
    Path(path).touch()
    assert source.lists_to_fetch([HERE]) == []
    for change in ({"targets": [8]}, {"size": 7}):
        other = source_of(config | {"input": config["input"] | {"cutouts": change}}, "tesscut")
        assert other.list_path != path
    assert SOURCES["tesscut"](config | {"ccds": [3]}).list_path != path


# Images at MAST


def listing(ccd_id, days=DAYS):
    lines = [f"{ffi_name(ccd_id, day)},https://archive/{day},9" for day in days]
    return "\n".join(["name,url,size", *lines, ""])


def write_list(source, ccd_id):
    path = Path(source.list_of(ccd_id))
    path.parent.mkdir(parents=True)
    path.write_text(listing(ccd_id))


def test_lists_come_before_the_images(config):
    source = source_of(config, "mast", ffi_dir="images")
    assert source.find([EMPTY, HERE], is_main=True) == [EMPTY, HERE]
    lists = [f"results/{ccd_id}/ffi_list.csv" for ccd_id in (EMPTY, HERE)]
    assert source.lists_to_fetch([EMPTY, HERE]) == lists
    with pytest.raises(InputDataError, match=r"ffi_list\.csv is not there yet: run .*fetch_list"):
        source.images_of(HERE)
    write_list(source, HERE)
    assert source.lists_to_fetch([EMPTY, HERE]) == lists[:1]
    assert list(source.blocks_to_fetch([EMPTY, HERE])) == []
    assert source.images_of(HERE) == [f"images/{HERE}/{ffi_name(HERE, day)}" for day in DAYS]
    assert source.images_here(HERE) == []
    assert source.headers_of(HERE) == [f"results/{HERE}/ffi_headers.zip"]
    config["prepare"]["block_size"] = 1
    assert [(ccd_id, block) for ccd_id, block, _ in source.blocks_to_fetch([HERE])] == [
        (HERE, "b0001121"),
        (HERE, "b0001122"),
        (HERE, "b0001123"),
    ]


def test_time_range(config):
    source = source_of(config, "mast", ffi_dir="images")
    write_list(source, HERE)
    config["input"]["mast"]["time_range"] = [1683.0, 1684.0]
    assert source.images_of(HERE) == [f"images/{HERE}/{ffi_name(HERE, 200)}"]
    config["input"]["mast"]["time_range"] = [1690.0, 1691.0]
    with pytest.raises(ConfigError, match=r"from 1690\.0 to 1691\.0; there are some from 1682\.51"):
        SOURCES["mast"](config).images_of(HERE)


def test_bulk_script_is_for_downloads_without_the_cloud(config):
    source = source_of(config, "mast")
    assert source.bulk_scripts_of(HERE) == []
    config["input"]["mast"]["from"] = "https"
    assert source.bulk_scripts_of(HERE) == ["results/tesscurl_sector_14_ffic.sh"]


def test_images_of_incomplete_blocks_are_set_aside(config):
    """Of three blocks one has an image too few, one has none, one has been read."""
    config["prepare"]["block_size"] = 2  # of 1.5 d: 560.8 and 561.2, 561.8
    source = source_of(config, "mast", ffi_dir="images")
    write_list(source, HERE)
    assert [len(images) for _, _, images in source.blocks_to_fetch([HERE])] == [1, 2]
    folder = Path(f"images/{HERE}")
    names = [ffi_name(HERE, day) for day in DAYS]
    folder.mkdir(parents=True)
    for name in names[:2]:
        (folder / name).touch()
    block = Path(f"results/{HERE}/blocks/b0000561.hdf5")
    block.parent.mkdir()
    block.touch()
    source.protect_images([HERE])  # the second block has been read: its images may be deleted
    assert sorted(path.name for path in folder.iterdir()) == names[:2]
    block.unlink()
    source.protect_images([HERE])
    assert (folder / names[0]).exists()  # a complete block
    assert (folder / ".incoming" / names[1]).exists()


# The simulator


def test_names_of_simulated_images_follow_from_the_settings(config):
    config["simulation"] |= {"n_images": 5, "gap_after": 2}
    config["prepare"]["block_size"] = 2
    config["sectors"] = [14, 15]
    source = source_of(config, "simulated")
    assert source.find([HERE, OTHER], is_main=True) == [HERE, OTHER]
    images = source.images_of(HERE)
    assert len(images) == 5
    assert all(image.startswith(f"simulated/{HERE}/tess2019") for image in images)
    blocks = list(source.blocks_to_simulate())
    assert {sector for sector, _, _ in blocks} == {14, 15}
    named = [
        image.format(camera=3, ccd=2)
        for sector, _, images in blocks
        if sector == 14
        for image in images
    ]
    assert named == images
    assert [block for sector, block, _ in blocks if sector == 14] == list(source.blocks_of(HERE))


# All of them


@pytest.mark.parametrize("name", SOURCES)
def test_only_the_simulator_has_simulated_stars(config, name, tmp_path):
    (tmp_path / "images").mkdir()
    folder = {"ffi_dir": "../images", "cutout_dir": "../images"}
    source = source_of(config, name, **folder)
    assert list(source.problems()) == []
    config["catalog"]["source"] = "simulated"
    assert bool(list(source.problems())) == (name != "simulated")
    config["catalog"]["source"] = "vizier"
    assert bool(list(source.problems())) == (name == "simulated")


@pytest.mark.parametrize("name", SOURCES)
def test_rules_of_a_source_exist(name):
    from paths import PROJECT

    assert SOURCES[name].rules
    for file in SOURCES[name].rules:
        assert (PROJECT / "workflow" / "rules" / file).is_file()


def test_many_ccds_are_counted():
    ccd_ids = [CcdId(1, 1, ccd) for ccd in (1, 2, 3, 4)]
    assert name_some(ccd_ids[:2]) == "s0001-cam1-ccd1, s0001-cam1-ccd2"
    assert name_some([*ccd_ids, HERE, OTHER]).endswith(", s0001-cam1-ccd4 and 2 more")


# Target pixel files


def test_target_pixel_files_by_ccd_and_cadence(config, tmp_path):
    name = "tess2019198215352-s0014-{:016d}-0150-{}.fits"
    write_tpf_header(tmp_path / "tpf" / name.format(5, "s_tp"), HERE)
    write_tpf_header(tmp_path / "tpf" / "below" / name.format(5, "a_fast-tp"), HERE)
    write_tpf_header(tmp_path / "tpf" / name.format(6, "s_tp"), OTHER)
    config["input"] |= {"datasources": ["tpf"], "tpf_dir": "../tpf"}
    source = stamps_of(config)
    slow, fast = (replace(HERE, cadence=cadence) for cadence in (120, 20))
    assert source.find([HERE], is_main=True) == [fast, slow]
    assert source.images_of(slow) == [f"../tpf/{name.format(5, 's_tp')}"]
    source.keep_listing()
    job = stamps_of(config)
    assert job.find([HERE], is_main=False) == [fast, slow]
    assert job.images_of(fast) == source.images_of(fast)
    with pytest.raises(ConfigError, match=r"input\.tpf_dir: no target pixel file of s0014-cam1"):
        stamps_of(config).find([EMPTY], is_main=True)
    assert source.warnings == []
    (tmp_path / "tpf" / "ktwo206000001-c03_lpd-targ.fits.gz").touch()
    (tmp_path / "tpf" / "mine.fits").touch()
    source = stamps_of(config)
    assert source.find([HERE, EMPTY], is_main=True) == [fast, slow]
    kepler, mine, absent = source.warnings
    assert "ktwo206000001-c03_lpd-targ.fits.gz): only those of TESS can be used" in kepler
    assert "1 other FITS file (mine.fits)" in mine
    assert absent == f"left out, no target pixel files in '../tpf': {EMPTY}"
    there = (
        rf"there are target pixel files of {fast}, {slow}.*\n  there: 1 target pixel file of Kepler"
    )
    with pytest.raises(ConfigError, match=there):
        stamps_of(config).find([EMPTY], is_main=True)
    broken = tmp_path / "tpf" / name.format(9, "s_tp")
    broken.write_text("damaged")
    with pytest.raises(ConfigError, match=f"the header of .*{broken.name} does not say which CCD"):
        stamps_of(config).find([HERE], is_main=True)
    config["input"]["on_bad_image"] = "skip"
    source = stamps_of(config)
    assert source.find([HERE], is_main=True) == [fast, slow]
    assert len(source.warnings) == 3


def test_target_pixel_files_that_are_to_be_fetched(config):
    config["input"] |= {"datasources": ["tpf"], "tpf_dir": "../tpf"}
    config["input"]["tpfs"]["targets"] = [5]
    source = stamps_of(config)
    assert source.find([HERE], is_main=True) == [HERE]
    assert source.lists_to_fetch([HERE]) == [source.list_path]
    config["input"]["tpfs"]["targets"] = []
    assert stamps_of(config).lists_to_fetch([HERE]) == []
    config["input"]["tpf_dir"] = None
    assert list(stamps_of(config).problems()) == [
        "input.tpf_dir: must name a folder, since input.datasources has 'tpf'"
    ]
