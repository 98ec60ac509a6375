"""Target pixel files from an archive on this machine, by TIC number and sector."""

import csv
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from archive import Archive, serving
from astropy.io import fits

from tessphot_lib.core.errors import DownloadError
from tessphot_lib.core.settings import MastSettings, ServerSettings
from tessphot_lib.io.archives.mast import TPF_SCRIPTS
from tessphot_lib.steps.fetch_tpfs import run_fetch_tpfs


def name_of(tic_id, scid="0150", kind="s_tp"):
    return f"tess2019198215352-s0014-{tic_id:016d}-{scid}-{kind}.fits"


@cache  # checksums are written with the time, so that no two files are equal
def content_of(tic_id):
    stream = BytesIO()
    table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=np.arange(3.0))])
    hdus = [fits.PrimaryHDU(), table, fits.ImageHDU(np.full((2, 3), tic_id))]
    fits.HDUList(hdus).writeto(stream, checksum=True)
    return stream.getvalue()


@pytest.fixture
def archive():
    archive = Archive()
    with serving(archive):
        names = {120: [name_of(5), name_of(7), name_of(7, "0151"), name_of(8)]}
        names[20] = [name_of(7, kind="a_fast-tp")]
        for cadence, of_cadence in names.items():
            lines = ["#!/bin/sh"]
            lines += [
                f"curl -C - -L -o {name} https://mast.org/files/{name}" for name in of_cadence
            ]
            path = "/" + TPF_SCRIPTS[cadence].format(sector=14)
            archive.files[path] = "\n".join(lines).encode()
            for name in of_cadence:
                archive.files[f"/files/{name}"] = content_of(int(name[24:40]))
        yield archive


@pytest.fixture
def settings(archive):
    servers = ServerSettings(cloud=archive.url, archive=archive.url, mast=archive.url)
    return MastSettings(connections=3, retries=2, pause=0.01, timeout=0.7, servers=servers)


def fetch(tmp_path, settings, tic_ids, cadences=(120,), sectors=(14,)):
    output = tmp_path / "tpfs.csv"
    common = {"tic_ids": tic_ids, "cadences": cadences, "sectors": sectors, "settings": settings}
    run_fetch_tpfs(output, folder=tmp_path / "tpf", **common)
    with output.open() as file:
        return list(csv.DictReader(file))


def test_files_of_the_stars_of_both_cadences(archive, settings, tmp_path):
    """Of two files of a star the last one; a star that MAST does not have is listed."""
    rows = fetch(tmp_path, settings, [7, 9], (120, 20))
    found = {(row["tic_id"], row["cadence"]): row["path"].rsplit("/", 1)[-1] for row in rows}
    assert found == {
        ("7", "120"): name_of(7, "0151"),
        ("7", "20"): name_of(7, kind="a_fast-tp"),
        ("9", "120"): "",
        ("9", "20"): "",
    }
    here = {path.name for path in (tmp_path / "tpf").iterdir()}
    assert here == {name_of(7, "0151"), name_of(7, kind="a_fast-tp")}
    assert (tmp_path / "tpf" / name_of(7, "0151")).read_bytes() == content_of(7)


def test_what_is_there_is_not_fetched_again(archive, settings, tmp_path):
    fetch(tmp_path, settings, [5])
    fetch(tmp_path, settings, [5, 8])
    assert len(archive.asked(name_of(5))) == 1
    assert len(archive.asked(name_of(8))) == 1
    assert len(archive.asked("_tp.sh")) == 1


def test_server_that_fails_and_damaged_file(archive, settings, tmp_path):
    archive.faults[f"/files/{name_of(5)}"] = [503]
    assert fetch(tmp_path, settings, [5])[0]["path"]
    damaged = bytearray(content_of(8))
    damaged[-2000] ^= 1
    damaged[3 * 2880 + 100] ^= 1
    archive.files[f"/files/{name_of(8)}"] = bytes(damaged)
    with pytest.raises(DownloadError, match=name_of(8)):
        fetch(tmp_path, settings, [8])
    assert not (tmp_path / "tpf" / name_of(8)).exists()


def test_none_of_the_stars(archive, settings, tmp_path):
    with pytest.raises(DownloadError, match="no target pixel file of any of 2 stars in sectors 14"):
        fetch(tmp_path, settings, [1, 2])
