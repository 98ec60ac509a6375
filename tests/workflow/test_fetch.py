"""The workflow with images from an archive on this machine; most steps stand in."""

import re

import pytest
import yaml
from archive import STAMPS, Archive, ffi_name, fill, serving
from conftest import PROJECT

from tests.steps.test_fetch_cutouts import CUT, SECTOR, TIC, say_ccds, say_cutouts, say_stars

CCD = "s0014-cam1-ccd1"
BLOCK_SIZE = 8


def jobs(output):
    """Jobs that Snakemake counts, those for each block under one name; none: nothing to do."""
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return {}
    table = output[output.index("Job stats:") :].split("\ntotal")[0]
    counted = {}
    for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE):
        name = re.sub(r"_s\d{4}_cam\d_ccd\d_b\d+$", "", name)
        counted[name] = counted.get(name, 0) + int(count)
    return counted


@pytest.fixture
def archive():
    archive = Archive()
    fill(archive, STAMPS)
    with serving(archive):
        yield archive


@pytest.fixture
def config(sector14, archive):
    servers = {"cloud": archive.url, "archive": archive.url, "mast": archive.url}
    sector14["input"] |= {"source": "mast", "ffi_dir": "images"}
    sector14["input"]["mast"] = {"pause": 0.01, "retries": 2, "timeout": 5.0, "servers": servers}
    sector14["prepare"]["block_size"] = BLOCK_SIZE
    return sector14


@pytest.fixture
def project(project):
    """All steps but those that read headers stand in."""
    for name in ("fetch.py", "ffi_table.py"):
        stage = project / "tessphot_lib" / "steps" / name
        stage.unlink()
        stage.symlink_to(PROJECT / "tessphot_lib" / "steps" / name)
    return project


@pytest.fixture
def run(snakemake, config, project):
    """Run, or plan with -n; returns the counted jobs and what was said."""

    def call(*arguments, status=0):
        said, output = snakemake("--cores", "2", *arguments, config=config, project=project)
        assert said == status, output
        return jobs(output) if status == 0 else None, output

    return call


def images_in(folder):
    return sorted(path.name for path in folder.rglob("*_ffic.fits"))


def test_from_the_list_to_the_end(run, config, archive, tmp_path):
    folder = tmp_path / "run" / "images" / CCD
    planned, output = run("-n")
    assert planned == {"list_images": 1, "all": 1}
    assert "this run only fetches their lists" in output
    planned, output = run()
    assert "the same command again does the rest" in output
    assert not (tmp_path / "run" / "images").exists()

    planned, _ = run("-n")
    n_blocks = planned["fetch"]
    assert 2 <= n_blocks <= 3
    assert planned["backgrounds"] == n_blocks
    assert (planned["fetch_headers"], planned["ffi_table"], planned["tile_photometry"]) == (1, 1, 4)
    for profile in (PROJECT / "workflow" / "profiles").glob("*/config.yaml"):
        groups = yaml.safe_load(profile.read_text()).get("groups", [])
        assert not groups or run("-n", "--groups", *groups)[0] == planned
    done, _ = run()
    assert done == planned
    assert images_in(folder) == [ffi_name(stamp) for stamp in STAMPS]
    for path, content in archive.files.items():
        if path.startswith("/tess2019"):
            assert (folder / path[1:]).read_bytes() == content
    assert run("-n")[0] == {}

    # How to download is no reason to do it again.
    config["input"]["mast"] |= {"connections": 2, "retries": 1}
    assert run("-n")[0] == {}


def test_images_are_deleted_once_they_have_been_read(run, config, archive, tmp_path):
    config["input"] |= {"keep_ffis": False}
    run("fetch_list")
    run()
    assert images_in(tmp_path / "run" / "images") == []
    assert len(list((tmp_path / "run" / "results" / CCD / "blocks").iterdir())) >= 2
    n_requests = len(archive.requests)
    assert run("-n")[0] == {}
    assert len(archive.requests) == n_requests


def test_target_fetch_downloads_and_no_more(run, config, tmp_path):
    config["input"]["mast"] |= {"from": "https", "time_range": [1682.51, 1682.80]}
    planned, _ = run("fetch_list")
    assert planned == {"fetch_script": 1, "list_images": 1, "fetch_list": 1}
    planned, _ = run("fetch")
    assert set(planned) == {"fetch"}
    # Day 199 of 2019 begins at BTJD 1682.5; an image every hour from 0:19:29.
    assert images_in(tmp_path / "run") == [ffi_name(stamp) for stamp in STAMPS[:7]]


