"""Cutouts from a server on this machine that answers as TESScut and the TIC do."""

import csv
import json
import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from archive import Archive, serving
from astropy.io import fits

from tessphot_lib.core.asked import AskedCcds
from tessphot_lib.core.errors import DownloadError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import MastSettings, ServerSettings
from tessphot_lib.io.archives.download import Web
from tessphot_lib.io.archives.tesscut_service import TicStar, tic_stars
from tessphot_lib.steps.fetch_cutouts import position_in, run_fetch_cutouts
from tests.io.images.test_ffi import REALDATA, needs_realdata

CCD = CcdId(8, 3, 4)
STARS = {93549226: (129.5, -53.25, 12.0, None), 7: (130.125, -52.0, None, None)}
STARS[325554331] = (80.0, 60.0, -3000.0, 4000.0)  # 5 arcsec per year
STARS |= {index: (90.0, -45.0, 0.0, 0.0) for index in range(10_000, 11_200)}
SECTOR, CUT, TIC = "/tesscut/api/v0.1/sector", "/tesscut/api/v0.1/astrocut", "/api/v0/invoke"


def cutout(ra, dec, size, ccd_id):
    """As small as a cutout can be; its pixels tell what it is of."""
    pixels = np.full((2, size * size), ra + dec + ccd_id.ccd, "f4")
    flux = fits.Column("FLUX", f"{size * size}E", array=pixels, dim=f"({size},{size})")
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.BinTableHDU.from_columns([flux], name="PIXELS"),
            fits.ImageHDU(np.ones((size, size), "i4"), name="APERTURE"),
        ]
    )
    content = BytesIO()
    hdus.writeto(content, checksum=True)
    return content.getvalue()


def packed(entries):
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in entries:
            archive.writestr(name, one)
    return content.getvalue()


def say_ccds(query, _):
    """Seen in sectors 8 and 35; the position at the border by two CCDs."""
    ra = float(query["ra"])
    ccds = [(8, 3, 4), (35, 3, 4)] if ra < 200 else [(35, 1, 1)]
    ccds += [(8, 3, 3)] if ra == 140 else []
    # Nobody asks for these; there is no camera 0, no sector of five digits.
    ccds += [(1751, 0, 0), (12345, 1, 2), (35, "", 2)]
    keys = ("sector", "camera", "ccd")
    rows = [dict(zip(keys, map(str, one), strict=True)) | {"sectorName": "x"} for one in ccds]
    return json.dumps({"results": rows}).encode()


def say_cutouts(query, _):
    ra, dec, sector = float(query["ra"]), float(query["dec"]), int(query["sector"])
    assert (query["units"], query["x"]) == ("px", query["y"])
    size = int(query["x"])
    rows = json.loads(say_ccds(query, None))["results"]
    found = [
        CcdId(*(int(row[key]) for key in ("sector", "camera", "ccd")))
        for row in rows
        if row["ccd"] in ("1", "3", "4")
    ]
    return packed(
        (
            f"tess-s{one.sector:04d}-{one.camera}-{one.ccd}_{ra:f}_{dec:f}_{size}x{size}_x.fits",
            cutout(ra, dec, size, one),
        )
        for one in found
        if one.sector == sector
    )


def say_stars(_, form):
    asked = json.loads(form["request"][0])
    (wanted,) = asked["params"]["filters"]
    keys = asked["params"]["columns"].split(",")
    assert keys == ["ID", "ra", "dec", "pmRA", "pmDEC", "Tmag"]
    rows = [
        dict(zip(keys, (int(one), *STARS[int(one)], None), strict=True))
        for one in wanted["values"]
        if int(one) in STARS
    ]
    rows = rows[: int(asked.get("pagesize", 1000))]
    return json.dumps({"status": "COMPLETE", "msg": "", "data": rows[::-1]}).encode()


@pytest.fixture
def archive():
    archive = Archive()
    archive.answers = {SECTOR: say_ccds, CUT: say_cutouts, TIC: say_stars}
    with serving(archive):
        yield archive


