"""A run arranged as a collection for the archive."""

import csv
import hashlib
import json
import re
import shutil

import lightkurve
import numpy as np
import pytest
from astropy.io import fits
from pipeline_run import CCD, SHOWCASE

from tessphot_lib.cli import main

HLSP = {"id": "small", "name": "A small window", "lead": "A. Person"}
NAME = re.compile(
    r"hlsp_small_tess_ffi_(all|s0014-3-4-ccd|tic\d{11}-s0014-3-4-c1800)_tess_v01"
    r"_(lc\.fits\.gz|(img|prf|cbv)\.fits|(readme|md5sum)\.txt|targets\.csv)"
)


@pytest.fixture(scope="module")
def released(small_run, tmp_path_factory):
    """Folder of a release."""
    output = tmp_path_factory.mktemp("release") / "delivery"
    assert main(["release", "--directory", str(small_run.folder), "--output", str(output)]) == 0
    return output


def test_each_light_curve_is_there_under_its_name(released, small_run):
    files = [path for path in released.rglob("*") if path.is_file()]
    assert all(NAME.fullmatch(path.name) for path in files)
    (table,) = released.glob("*_targets.csv")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["tic_id"]) for row in rows} == set(small_run.light_curves)
    for row in rows:
        path = released / row["file"]
        tic_id = int(row["tic_id"])
        assert path.read_bytes() == small_run.light_curves[tic_id].read_bytes()
        digits = "".join(path.parts[-5:-1])
        assert (int(digits), path.parts[-6]) == (tic_id, "s0014")
        header = fits.getheader(path)
        assert float(row["tmag"]) == pytest.approx(header["TESSMAG"])
        assert (row["method_used"], row["camera"]) == (header["PHOTMET"], "3")
        assert (header["HLSPID"], header["HLSPVER"]) == ("small", "v01")
    assert lightkurve.read(path).meta["SECTOR"] == 14


def test_files_of_the_ccd_have_the_keywords_of_the_collection(released, small_run):
    for kind, of_run in (("img", "average_image.fits"), ("prf", "prf.fits"), ("cbv", None)):
        (path,) = released.rglob(f"*_{kind}.fits")
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            header = hdus[0].header
            assert (header["HLSPID"], header["HLSPLEAD"]) == ("small", "A. Person")
            assert "DOI" not in header
            if of_run:
                expected = fits.getdata(small_run.ccd / of_run, 1)
                np.testing.assert_array_equal(hdus[1].data, expected)
    assert "s0014-3-4-" in path.name  # by which lightkurve finds basis vectors


def test_checksums_are_those_of_all_other_files(released):
    (sums,) = released.glob("*_md5sum.txt")
    listed = dict(reversed(line.split("  ", 1)) for line in sums.read_text().splitlines())
    others = {path for path in released.rglob("*") if path.is_file()} - {sums}
    assert {released / name for name in listed} == others
    for name, digest in listed.items():
        assert hashlib.md5((released / name).read_bytes()).hexdigest() == digest


def test_readme_explains_every_column_and_keyword(released):
    (path,) = released.glob("*_readme.txt")
    text = path.read_text()
    light_curve = next(released.rglob("*_lc.fits.gz"))
    with fits.open(light_curve) as hdus:
        for name in hdus["LIGHTCURVE"].columns.names:
            assert re.search(rf"^{name} +\S", text, flags=re.MULTILINE), name
        for keyword in ("TESSMAG", "CROWDSAP", "CDPP6_0", "HLSPID"):
            assert keyword not in hdus[0].header or re.search(rf"^{keyword} ", text, re.MULTILINE)
    for said in ("A small window", "A. Person", "131072", "536870912"):
        assert said in text


def test_what_cannot_be_released_is_told_of(small_run, released, tmp_path, capsys):
    def refused(folder, output=tmp_path / "new"):
        assert main(["release", "--directory", str(folder), "--output", str(output)]) == 1
        assert not (tmp_path / "new").exists()
        return capsys.readouterr().err

    assert "is there already" in refused(small_run.folder, released)
    assert "run.json: there is no such file" in refused(tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    record = json.loads((small_run.results / "run.json").read_text())
    shutil.copy(small_run.results / "todo.sqlite", results)

    def with_collection(**hlsp):
        record["settings"]["output"]["hlsp"] = hlsp
        (results / "run.json").write_text(json.dumps(record))
        return refused(tmp_path)

    assert "output.hlsp.id, output.hlsp.lead: not set" in with_collection(name="x")
    assert "no such file" in with_collection(**HLSP)
    (results / CCD).symlink_to(small_run.ccd)
    assert "HLSPID is 'small', output.hlsp.id is 'other'" in with_collection(
        **HLSP | {"id": "other"}
    )


def test_lists_are_merged_by_the_command(small_run, tmp_path, capsys):
    todo = str(small_run.results / "todo.sqlite")
    output = str(tmp_path / "todo.sqlite")
    assert main(["merge", todo, todo, "--output", output]) == 0
    assert re.fullmatch(
        r".*: (\d+) stars of 2 lists, \1 of them in several\n", capsys.readouterr().out
    )
    assert main(["find", str(SHOWCASE["transit"]), "--directory", str(small_run.folder)]) == 0