def test_missing_image_stops_its_block_only_and_nothing_is_fetched_twice(run, archive, tmp_path):
    run("fetch_list")
    (missing,) = (path for path in archive.files if path.endswith(f"1-1/{ffi_name(STAMPS[2])}"))
    content = archive.files.pop(missing)
    _, output = run("--keep-going", "fetch", status=1)
    assert f"error: {archive.url}{missing}: the server says 404 Not Found\n" in output
    assert "Traceback" not in output
    folder = tmp_path / "run" / "images" / CCD
    here = {path.name for path in folder.glob("*.fits")}
    assert ffi_name(STAMPS[-1]) in here
    assert not here & {ffi_name(stamp) for stamp in STAMPS[:4]}
    assert sorted(path.name.split(".partial")[0] for path in folder.rglob("*.partial*")) == []

    archive.files[missing] = content
    n_requests = len(archive.requests)
    run("fetch")
    assert [path for path, _ in archive.requests[n_requests:]] == [missing]
    assert images_in(folder) == [ffi_name(stamp) for stamp in STAMPS]


def test_lost_image_is_fetched_without_the_others_of_its_block(run, archive, tmp_path):
    run("fetch_list")
    run("fetch")
    (tmp_path / "run" / "images" / CCD / ffi_name(STAMPS[1])).unlink()
    n_requests = len(archive.requests)
    assert run("fetch")[0] == {"fetch": 2}  # the job and the target
    (path,) = [path for path, _ in archive.requests[n_requests:]]
    assert path.endswith(ffi_name(STAMPS[1]))
    assert len(images_in(tmp_path / "run")) == len(STAMPS)


def test_process_of_a_job_asks_for_no_list(run, snakemake, config, project, archive):
    run("fetch_list")
    n_requests = len(archive.requests)
    as_a_job = ["--mode", "remote", "--target-jobs", f"fetch_headers:ccd_id={CCD}"]
    as_a_job += ["--allowed-rules", "fetch_headers", "--force", "--nolock", "--no-hooks"]
    status, output = snakemake("--cores", "1", *as_a_job, config=config, project=project)
    assert status == 0, output
    asked = [said for _, said in archive.requests[n_requests:]]
    assert len(asked) == len(STAMPS)
    assert set(asked) == {"bytes=0-40319"}


def test_time_range_without_images_is_one_line(run, config):
    run("fetch_list")
    config["input"]["mast"]["time_range"] = [1700.0, 1701.5]
    _, output = run("-n", status=1)
    assert (
        f"error: input.mast.time_range: no image of {CCD} from 1700.0 to 1701.5; "
        "there are some from 1682.514 to 1682.972\n"
    ) in output


def test_sector_that_the_archive_does_not_have_is_one_line(run, config, archive):
    config["sectors"] = [15]
    _, output = run(status=1)
    assert f"error: {archive.url}: there is no stpubdata/tess/public/ffi/s0015/\n" in output


def test_cutouts_are_fetched_and_then_read(run, config, archive, project, tmp_path):
    archive.answers = {SECTOR: say_ccds, CUT: say_cutouts, TIC: say_stars}
    stage = project / "tessphot_lib" / "steps" / "fetch_cutouts.py"
    stage.unlink()
    stage.symlink_to(PROJECT / "tessphot_lib" / "steps" / "fetch_cutouts.py")
    (tmp_path / "run").mkdir()
    targets = tmp_path / "run" / "targets.csv"
    targets.write_text("TIC 7\n129.5 -53.0\n")
    config |= {"sectors": "all", "cameras": [3], "ccds": [4]}
    config["input"] |= {"source": "tesscut", "window": None, "cutout_dir": "../cutouts"}
    config["input"]["cutouts"] = {"targets": "targets.csv", "size": 5}
    config["photometry"] = {"tiles": [1, 1]}
    planned, output = run("-n")
    assert planned == {"fetch_cutouts": 1, "all": 1}
    assert "this run only fetches the cutouts" in output
    assert run()[0] == planned
    names = [path.name for path in (tmp_path / "cutouts").iterdir()]
    assert len(names) == 4  # of two sectors
    planned, _ = run("-n")
    assert planned["cutout_table"] == planned["tile_photometry"] == 2
    assert "fetch_cutouts" not in planned

    # Another target: it is fetched, the others are not.
    targets.write_text("TIC 7\n129.5 -53.0\n93549226\n")
    assert run("fetch_cutouts")[0] == {"fetch_cutouts": 1}
    assert len(archive.asked(CUT)) == 6
