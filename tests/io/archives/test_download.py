"""Downloads from a server on this machine that fails in all the ways that servers do."""

import logging
import socket
import threading
import time

import numpy as np
import pytest
import requests
from archive import Archive, serving, unused_address

from tessphot_lib.core.errors import DownloadError, InputDataError
from tessphot_lib.io.archives.download import CHUNK, Web, _asked_pause

CONTENT = np.random.default_rng(0).bytes(1_000_000)
FIRST = f"bytes={3 * CHUNK}-"  # the rest of what is cut in the middle
SECOND = f"bytes={5 * CHUNK}-"  # and when that is, too


@pytest.fixture(scope="module")
def server():
    with serving(Archive()) as archive:
        yield archive


@pytest.fixture
def archive(server):
    server.files = {"/one": CONTENT}
    server.faults = {}
    server.answers = {}
    server.requests = []
    return server


@pytest.fixture
def web():
    return Web(connections=3, retries=2, pause=0.01, timeout=0.7)


def nothing_but(folder, *names):
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        ([], [None]),
        (["slow"], [None]),
        (["cut"], [None, FIRST]),
        (["cut", "cut"], [None, FIRST, SECOND]),
        (["silent"], [None, FIRST]),
        (["cut", "no ranges"], [None, FIRST]),
        ([500], [None, None]),
        ([500, 503], [None, None, None]),
        (["cut", 500], [None, FIRST, FIRST]),
        (["cut", 416], [None, FIRST, None]),
        ([(429, {"Retry-After": "0"})], [None, None]),
    ],
)
def test_what_passes_is_tried_again(archive, web, tmp_path, faults, ranges, size):
    archive.faults["/one"] = list(faults)
    web.download(f"{archive.url}/one", tmp_path / "one", size=size)
    assert (tmp_path / "one").read_bytes() == CONTENT
    assert nothing_but(tmp_path, "one")
    assert archive.asked("/one") == ranges


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut", r"the connection was cut|bytes came"),
        ("silent", "the server fell silent"),
        ("short", "the server has 500000 bytes, the list says 1000000"),
        (500, "the server says 500 Internal Server Error"),
        (503, "the server says 503 Service Unavailable"),
    ],
)
def test_what_does_not_pass_is_an_error_that_names_address_and_reason(
    archive, tmp_path, fault, reason
):
    archive.faults["/one"] = ["always", fault]
    web = Web(retries=1, pause=0.01, timeout=0.5)
    with pytest.raises(DownloadError, match=rf"^{archive.url}/one: .*({reason}).* 2 times") as told:
        web.download(f"{archive.url}/one", tmp_path / "one", size=len(CONTENT))
    assert not told.value.permanent
    assert nothing_but(tmp_path)
    assert len(archive.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_cannot_pass_is_not_tried_again(archive, web, tmp_path, status):
    archive.faults["/one"] = ["always", status]
    with pytest.raises(DownloadError, match=rf"/one: the server says {status} ") as told:
        web.download(f"{archive.url}/one", tmp_path / "one")
    assert told.value.permanent
    assert len(archive.requests) == 1
    assert nothing_but(tmp_path)


def test_nobody_there(web, tmp_path):
    with pytest.raises(DownloadError, match=r"no connection \(.*refused\) \(tried 3 times\)"):
        web.download(f"{unused_address()}/one", tmp_path / "one")
    assert nothing_but(tmp_path)


class OffLine:
    """A network without names."""

    def __init__(self, monkeypatch):
        self.pauses, self.n_asked = [], 0
        monkeypatch.setattr(time, "sleep", self.pauses.append)
        monkeypatch.setattr(socket, "getaddrinfo", self.look_up)

    def look_up(self, *_, **__):
        self.n_asked += 1
        raise socket.gaierror(-2, "Name or service not known")


def test_without_internet_it_fails_soon(tmp_path, monkeypatch):
    network = OffLine(monkeypatch)
    with pytest.raises(DownloadError, match=r"tried 3 times; is this machine on the internet\?\)"):
        Web(retries=9, pause=1.0).download("http://mast.none/one", tmp_path / "one")
    assert network.n_asked == 3
    assert sum(network.pauses) <= 3.0


def test_a_server_that_takes_no_connection_is_tried_as_often_as_any(tmp_path, monkeypatch):
    """It may be busy; nothing says that there is no internet."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    asked = []

    def refuse(*_, **__):
        asked.append(1)
        raise requests.exceptions.ConnectTimeout("timed out")

    monkeypatch.setattr(requests.Session, "request", refuse)
    with pytest.raises(DownloadError, match=r"does not answer \(tried 4 times; the server may be"):
        Web(retries=3, pause=1.0).download("http://mast.busy/one", tmp_path / "one")
    assert len(asked) == 4


def test_a_network_that_has_been_there_is_waited_for(archive, tmp_path, monkeypatch):
    web = Web(retries=5, pause=1.0)
    web.download(f"{archive.url}/one", tmp_path / "one")
    network = OffLine(monkeypatch)
    with pytest.raises(DownloadError, match=r"Name or service not known\) \(tried 6 times\)"):
        web.download("http://mast.none/one", tmp_path / "one")
    assert network.n_asked == 6


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/one", "one", "http://"])
def test_no_address(web, tmp_path, url):
    with pytest.raises(DownloadError, match=rf"^{url}: "):
        web.download(url, tmp_path / "one")


def test_damaged_file_is_fetched_anew(archive, web, tmp_path):
    archive.faults["/one"] = ["damaged"]
    web.download(f"{archive.url}/one", tmp_path / "one", verify=same_as_content)
    assert archive.asked("/one") == [None, None]


def test_file_that_is_wrong_at_its_source_is_fetched_twice_only(archive, tmp_path):
    archive.faults["/one"] = ["always", "damaged"]
    web = Web(retries=9, pause=0.01)
    with pytest.raises(DownloadError, match=r"/one: it is another one \(the same twice\)") as told:
        web.download(f"{archive.url}/one", tmp_path / "one", verify=same_as_content)
    assert told.value.permanent
    assert len(archive.requests) == 2
    assert nothing_but(tmp_path)


def same_as_content(path):
    if path.read_bytes() != CONTENT:
        raise InputDataError("it is another one")


def test_old_file_stays_where_the_new_one_cannot_be_had(archive, web, tmp_path):
    (tmp_path / "one").write_text("old")
    archive.faults["/one"] = [404]
    with pytest.raises(DownloadError):
        web.download(f"{archive.url}/one", tmp_path / "one")
    assert (tmp_path / "one").read_text() == "old"


def test_pauses_double_and_are_told(archive, tmp_path, monkeypatch, caplog):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    archive.faults["/one"] = [500, 500, 500, (503, {"Retry-After": "7"})]
    with caplog.at_level(logging.WARNING):
        Web(retries=4, pause=2.0).download(f"{archive.url}/one", tmp_path / "one")
    assert pauses[3] == 7
    for pause, longest in zip(pauses[:3], (2.0, 4.0, 8.0), strict=True):
        assert longest / 2 <= pause <= longest
    assert len(caplog.messages) == 4
    assert "503 Service Unavailable; again in 7.0 s" in caplog.messages[3]


def test_pause_that_a_server_asks_for():
    assert _asked_pause(None) is None
    assert _asked_pause("12") == 12
    assert _asked_pause("1000000") == 600
    assert _asked_pause("soon") is None
    assert _asked_pause("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_beginning_of_a_file(archive, web):
    assert web.read(f"{archive.url}/one", n_bytes=1000) == CONTENT[:1000]
    archive.faults["/one"] = ["no ranges", 500, "cut"]
    assert web.read(f"{archive.url}/one", n_bytes=70_000) == CONTENT[:70_000]
    assert web.read(f"{archive.url}/one") == CONTENT
    archive.faults["/one"] = ["cut"]
    assert web.read(f"{archive.url}/one") == CONTENT


def test_form_is_sent(archive, web):
    archive.answers["/form"] = lambda query, form: repr(form).encode()
    assert web.read(f"{archive.url}/form", form={"request": "a b&c"}) == b"{'request': ['a b&c']}"


def test_several_at_a_time_and_no_more(web):
    lock, now, most = threading.Lock(), [0], [0]

    def work(item):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with lock:
            now[0] -= 1
        return -item

    assert web.each(work, range(9)) == [-item for item in range(9)]
    assert most == [3]
    assert web.each(work, []) == []


def test_missing_files_do_not_keep_others_from_coming(archive, web, tmp_path):
    archive.files |= {f"/{index}": CONTENT for index in range(12) if index % 4}
    with pytest.raises(DownloadError) as told:
        web.each(lambda i: web.download(f"{archive.url}/{i}", tmp_path / str(i)), range(12))
    assert str(told.value) == "; ".join(
        f"{archive.url}/{index}: the server says 404 Not Found" for index in (0, 4, 8)
    )
    assert nothing_but(tmp_path, *(str(index) for index in range(12) if index % 4))


def test_server_that_has_gone_is_not_asked_for_all_the_rest(archive, web, tmp_path):
    archive.faults["*"] = ["always", 503]
    with pytest.raises(DownloadError, match=r"503 Service Unavailable \(tried 3 times\)"):
        web.each(lambda i: web.download(f"{archive.url}/{i}", tmp_path / str(i)), range(50))
    assert len(archive.requests) <= 3 * 8
    assert nothing_but(tmp_path)


def test_errors_of_the_program_are_not_taken_for_those_of_a_server(web):
    with pytest.raises(ZeroDivisionError):
        web.each(lambda item: 1 / item, [1, 0, 2])
