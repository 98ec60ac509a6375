"""``tessphot get`` with servers on this machine that answer as MAST, TESScut and Gaia do."""

import json
import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import yaml
from archive import Archive, serving
from astroquery.mast.discovery_portal import PortalAPI
from astroquery.vizier import VizierClass
from fake_archives import COLUMNS, serve
from fake_archives import Archive as StarArchive
from pipeline_run import by_tic_id

from tessphot_lib.cli import main
from tessphot_lib.core.errors import DownloadError
from tessphot_lib.core.magnitudes import tmag_of_gaia
from tessphot_lib.core.settings import MastSettings, ServerSettings
from tessphot_lib.core.targets import parse_target
from tessphot_lib.get.services import Services
from tessphot_lib.io.archives.tesscut_service import cutout_name
from tessphot_lib.io.archives.tic_service import TITLES, Patience
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.steps.tic import run_tic

SECTOR, CUT = "/tesscut/api/v0.1/sector", "/tesscut/api/v0.1/astrocut"
INVOKE, GAIA = "/api/v0/invoke", "/tap-server/tap/sync"
NAMES = {
    "RY Tau": [(65.489, 28.443, "SIMBAD"), (65.4891, 28.4431, "NED")],
    "twin": [(10.0, 20.0, "SIMBAD"), (11.0, 20.0, "NED")],
}


@pytest.fixture
def archive(cut):
    """It has the cutouts of sector 14, and says that sector 41 saw the stars, too."""
    stars = pd.read_csv(cut.stars).set_index("ID")

    def say_ccds(query, _):
        rows = [{"sector": str(one), "camera": "3", "ccd": "4"} for one in (14, 41)]
        return json.dumps({"results": rows if float(query["ra"]) != 10.0 else []}).encode()

    def say_cutout(query, _):
        if query["sector"] == "41":
            return b"<html>we are sorry</html>"
        ra, dec, size = float(query["ra"]), float(query["dec"]), int(query["x"])
        distance = [abs(float(path.name.split("_")[1]) - ra) for path in cut.paths]
        content = BytesIO()
        with zipfile.ZipFile(content, "w") as packed:
            packed.write(
                cut.paths[int(np.argmin(distance))], cutout_name(cut.ccd_id, ra, dec, size)
            )
        return content.getvalue()

    def say_mast(_, form):
        asked = json.loads(form["request"][0])
        if asked["service"] == "Mast.Name.Lookup":
            found = [
                {"ra": ra, "decl": dec, "resolver": who, "canonicalName": "x"}
                for ra, dec, who in NAMES.get(asked["params"]["input"], [])
            ]
            return json.dumps({"resolvedCoordinate": found, "status": ""}).encode()
        (wanted,) = asked["params"]["filters"]
        keys = asked["params"]["columns"].split(",")
        rows = [
            {"ID": int(one)} | {key: float(stars.loc[int(one), key]) for key in keys[1:]}
            for one in wanted["values"]
            if int(one) in stars.index
        ]
        return json.dumps({"status": "COMPLETE", "msg": "", "data": rows}).encode()

    def say_gaia(query, _):
        head = "ra,dec,pmra,pmdec,phot_g_mean_mag,bp_rp\n"
        row = (
            "80.0,60.0,-3000.0,4000.0,12.5,1.25\n"
            if "=4623036865373793408" in query["QUERY"]
            else ""
        )
        return (head + row).encode()

    archive = Archive()
    archive.answers = {SECTOR: say_ccds, CUT: say_cutout, INVOKE: say_mast, GAIA: say_gaia}
    with serving(archive):
        yield archive


@pytest.fixture
def settings(archive):
    servers = ServerSettings(mast=archive.url, gaia=archive.url)
    return MastSettings(retries=1, pause=0.01, timeout=2.0, servers=servers)


@pytest.fixture
def locate(settings, tmp_path):
    services = Services(settings, tmp_path / "cutouts", None)
    return lambda text: services.locate(parse_target(text))


@pytest.fixture
def get(cut, settings, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"input": {"mast": settings.as_mapping()}}))

    def call(*arguments):
        where = ["--stars", cut.stars, "--output", tmp_path / "out", "--config", config]
        code = main(["get", *map(str, [*arguments, *where])])
        said = capsys.readouterr()
        failures = [line for line in said.err.splitlines() if "; again in " not in line]
        return code, said.out.splitlines(), failures

    return call


def test_a_number_of_the_tic(cut, locate):
    star = locate(f"TIC {cut.tic_ids[0]}")
    row = pd.read_csv(cut.stars).set_index("ID").loc[cut.tic_ids[0]]
    assert (star.ra, star.dec, star.tmag) == (row["ra"], row["dec"], row["Tmag"])
    assert star.is_in_tic
    with pytest.raises(DownloadError, match=r"not in the TIC: 5.*; give its coordinates instead"):
        locate("5")


def test_a_number_of_gaia_is_moved_to_2000_and_gets_a_tmag(locate):
    star = locate("Gaia DR3 4623036865373793408")
    assert (star.ra - 80.0) * np.cos(np.radians(60.0)) * 3600 == pytest.approx(48.0, abs=0.05)
    assert (star.dec - 60.0) * 3600 == pytest.approx(-64.0, abs=0.05)
    assert (star.pm_ra, star.pm_dec, star.tic_id) == (-3000.0, 4000.0, None)
    assert star.tmag == pytest.approx(tmag_of_gaia(12.5, 1.25), abs=1e-3)
    with pytest.raises(DownloadError, match="Gaia DR3 has no number 4623036865373793409"):
        locate("4623036865373793409")


