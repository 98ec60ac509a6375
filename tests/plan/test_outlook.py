"""What is said before a run, from known numbers of images."""

from collections import namedtuple
from itertools import product
from types import SimpleNamespace

import pytest
from tpf_header import write_tpf_header

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.plan import outlook as module
from tessphot_lib.plan.outlook import outlook
from tessphot_lib.plan.run import Plan

Usage = namedtuple("Usage", "total used free")
CCDS = [CcdId(14, 1, 2), CcdId(14, 4, 1)]


def plan_of(n_images, window=None, **more):
    """Blocks of 40 images on each CCD."""
    images = list(range(n_images))
    blocks = {f"b{n:07d}": images[40 * n : 40 * n + 40] for n in range(-(-n_images // 40))}
    source = SimpleNamespace(has_cutouts=False, blocks_of=lambda ccd_id: blocks)
    given = {
        "source": source,
        "source_of": lambda ccd_id: source,
        "image_ccds": CCDS,
        "stamp_ccds": [],
        "window": window or Window(),
        "first_products": [],
    }
    return SimpleNamespace(**(given | more))


@pytest.fixture(autouse=True)
def free(monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage(0, 0, 20e9))


def test_images_disk_and_time_are_named(tmp_path):
    notes, warnings = outlook(plan_of(1300), tmp_path)
    assert notes == [
        "2600 images of 2 CCDs to read: about 17.7 GB of pixels in results/ (20 GB are free), "
        "0.4 core hours until the stars are listed"
    ]
    assert warnings == []


@pytest.mark.parametrize(("n_images", "rows", "hours"), [(64, 2048, 0.1), (64, 512, 0.0)])
def test_time_of_a_ccd_counts_beside_that_of_its_images(n_images, rows, hours, tmp_path):
    """Two CCDs of few images: most of it are the PRF, the average image, and the todo list."""
    (note,), _ = outlook(plan_of(n_images, Window(0, rows, 0, 2048)), tmp_path)
    assert f"{hours:.1f} core hours" in note


def test_too_little_disk_is_a_warning(tmp_path):
    _, (warning,) = outlook(plan_of(1600), tmp_path)
    assert warning == (
        "results/: about 22 GB are needed for the pixels, and only 20 GB are free on this disk"
    )


def test_blocks_that_are_there_need_nothing(tmp_path):
    folder = tmp_path / "results" / str(CCDS[0]) / "blocks"
    folder.mkdir(parents=True)
    for n in range(10):
        (folder / f"b{n:07d}.hdf5").touch()
    (note,), _ = outlook(plan_of(1300), tmp_path)
    assert note.startswith("2200 images of 2 CCDs")


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(50, window=Window(100, 300, 200, 500)),
        plan_of(1300, first_products=["results/list"]),
        plan_of(1300, source=SimpleNamespace(has_cutouts=True)),
    ],
)
def test_small_runs_and_those_without_images_need_no_word(plan, tmp_path):
    assert outlook(plan, tmp_path) == ([], [])


def stamps_of(tmp_path, n_files, size=44_000_000, suffix=""):
    """A plan of files of two cadences of a CCD and of another CCD; most of a file is a hole."""
    paths = [str(tmp_path / f"{n}_tp.fits{suffix}") for n in range(n_files)]
    for path in paths:
        with open(path, "wb") as file:
            file.truncate(size)
    ccds = [CcdId(14, 1, 2, 20), CcdId(14, 1, 2, 120), CcdId(14, 4, 1, 120)]
    source = SimpleNamespace(blocks_of=lambda ccd_id: {"stamps": paths})
    given = {"source": SimpleNamespace(has_cutouts=True), "source_of": lambda ccd_id: source}
    return plan_of(0, **given, image_ccds=[], stamp_ccds=ccds)


@pytest.mark.parametrize(("size", "suffix"), [(44_000_000, ""), (22_000_000, ".gz")])
def test_disk_time_and_memory_of_target_pixel_files_are_named(tmp_path, size, suffix):
    assert outlook(stamps_of(tmp_path, 200, size, suffix), tmp_path / "run") == (
        [
            "600 target pixel files of 2 CCDs to read: about 4.0 GB in results/ (20 GB are free), "
            "3 core minutes by apertures, jobs of up to 1.3 GB of memory"
        ],
        [],
    )


def test_target_pixel_files_that_have_been_read_need_nothing(tmp_path):
    plan = stamps_of(tmp_path, 200)
    for ccd_id in plan.stamp_ccds[1:]:
        (tmp_path / "results" / str(ccd_id) / "blocks").mkdir(parents=True)
        (tmp_path / "results" / str(ccd_id) / "blocks" / "stamps.hdf5").touch()
    (note,), _ = outlook(plan, tmp_path)
    assert note.startswith("200 target pixel files of 1 CCD to read: about 1.3 GB")


def test_images_and_target_pixel_files_together_may_need_too_much(tmp_path):
    both = stamps_of(tmp_path, 900)  # 18 GB, with 7 GB of images
    images = plan_of(500).source
    both.source, both.image_ccds = images, CCDS
    of_stamps = both.source_of
    both.source_of = lambda ccd_id: of_stamps(ccd_id) if ccd_id.has_stamps else images
    notes, (warning,) = outlook(both, tmp_path)
    assert [note.split(" of ")[0] for note in notes] == ["1000 images", "2700 target pixel files"]
    assert warning.startswith("results/: about 25 GB are needed for the pixels, and only 20 GB")


def test_target_pixel_files_beside_images_are_not_counted(config, tmp_path):
    """A real plan of both: the CCD is there once for its images, once for each cadence."""
    (tmp_path / "ffi").mkdir()
    for day, hour, minute in product(range(199, 226), range(24), (0, 30)):
        name = f"tess2019{day}{hour:02}{minute:02}29-s0014-3-2-0150-s_ffic.fits"
        (tmp_path / "ffi" / name).touch()
    name = "tess2019198215352-s0014-0000000000000005-0150-s_tp.fits"
    write_tpf_header(tmp_path / "tpf" / name, CcdId(14, 3, 2))
    config["input"] |= {
        "datasources": ["ffi", "tpf"],
        "ffi_dir": "../ffi",
        "tpf_dir": "../tpf",
        "window": None,
    }
    plan = Plan(config)
    assert [str(ccd_id) for ccd_id in plan.ccds] == ["s0014-cam3-ccd2", "s0014-cam3-ccd2-c0120"]
    (note,), _ = outlook(plan, tmp_path)
    assert note.startswith("1296 images of 1 CCD to read")