@pytest.fixture
def fetch(archive, tmp_path):
    def call(targets, *, ccd_ids=(CCD,), sectors=None, size=5):
        names = ("sector", "camera", "ccd")
        asked = AskedCcds(*(tuple({getattr(one, name) for one in ccd_ids}) for name in names))
        asked = asked if sectors is None else replace(asked, sectors=None)
        servers = ServerSettings(mast=archive.url)
        run_fetch_cutouts(
            tmp_path / "cutouts.csv",
            folder=tmp_path / "cutouts",
            targets=targets,
            size=size,
            asked=asked,
            settings=MastSettings(
                connections=2, retries=2, pause=0.01, timeout=2.0, servers=servers
            ),
        )
        with (tmp_path / "cutouts.csv").open() as file:
            return [
                (row["target"], float(row["ra"]), float(row["dec"]), row["ccd_id"], row["path"])
                for row in csv.DictReader(file)
            ]

    return call


def names(folder):
    return sorted(path.name for path in (folder / "cutouts").rglob("*"))


def test_stars_and_positions(fetch, tmp_path):
    rows = fetch([7, [129.25, -53.5], 93549226])
    folder = tmp_path / "cutouts"
    start = f"{folder}/tess-s0008-3-4_"
    assert rows == [
        ("7", 130.125, -52.0, str(CCD), f"{start}130.125000_-52.000000_5x5_astrocut.fits"),
        ("", 129.25, -53.5, str(CCD), f"{start}129.250000_-53.500000_5x5_astrocut.fits"),
        ("93549226", 129.5, -53.25, str(CCD), f"{start}129.500000_-53.250000_5x5_astrocut.fits"),
    ]
    assert len(names(tmp_path)) == 3
    for _, ra, dec, _, path in rows:
        assert fits.getdata(path, 1)["FLUX"][0, 0, 0] == np.float32(ra + dec + 4)


def test_star_that_has_moved_is_in_the_middle(fetch):
    """19 years after 2000 in sector 8, 21 in sector 35, 57 arcsec west and 76 north in 19."""
    moved = fetch([325554331, 7], ccd_ids=(CCD, CcdId(35, 3, 4)))
    assert [row[0] for row in moved] == ["325554331", "325554331", "7", "7"]
    for (_, ra, dec, ccd_id, path), epoch in zip(moved[:2], (2019.12, 2021.14), strict=True):
        years = epoch - 2000
        assert (ra - 80.0) * np.cos(np.radians(60.0)) * 3600 == pytest.approx(-3 * years, abs=0.3)
        assert (dec - 60.0) * 3600 == pytest.approx(4 * years, abs=0.3)
        assert f"_{ra:.6f}_{dec:.6f}_" in path
        assert fits.getdata(path, 1)["FLUX"][0, 0, 0] == np.float32(ra + dec + 4)
        assert CcdId.from_string(ccd_id).sector in (8, 35)
    assert [row[1:3] for row in moved[2:]] == [(130.125, -52.0)] * 2


def test_question_that_is_being_executed_is_asked_again(fetch, archive):
    said = [b'{"status": "EXECUTING", "msg": "", "data": []}'] * 2
    archive.answers[TIC] = lambda query, form: said.pop() if said else say_stars(query, form)
    assert [row[0] for row in fetch([7])] == ["7"]
    archive.answers[TIC] = lambda *_: b'{"status": "EXECUTING"}'
    with pytest.raises(DownloadError, match=r"/invoke: the server has not done yet \(tried 3"):
        fetch([7])


def test_more_stars_than_mast_gives_at_once(archive):
    web = Web(retries=0)
    wanted = [7, *range(10_000, 11_200), 7]
    stars = tic_stars(web, archive.url, wanted)
    assert list(stars) and set(stars) == set(wanted)
    assert stars[7] == TicStar(130.125, -52.0, 0.0, 0.0)
    assert tic_stars(web, archive.url, []) == {}


def test_position_on_two_ccds_and_in_two_sectors(fetch, archive, tmp_path):
    wanted = [CcdId(8, 3, 3), CCD, CcdId(35, 3, 4)]
    rows = fetch([[140.0, -50.0]], ccd_ids=wanted)
    assert [row[3] for row in rows] == [str(ccd_id) for ccd_id in wanted]
    assert len(archive.asked(CUT)) == 2
    for *_, ccd_id, path in rows:
        expected = np.float32(90 + CcdId.from_string(ccd_id).ccd)
        assert fits.getdata(path, 1)["FLUX"][1, 2, 3] == expected


def test_all_sectors_that_saw_a_target(fetch):
    """Only those of the cameras and CCDs of the configuration."""
    assert [row[3] for row in fetch([7], sectors="all")] == [str(CCD), str(CcdId(35, 3, 4))]


