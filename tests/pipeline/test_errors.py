"""Mistakes of users and faults of files: what stands on the terminal, and when."""

import gzip
import json
import os
import shutil

import numpy as np
import pytest
import yaml
from astropy.io import fits
from pipeline_run import CCD, Run, by_tic_id, changed

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.photometry import products
from tessphot_lib.steps.check import run_check
from tessphot_lib.steps.collect import run_collect
from tessphot_lib.steps.photometry import run_photometry

N_IMAGES = 3


def card(keyword, value):
    """Beginning of a header card, as the images have it."""
    return f"{keyword:8s}= {value:>20}".encode()


def patched(image, *changes):
    """Bytes of an image with some header cards changed."""
    content = image.read_bytes()
    for old, new in changes:
        assert len(old) == len(new)
        assert old in content, old
        content = content.replace(old, new)
    return content


def without(keyword):
    return f"{keyword:8s}=".encode(), f"{'X' + keyword[1:]:8s}=".encode()


def write_sparse(path, content):
    """Write a file; its many zeros become holes."""
    with open(path, "wb") as file:
        for start in range(0, len(content), 1 << 18):
            piece = content[start : start + (1 << 18)]
            if piece.count(0) == len(piece):
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate(len(content))


class FaultyImages:
    """Images of several CCDs, each with a fault of its own."""

    def __init__(self, folder, good):
        self.folder, self.good = folder, good
        self.names = {}

    def add(self, fault, camera, ccd, *changes, everywhere=False, compressed=False, keep=None):
        """Write two images of one CCD, the second one (or both) with changes."""
        folder = self.folder / fault
        folder.mkdir(parents=True)
        identity = [(card("CAMERA", 3), card("CAMERA", camera)), (card("CCD", 4), card("CCD", ccd))]
        for number, image in enumerate(self.good):
            faulty = number == 1 or everywhere
            content = patched(image, *identity, *(changes if faulty else ()))
            name = image.name.replace("-3-4-", f"-{camera}-{ccd}-")
            if compressed and faulty:
                name, content = f"{name}.gz", gzip.compress(content, compresslevel=1)
            if faulty and keep is not None:
                content = content[: int(keep * len(content))]
            write_sparse(folder / name, content)
            if number == 1:
                self.names[fault] = name
        return folder / self.names[fault]


@pytest.fixture(scope="module")
def faults(small_run, tmp_path_factory):
    """What one run says that comes upon all these faults, each on another CCD."""
    home = tmp_path_factory.mktemp("faults")
    make = FaultyImages(home / "ffi", small_run.images()[8:10])
    make.add("truncated", 1, 1, keep=0.7)
    make.add("truncated gzip", 1, 2, compressed=True, keep=0.9)
    make.add("foreign camera", 1, 3, (card("CAMERA", 1), card("CAMERA", 2)))
    make.add("foreign CCD", 1, 4, (card("CCD", 4), card("CCD", 3)))
    make.add("foreign sector", 2, 1, (card("ASTATE", "T"), card("SECTOR", 15)))
    make.add("no TSTART", 2, 2, without("TSTART"))
    make.add("no BARYCORR", 2, 3, without("BARYCORR"))
    # Half as long, and no number: not of the early sectors, whose numbers follow from the time.
    make.add("no FFIINDEX", 2, 4, without("FFIINDEX"), without("TSTOP"), (b"XSTOP", b"TSTOP"))
    path = home / "ffi" / "no FFIINDEX" / make.names["no FFIINDEX"]
    shorten(path)
    make.add("no WCS", 3, 1, without("CRVAL1"), everywhere=True)
    twice = make.add("twice", 3, 2)
    (twice.parent / "reprocessed").mkdir()
    newer = twice.parent / "reprocessed" / twice.name.replace("-0000-", "-0001-")
    os.link(twice, newer)
    make.names["twice"] = newer.name
    config = changed(
        small_run.config,
        cameras=[1, 2, 3],
        ccds=[1, 2, 3, 4],
        input={"source": "ffi", "ffi_dir": "../ffi"},
        catalog={"source": "file", "file": str(small_run.ccd / "tic.csv")},
        photometry={"tiles": [1, 1]},
    )
    run = Run(home, config)
    status, output = run.snakemake("--cores", 2, "--keep-going")
    assert status == 1
    return run, make, output


