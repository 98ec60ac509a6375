"""The download of stars as a job: once, kept when images come, before images if wished."""

import re

import pytest

CCD = "s0014-cam1-ccd1"


def jobs(output):
    if "Job stats:" not in output:
        assert "Nothing to be done" in output, output
        return {}
    table = output[output.index("Job stats:") :].split("\ntotal")[0]
    counted = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {name: int(count) for name, count in counted}


def test_stars_are_downloaded_once(snakemake, images, sector14, project, tmp_path):
    images(12)
    sector14["catalog"] = {"source": "vizier", "faint_limit": 17.0}
    status, output = snakemake("--cores", "2", config=sector14, project=project)
    assert status == 0, output
    assert jobs(output)["tic"] == 1
    log = (tmp_path / "run" / "logs" / CCD / "tic.log").read_text()
    assert f"(PosixPath('results/{CCD}/ffis.ecsv'), PosixPath('results/{CCD}/tic.fits')" in log
    settings = "buffer=0.2, faint_limit=17.0, source='vizier'"
    assert all(part in log for part in settings.split(", "))
    assert (
        f"PosixPath('results/{CCD}/tic.fits')"
        in (tmp_path / "run" / "logs" / CCD / "catalog.log").read_text()
    )

    # Neither another image nor another place for the cache asks for the stars again.
    images(1, first=12)
    sector14["catalog"]["cache"] = "elsewhere"
    status, output = snakemake("-n", config=sector14, project=project)
    assert status == 0, output
    assert {"ffi_table", "backgrounds"} <= set(jobs(output))
    assert {"tic", "ccd_catalog"}.isdisjoint(jobs(output))
    # Fainter stars do.
    sector14["catalog"]["faint_limit"] = 18.0
    status, output = snakemake("-n", config=sector14, project=project)
    assert {"tic", "ccd_catalog"} <= set(jobs(output))


def test_stars_before_any_image(snakemake, images, sector14, project, tmp_path):
    pytest.importorskip("tesswcs", reason="the extra `pointings` is not installed")
    sector14["ccds"] = [1, 3]
    sector14["catalog"] = {"source": "mast", "footprint": "pointing"}
    status, output = snakemake("--cores", "2", config=sector14, project=project)
    assert status == 0, output
    assert "there are no images yet: this run only fetches the lists of stars" in output
    assert jobs(output) == {"tic": 2, "all": 1}
    assert "called with (None, " in (tmp_path / "run" / "logs" / CCD / "tic.log").read_text()

    # The images have come: what was downloaded is used.
    images(12)
    status, output = snakemake("-n", config=sector14, project=project)
    assert status == 0, output
    assert "left out, no images in '../ffi': s0014-cam1-ccd3" in output
    assert "tic" not in jobs(output)
    assert jobs(output)["ccd_catalog"] == 1