def test_target_that_was_not_seen_is_listed(fetch):
    rows = fetch([[300.0, 10.0], 7])
    assert rows[0] == ("", 300.0, 10.0, "", "")
    assert rows[1][0] == "7"
    with pytest.raises(DownloadError, match="none of 1 target was seen"):
        fetch([[300.0, 10.0]])


def test_ccd_that_gives_no_cutout_is_listed(fetch, archive, caplog):
    """At the edges of a CCD TESScut's list and what it gives may differ."""
    wanted = [CcdId(8, 3, 3), CCD, CcdId(35, 3, 4)]
    archive.answers[CUT] = lambda query, _: packed(
        [("tess-s0008-3-4_140_-50_5x5.fits", cutout(140.0, -50.0, 5, CCD))]
        if query["sector"] == "8"
        else []
    )
    rows = fetch([[140.0, -50.0], 7], ccd_ids=wanted)
    found = {(row[1], row[3]): bool(row[4]) for row in rows}
    assert found == {
        (140.0, str(wanted[0])): False,
        (140.0, str(wanted[1])): True,
        (140.0, str(wanted[2])): False,
        (130.125, str(wanted[1])): True,
        (130.125, str(wanted[2])): False,
    }
    assert "target [140.0, -50.0]: TESScut has no cutout of s0008-cam3-ccd3" in caplog.text
    assert "target 7: TESScut has no cutout of s0035-cam3-ccd4" in caplog.text


def test_what_is_there_is_not_fetched_again(fetch, archive, tmp_path):
    fetch([7])
    fetch([7, 93549226])
    assert len(archive.asked(CUT)) == 2
    fetch([7], size=7)
    assert len(names(tmp_path)) == 3


def test_what_passes_is_tried_again(fetch, archive, tmp_path):
    archive.faults = {TIC: [503], SECTOR: ["cut"], CUT: ["cut", (503, {"Retry-After": "0"})]}
    assert len(fetch([7])) == 1
    archive.faults = {CUT: ["damaged"]}
    assert len(fetch([93549226])) == 1
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        (TIC, b"<html>", r"/invoke: the answer is no JSON: '<html>'"),
        (TIC, b'{"status": "ERROR", "msg": "no"}', "/invoke: ERROR: no"),
        (TIC, b'{"status": "COMPLETE", "data": [{"id": 7}]}', "the answer is none of the TIC"),
        (TIC, b'{"status": "COMPLETE", "data": []}', "not in the TIC: 7"),
        (SECTOR, b"[]", r"dec=-52\.0: the answer is none of TESScut"),
        (CUT, b'{"msg": "no cubes"}', r"sector=8: the answer is no zip file: '\{\"msg\": \"no"),
        (CUT, packed([]), r"TESScut gave no cutout of any of 1 target"),
        (CUT, packed([("tess-s0008-3-4_1_2_5x5.fits", b"half")]), "it is not FITS: b'half'"),
    ],
)
def test_wrong_answer_is_one_line_with_its_address(fetch, archive, tmp_path, path, answer, reason):
    archive.answers[path] = lambda *_: answer
    with pytest.raises(DownloadError, match=rf"^{archive.url}{path}.*{reason}|{reason}") as told:
        fetch([7])
    assert "\n" not in str(told.value)
    assert not (tmp_path / "cutouts").exists() or names(tmp_path) == []


def test_no_targets(fetch):
    with pytest.raises(DownloadError, match=r"input\.cutouts\.targets: there are none"):
        fetch([])


@pytest.mark.realdata
@needs_realdata
def test_names_are_those_of_tesscut():
    from tessphot_lib.io.archives.tesscut_service import cutout_name

    paths = list((REALDATA / "tesscut_s0008_cam3_ccd4").glob("*.fits.gz"))
    assert paths
    for path in paths:
        _, ra, dec, *_ = path.name.split("_")
        assert cutout_name(CCD, float(ra), float(dec), 8) == path.name.removesuffix(".gz")


def test_a_star_is_looked_for_where_it_was_in_a_special_sector():
    """Sector 1751 was in January 2026, not 131 years after sector 1."""
    star = TicStar(80.0, 60.0, pm_ra=0.0, pm_dec=3600.0)  # 0.001 degrees a year
    assert position_in(star, 99)[1] == pytest.approx(60.0259, abs=1e-4)
    assert position_in(star, 1751)[1] == pytest.approx(60.02605, abs=1e-4)