def shorten(path):
    """Make an image half an exposure long."""
    content = bytearray(path.read_bytes())
    start = content.rindex(b"TSTART  =", 0, 40_000)
    stop = content.rindex(b"TSTOP   =", 0, 40_000)
    begin, end = (float(content[at + 10 : at + 30]) for at in (start, stop))
    content[stop + 10 : stop + 30] = f"{(begin + end) / 2:20.12f}".encode()
    write_sparse(path, content)


def errors_in(output):
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    return list(dict.fromkeys(lines))  # once by the job, once more at the end of the run


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("truncated", ["truncated"]),
        ("truncated gzip", ["cannot be read"]),
        ("foreign camera", ["CAMERA is 2", "expected 1", "s0014-cam1-ccd3"]),
        ("foreign CCD", ["CCD is 3", "expected 4", "s0014-cam1-ccd4"]),
        ("foreign sector", ["SECTOR is 15", "expected 14", "s0014-cam2-ccd1"]),
        ("no TSTART", ["TSTART is missing"]),
        ("no BARYCORR", ["BARYCORR is missing"]),
        ("no FFIINDEX", ["FFIINDEX is missing"]),
        ("no WCS", ["no image has a usable WCS", "CRVAL1"]),
        ("twice", ["the same time", "cadence 21"]),
    ],
)
def test_faulty_image_is_one_line_that_names_it(faults, fault, words):
    _, make, output = faults
    name = make.names[fault] if fault != "no WCS" else "s0014-cam3-ccd1"
    named = [line for line in errors_in(output) if name in line]
    assert len(named) == 1, named
    (line,) = named
    for word in words:
        assert word in line, line


def test_faulty_images_are_told_before_any_work(faults):
    run, make, output = faults
    assert "Traceback" not in output
    assert len(errors_in(output)) == len(make.names)
    # A truncated gzip file is noticed when it is read (with the first block), see its test.
    gzipped = run.results / "s0014-cam1-ccd2"
    assert not [path for path in run.results.rglob("*.hdf5") if gzipped not in path.parents]
    assert not [path for path in run.results.rglob("*.sqlite") if gzipped not in path.parents]
    assert f"log of each job under {run.folder / 'logs'}" in output
    log = (run.folder / "logs" / "s0014-cam2-ccd2" / "ffi_table.log").read_text()
    assert "TSTART is missing" in log
    assert "Traceback" not in log


def test_faulty_images_of_some_ccds_stop_no_other_one(faults):
    """Where TESS was is computed from what can be used, which all CCDs wait for."""
    run, _, _ = faults
    assert (run.results / "spacecraft_sector14.ecsv").exists()


def test_faulty_image_does_not_cost_the_blocks_of_the_others(small_run, tmp_path):
    run = on_own_files(small_run, tmp_path)
    assert run.finish("prepare")["backgrounds"] == 2
    image = small_run.images()[9]
    twice = tmp_path / "ffi" / "again" / image.name
    twice.parent.mkdir()
    os.link(image, twice)
    status, output = run.snakemake("--cores", 2, "prepare")
    assert status == 1
    assert "the same time" in output
    # Nor is what was wrong forgotten.
    assert run.plan("prepare")["backgrounds"] == 1
    status, output = run.snakemake("--cores", 2, "prepare")
    assert status == 1
    assert "the same time" in output
    twice.unlink()
    counted = run.plan("prepare")
    assert (counted["ffi_table"], counted["backgrounds"]) == (1, 1)
    assert "ccd_catalog" not in counted


