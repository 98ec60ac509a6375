"""Ephemerides from SkyBoT, put through astroquery to a server on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlparse

import astroquery.imcce.core
import numpy as np
import pandas as pd
import pytest
from archive import unused_address
from astropy.table import Table

from tessphot_lib.core.errors import ServiceError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.archives import asking
from tessphot_lib.io.archives.asking import Patience
from tessphot_lib.io.archives.skybot_service import objects_in
from tessphot_lib.io.mission.object_ephemerides import read_object_ephemerides
from tessphot_lib.steps import skybot
from tessphot_lib.steps.skybot import dense_positions, run_skybot

SOON = Patience(tries=3, timeouts=2, first_wait=0.001, longest_wait=0.01, timeout=0.5, interval=0)
CCD = CcdId(14, 2, 3)
FIELDS = (
    '<FIELD ID="num" name="Num" datatype="char" arraysize="6"/>'
    '<FIELD ID="name" name="Name" datatype="char" arraysize="32"/>'
    '<FIELD ID="ra" name="RA" datatype="char" arraysize="13" unit="h:m:s"/>'
    '<FIELD ID="magV" name="Mv" datatype="float"/>'
    '<FIELD ID="dracosdec" name="dRAcosDec" datatype="double" unit="arcsec/h"/>'
    '<FIELD ID="ddec" name="dDEC" datatype="double" unit="arcsec/h"/>'
    '<FIELD ID="_raj2000" name="_RAJ2000" datatype="double" unit="deg"/>'
    '<FIELD ID="_decj2000" name="_DECJ2000" datatype="double" unit="deg"/>'
)


def position(jd):
    """An object near RA 0 whose motion changes as TESS goes around: ra, dec [deg], rates."""
    days = jd - 2458684.0
    wave, per_day = 0.06, 2 * np.pi / 13.7  # [deg], [1/d]
    ra = 359.9 + 0.2 * days + wave * np.sin(per_day * days)
    dec = -60.0 - 0.05 * days
    rate = (0.2 + wave * per_day * np.cos(per_day * days)) * np.cos(np.radians(dec))
    return ra % 360, dec, rate * 150, -0.05 * 150  # deg/d to arcsec/h


PARALLAX = 0.05  # [deg] of objects seen from TESS and from the Earth


def votable(jd, status="OK", fields=FIELDS, parallax=0.0):
    ra, dec, ra_rate, dec_rate = position(jd)
    dec += parallax
    cells = "1", "99 X", "00 00 00", "15.5", ra_rate, dec_rate, ra, dec
    row = "".join(f"<TD>{cell}</TD>" for cell in cells)
    faint = row.replace("99 X", "2020 AB").replace("15.5", "19.2")
    return (
        '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<INFO name="QUERY_STATUS" value="{status}">too busy</INFO><RESOURCE><TABLE>{fields}<DATA>'
        f"<TABLEDATA><TR>{row}</TR><TR>{faint}</TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )


NONE = '<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE></RESOURCE></VOTABLE>'
ANSWERS = {
    None: lambda jd: (200, votable(jd)),
    "none": lambda jd: (200, NONE),
    "nothing": lambda jd: (204, ""),
    "blank": lambda jd: (200, ""),
    "flag": lambda jd: (200, '{"flag": -1, "message": "epoch not covered by the orbit"}'),
    "from Earth": lambda jd: (200, votable(jd, parallax=PARALLAX)),
    "error": lambda jd: (200, votable(jd, status="ERROR")),
    "cut off": lambda jd: (200, votable(jd)[:700]),
    "page": lambda jd: (200, "<html>Maintenance</html>"),
    "field": lambda jd: (200, votable(jd, fields=FIELDS.replace("_decj2000", "decl"))),
    "nameless": lambda jd: (200, votable(jd, fields=FIELDS.replace('ID="num" name="Num" ', ""))),
    "impossible": lambda jd: (200, votable(jd).replace("<TD>-", "<TD>-4")),
    "busy": lambda jd: (503, "wait"),
    "refused": lambda jd: (400, "no such parameter"),
}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        question = {key: value[0] for key, value in parse_qs(urlparse(self.path).query).items()}
        self.server.asked.append(question)
        trouble = self.server.troubles.pop(0) if self.server.troubles else None
        if trouble == "silent":
            self.server.stop.wait(5.0)
            return
        if trouble is None and question["-observer"] == "500":
            trouble = "from Earth"
        status, text = ANSWERS[trouble](float(question["-ep"]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked, server.troubles, server.stop = [], [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    point_to(monkeypatch, f"http://127.0.0.1:{server.server_port}/conesearch.php")
    yield server
    server.stop.set()
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def point_to(monkeypatch, url):
    conf = SimpleNamespace(skybot_server=url, timeout=0.5, field_names={})
    monkeypatch.setattr(astroquery.imcce.core, "conf", conf)


def ask():
    return objects_in(0.1, -60.0, 2.0, 2458684.0, SOON)


def test_objects_as_tess_sees_them(server):
    found = ask()
    (question,) = server.asked
    assert question["-observer"] == "C57"
    assert float(question["-rd"]) == 2.0
    assert (float(question["-ra"]), float(question["-dec"])) == (0.1, -60.0)
    assert found["name"].tolist() == ["99 X", "2020 AB"]
    assert found["vmag"].tolist() == pytest.approx([15.5, 19.2])
    ra, dec, ra_rate, dec_rate = position(2458684.0)
    first = found.iloc[0]
    assert (first["ra"], first["dec"]) == pytest.approx((ra, dec))
    assert (first["ra_rate"], first["dec_rate"]) == pytest.approx((ra_rate, dec_rate))


def test_questions_do_not_hurry(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(asking.time, "sleep", pauses.append)
    for _ in range(3):
        objects_in(0.1, -60.0, 2.0, 2458684.0, Patience(interval=60.0))
    assert len(server.asked) == 3
    assert sum(pause > 50.0 for pause in pauses) == 2


@pytest.mark.parametrize("answer", ["none", "nothing"])
def test_no_objects_are_an_answer(server, answer):
    server.troubles = [answer]
    assert ask().empty
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        "error",
        "blank",
        "flag",
        "cut off",
        "page",
        "field",
        "nameless",
        "impossible",
        "busy",
        "silent",
    ],
)
def test_bad_answers_are_asked_for_again(server, trouble):
    server.troubles = [trouble]
    assert len(ask()) == 2
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("troubles", "said"),
    [
        (["error"] * 3, "asked 3 times, at last: it says: too busy"),
        (["page"] * 3, "asked 3 times.* cannot be read.* begins with '<html>Maintenance"),
        (["field"] * 3, "no field _decj2000"),
        (["refused"], "asked once.*400"),
    ],
)
def test_without_a_good_answer_it_is_said_what_to_do(server, troubles, said):
    server.troubles = troubles
    with pytest.raises(ServiceError, match=rf"SkyBoT gives no answer to: .*{said}.*skybot: false"):
        ask()


def test_without_internet(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    point_to(monkeypatch, f"{unused_address()}/conesearch.php")
    with pytest.raises(ServiceError, match=r"SkyBoT gives no answer.*asked 3 times"):
        ask()


@pytest.fixture
def inputs(monkeypatch):
    """Images of three days, and a footprint across RA 0."""
    table = Table({"time": 1684.0 + np.arange(0, 3, 0.5), "timecorr": np.zeros(6)})
    footprint = ((359.0, -61.0), (1.0, -61.0), (1.0, -59.0), (359.0, -59.0))
    monkeypatch.setattr(skybot, "read_ffi_table", lambda path: table)
    monkeypatch.setattr(skybot, "read_catalog_settings", lambda path: {"footprint": footprint})


def test_ephemerides_between_the_questions(server, inputs, tmp_path):
    output = tmp_path / "skybot.csv"
    run_skybot(tmp_path / "ffis.ecsv", tmp_path / "catalog.sqlite", output, CCD, patience=SOON)
    assert [question["-observer"] for question in server.asked] == ["C57", "500", *["C57"] * 3]
    assert float(server.asked[0]["-ra"]) % 360 == pytest.approx(0.0, abs=1e-6)
    assert float(server.asked[0]["-dec"]) == pytest.approx(-60.0, abs=0.02)
    assert 1.0 < float(server.asked[0]["-rd"]) < 2.2
    table = read_object_ephemerides(output)
    assert set(table["name"]) == {"99 X"}  # the other one is too faint
    assert table["tmag"].to_numpy() == pytest.approx(14.8)
    utc = table["time"] - 69.184 / 86400 + 2457000.0
    ra, dec, _, _ = position(utc.to_numpy())
    inside = table["time"].between(1684.0, 1686.5)
    off = (table["ra"] - ra + 180) % 360 - 180
    assert np.abs(off[inside] * np.cos(np.radians(dec[inside]))).max() < 0.05 * 21 / 3600
    assert np.abs(table["dec"] - dec).max() < 0.05 * 21 / 3600


def test_without_objects_the_table_is_empty(server, inputs, tmp_path):
    server.troubles = ["none"] * 4
    output = tmp_path / "skybot.csv"
    run_skybot(tmp_path / "ffis.ecsv", tmp_path / "catalog.sqlite", output, CCD, patience=SOON)
    assert read_object_ephemerides(output).empty


def test_positions_seen_from_earth_are_refused(server, inputs, tmp_path):
    server.troubles = ["none", "from Earth", "from Earth"]
    output = tmp_path / "skybot.csv"
    with pytest.raises(ServiceError, match=r"as seen from the center of the Earth.*17 pixels"):
        run_skybot(tmp_path / "ffis.ecsv", tmp_path / "catalog.sqlite", output, CCD, patience=SOON)
    assert [question["-observer"] for question in server.asked] == ["C57", "C57", "500"]
    assert not output.exists()


def test_an_object_that_is_seen_once_moves_on_as_it_did():
    row = {"name": "a", "time": 10.0, "ra": 359.99, "dec": 0.0, "vmag": 15.0}
    found = dense_positions(pd.DataFrame([row | {"ra_rate": 30.0, "dec_rate": -15.0}]))
    assert (found["time"].min(), found["time"].max()) == (9.5, 10.5)
    last = found.iloc[-1]
    assert last["ra"] == pytest.approx(359.99 + 12 * 30 / 3600 - 360)
    assert last["dec"] == pytest.approx(-12 * 15 / 3600)


def test_answers_without_a_rate_or_with_a_name_twice_stop_nothing():
    row = {"ra": 10.0, "dec": 0.0, "vmag": 15.0, "ra_rate": 30.0, "dec_rate": 0.0}
    days = [10.0, 11.0, 12.0]
    good = pd.DataFrame([row | {"name": "a", "time": t, "ra": 2.0 + 0.2 * t} for t in days])
    expected = dense_positions(good)
    fragment = good.assign(vmag=16.0, dec=0.5)  # of a comet, listed before the brighter one
    unknown = [row | {"name": name, "time": 11.0, "ra_rate": np.nan} for name in "ab"]
    answers = pd.concat([fragment, good, pd.DataFrame(unknown)], ignore_index=True)
    pd.testing.assert_frame_equal(dense_positions(answers), expected)