def test_names(locate):
    star = locate("RY Tau")
    assert (star.ra, star.dec) == (65.489, 28.443)
    with pytest.raises(DownloadError, match="the name 'nobody' is not known"):
        locate("nobody")
    with pytest.raises(DownloadError, match=r"stars at 10.00000 \+20.00000 and 11.00000"):
        locate("twin")


@pytest.mark.parametrize(
    "answer", [b"[1, 2]", b"{}", b"<html></html>", b'{"resolvedCoordinate": 5}']
)
def test_an_answer_that_is_none(archive, locate, answer):
    archive.answers[INVOKE] = lambda *_: answer
    with pytest.raises(DownloadError, match=r"^http.*/invoke: the answer is no"):
        locate("RY Tau")
    archive.answers[GAIA] = lambda *_: answer
    with pytest.raises(DownloadError, match=r"^http.*/sync\?.*: the answer is none of Gaia"):
        locate("4623036865373793408")


def test_a_star_with_all_its_sectors(cut, archive, get, tmp_path):
    tic_id = cut.tic_ids[0]
    code, out, err = get(tic_id)
    assert code == 0
    assert "sector 14" in out[1]
    assert len(err) == 1  # the server gives no cutout of sector 41, which leaves the other
    assert err[0].startswith(f"tessphot: TIC {tic_id}: sector 41: ")
    assert len(list((tmp_path / "out" / "cutouts").glob("*.fits"))) == 1
    asked = len(archive.asked(CUT))
    assert get(tic_id, "--sectors", "1-20")[0] == 0
    assert len(archive.asked(CUT)) == asked  # it is there already
    code, _, err = get("10.0 20.0", tic_id, "--sectors", "14")
    assert code == 1
    assert err == [
        "tessphot: 10.00000 +20.00000: no cutout of sector 14 at TESScut has it, at "
        "10.00000 +20.00000"
    ]


def test_a_server_that_is_away(cut, archive, get):
    archive.faults["*"] = ["always", 503]
    code, _, err = get(cut.tic_ids[0], "RY Tau")
    assert code == 1
    assert len(err) == 2
    assert all("503" in line for line in err)
    assert err[0].endswith("cutouts that are here already are used with --cutouts FOLDER")
    assert err[1].endswith("give its TIC number or its coordinates instead")


@pytest.fixture(params=["mast", "vizier"])
def sky(request, cut, settings, tmp_path, monkeypatch):
    """MAST or VizieR, with the stars of the simulated sky; ``config`` names it."""
    stars = pd.read_csv(cut.stars)[COLUMNS].assign(objType="STAR", disposition="")
    soon = Patience(3, 2, first_wait=0.001, longest_wait=0.01, timeout=5.0, interval=0.0)
    monkeypatch.setitem(run_tic.__kwdefaults__, "patience", soon)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(StarArchive(stars)) as sky:
        monkeypatch.setattr(PortalAPI, "MAST_REQUEST_URL", f"{sky.url}/invoke")
        monkeypatch.setattr(PortalAPI, "COLUMNS_CONFIG_URL", f"{sky.url}/columnsconfig")
        monkeypatch.setattr(
            VizierClass, "_server_to_url", lambda self, return_type: f"{sky.url}/{return_type}"
        )
        sky.title = TITLES[request.param]
        sky.config = tmp_path / "sky.yaml"
        catalog = {"source": request.param, "cache": str(tmp_path / "cache"), "buffer": 0.05}
        own = {"input": {"mast": settings.as_mapping()}, "catalog": catalog}
        sky.config.write_text(yaml.safe_dump(own))
        yield sky


@pytest.fixture
def online(sky, tmp_path, capsys):
    """``tessphot get`` that has nothing but services; what is tried again is not returned."""

    def call(*targets):
        where = ["--sectors", "14", "--output", tmp_path / "out", "--config", sky.config]
        code = main(["get", *map(str, [*targets, *where])])
        said = capsys.readouterr()
        err = [line for line in said.err.splitlines() if "; again in " not in line]
        return code, said.out.splitlines(), err

    return call


def test_stars_around_the_cutout_are_downloaded(cut, archive, sky, online, get, tmp_path):
    """As from a table that reaches farther; after failures that pass, and only once."""
    tic_id = cut.tic_ids[0]
    sky.troubles = [503, "truncated"]
    code, out, err = online(tic_id)
    assert (code, err) == (0, [])
    assert "sector 14" in out[1]
    folder = tmp_path / "out" / f"TIC{tic_id}"
    (path,) = by_tic_id(folder / "results").values()
    downloaded, _, _ = read_light_curve(path)
    n_asked = len(sky.asked)
    assert n_asked > 2
    assert online(tic_id)[0] == 0
    assert len(sky.asked) == n_asked
    assert get(tic_id, "--sectors", "14")[0] == 0
    # Fainter stars farther off may decide for or against a pixel of an image.
    offline = read_light_curve(path)[0]
    assert np.nanmax(np.abs(offline.flux - downloaded.flux) / downloaded.flux_err) < 0.2
    assert np.nanmedian(np.abs(offline.flux / downloaded.flux - 1)) < 1e-5


def test_a_star_whose_neighbors_cannot_be_had_leaves_the_others(cut, archive, sky, online):
    sky.troubles = ["html"] * 3
    code, out, err = online(*cut.tic_ids)
    assert code == 1
    assert len(err) == 1
    assert err[0].startswith(f"tessphot: TIC {cut.tic_ids[0]}: s0014-cam3-ccd4: {sky.title}")
    assert [line.split(",")[0] for line in out if line.startswith("TIC")] == [
        f"TIC {cut.tic_ids[1]}"
    ]