def test_mistakes_in_the_configuration_are_told_at_once(tmp_path, small_run):
    config = changed(small_run.config, cameras=[5], todo={"faint_limt": 14})
    config["photometry"]["aperture"] = {"threshold": "high"}
    run = Run(tmp_path, config)
    status, output = run.snakemake("--cores", 1)
    assert status == 1
    assert "Traceback" not in output
    for words in (
        "cameras[0]: 5 must be at most 4",
        "todo.faint_limt: unknown key; did you mean todo.faint_limit?",
        "photometry.aperture.threshold: 'high'",
    ):
        assert f"\n{words}" in output
    assert not run.results.exists()


def on_own_files(small_run, home, **changes):
    """A run on three good images, and the stars of the simulation."""
    (home / "ffi").mkdir()
    for image in small_run.images()[8 : 8 + N_IMAGES]:
        os.link(image, home / "ffi" / image.name)
    shutil.copy(small_run.ccd / "tic.csv", home / "tic.csv")
    config = changed(
        small_run.config,
        input={"source": "ffi", "ffi_dir": "../ffi"},
        catalog={"source": "file", "file": "../tic.csv"},
        photometry={"tiles": [1, 1]},
        output={"pictures": False},
    )
    return Run(home, changed(config, **changes))


def test_star_list_without_a_column_is_one_line(small_run, tmp_path):
    run = on_own_files(small_run, tmp_path)
    text = (tmp_path / "tic.csv").read_text()
    (tmp_path / "tic.csv").write_text(text.replace("Tmag", "Vmag", 1))
    status, output = run.snakemake("--cores", 1)
    assert status == 1
    assert "Traceback" not in output
    assert "\ncatalog.file: ../tic.csv: no column for tmag (as tmag)\n" in output
    assert not run.results.exists()  # before the first job


def test_star_list_of_another_field_is_one_line(small_run, tmp_path):
    run = on_own_files(small_run, tmp_path)
    lines = (tmp_path / "tic.csv").read_text().splitlines()
    lines[1:] = ["77,10.5,45.0,0,0,1,10.1,5000,1,STAR,"]
    (tmp_path / "tic.csv").write_text("\n".join(lines) + "\n")
    status, output = run.snakemake("--cores", 1)
    assert status == 1
    assert "Traceback" not in output
    (line,) = errors_in(output)
    assert "../tic.csv" in line
    assert CCD in line
    assert not list(run.results.rglob("*.hdf5"))


def test_star_list_that_is_not_there_is_one_line(small_run, tmp_path):
    run = on_own_files(small_run, tmp_path)
    (tmp_path / "tic.csv").unlink()
    status, output = run.snakemake("--cores", 1)
    assert status == 1
    assert "Traceback" not in output
    assert "../tic.csv" in output


def test_ccd_without_one_good_image_is_one_line(small_run, tmp_path):
    """All images are all zero, which only their pixels tell."""
    run = on_own_files(small_run, tmp_path)
    for path in (tmp_path / "ffi").iterdir():
        content = bytearray(path.read_bytes())
        path.unlink()  # a hard link: the image itself stays as it is
        first = content.index(b"CAMERA.CCD 3.4 cal")
        data = (content.index(b"END" + b" " * 77, first) // 2880 + 1) * 2880
        content[data : data + 4 * 2136 * 2078] = bytes(4 * 2136 * 2078)
        write_sparse(path, content)
    status, output = run.snakemake("--cores", 2)
    assert status == 1
    assert "Traceback" not in output
    (line,) = {line for line in errors_in(output)}
    assert CCD in line
    assert "images" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_results_that_cannot_be_written_are_told(small_run, tmp_path):
    run = on_own_files(small_run, tmp_path)
    run.results.mkdir(parents=True)
    run.results.chmod(0o555)
    try:
        status, output = run.snakemake("--cores", 1)
    finally:
        run.results.chmod(0o755)
    assert status == 1
    assert "results" in output
    assert "Permission denied" in output


def test_bad_images_are_left_out_where_that_is_asked_for(small_run, tmp_path):
    """Truncated, or of another camera: listed with the reason; the run completes."""
    run = on_own_files(small_run, tmp_path, input={"on_bad_image": "skip"})
    more = small_run.images()[11:13]
    truncated, foreign = (tmp_path / "ffi" / image.name for image in more)
    truncated.write_bytes(more[0].read_bytes()[:1_000_000])
    write_sparse(foreign, patched(more[1], (card("CAMERA", 3), card("CAMERA", 1))))
    counted = run.finish()
    assert counted["tile_photometry"] == 1
    table = read_ffi_table(run.ccd / "ffis.ecsv")
    found = {row["path"].rsplit("/", 1)[1]: row for row in table}
    assert len(found) == len(table) == 5
    assert (found[truncated.name]["status"], found[foreign.name]["status"]) == ("unusable",) * 2
    assert "truncated" in found[truncated.name]["reason"]
    assert "CAMERA is 1" in found[foreign.name]["reason"]
    assert all(found[path.name]["status"] == "ok" for path in small_run.images()[8:11])
    assert len(run.light_curves) > 50
    for path in run.light_curves.values():
        table = fits.getdata(path, "LIGHTCURVE")
        assert len(table) == N_IMAGES
        assert np.isfinite(table["FLUX_RAW"]).all()
    counts = json.loads((run.results / "run.json").read_text())["ccds"][CCD]
    images = [counts[f"images{which}"] for which in ("", "_left_out", "_flagged", "_used")]
    assert images == [5, 2, 0, N_IMAGES]


@pytest.fixture
def broken_star(small_run, tmp_path, monkeypatch):
    """Results of a tile on one of whose stars the code fails."""
    victim = sorted(by_tic_id(small_run.ccd / "lightcurves" / "r14c0"))[3]
    write = products.write_light_curve

    def fail(path, light_curve, *args, **kwargs):
        if light_curve.tic_id == victim:
            raise ZeroDivisionError("something nobody thought of")
        write(path, light_curve, *args, **kwargs)

    monkeypatch.setattr(products, "write_light_curve", fail)
    ccd = tmp_path / "results" / CCD
    ccd.mkdir(parents=True)
    shutil.copy(small_run.ccd / "todo.sqlite", ccd / "todo.sqlite")
    own = yaml.safe_load((small_run.home / "user.yaml").read_text())["photometry"]
    settings = PhotometrySettings.from_mapping(own | {"correction": {"method": "none"}})
    (ccd / "lightcurves").mkdir()
    (ccd / "diagnostics").mkdir()
    run_photometry(
        CcdFiles.in_folder(small_run.ccd, todo=ccd / "todo.sqlite", trends=None),
        CcdId.from_string(CCD),
        light_curves=ccd / "lightcurves" / "r14c0",
        diagnostics=ccd / "diagnostics" / "r14c0.ecsv",
        tile="r14c0",
        settings=settings,
        output_settings=OutputSettings(),
        threads=1,
    )
    return victim, tmp_path / "results"


def test_one_broken_star_stops_nobody(broken_star, small_run):
    victim, results = broken_star
    expected = set(by_tic_id(small_run.ccd / "lightcurves" / "r14c0"))
    assert set(by_tic_id(results / CCD / "lightcurves" / "r14c0")) == expected - {victim}


def test_check_names_the_broken_star_and_its_log(broken_star):
    victim, results = broken_star
    ccd = results / CCD
    todo, summary = results / "todo.sqlite", results / "summary.txt"
    run_collect([ccd / "todo.sqlite"], [ccd / "diagnostics" / "r14c0.ecsv"], todo)
    stars = read_todo(todo).merge(read_diagnostics(todo), on="priority", how="left")
    star = stars.set_index("tic_id").loc[victim]
    assert star["status"] == 2
    assert star["method_used"] == "error"
    assert "ZeroDivisionError: something nobody thought of" in star["errors"]
    with pytest.raises(TessphotError) as caught:
        run_check(todo, summary, results / "run.json", tic_ids=[], config={})
    message = str(caught.value)
    assert "\n" not in message
    assert f"TIC {victim}" in message
    assert "something nobody thought of" in message
    assert f"logs/{CCD}/photometry_r14c0.log" in message
    assert not summary.exists()
    assert not (results / "run.json").exists()
