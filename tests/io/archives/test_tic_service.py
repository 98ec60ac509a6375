"""Questions to MAST and VizieR, put through astroquery to a server on this machine."""

import numpy as np
import pandas as pd
import pytest
from astroquery.mast.discovery_portal import PortalAPI
from astroquery.vizier import VizierClass
from fake_archives import COLUMNS, Archive, serve, some_stars

from tessphot_lib.core.errors import ServiceError
from tessphot_lib.io.archives import asking, tic_service
from tessphot_lib.io.archives.tic_service import Cone, Patience, StarService, TooMuchError

SOON = Patience(tries=3, timeouts=2, first_wait=0.001, longest_wait=0.01, timeout=0.3, interval=0.0)
CONE = Cone(359.9, -60.0, 1.0)
FAINT_LIMIT = 16.0


@pytest.fixture
def archive(monkeypatch):
    """2000 stars around RA = 0, and astroquery told that they are at MAST and VizieR."""
    rng = np.random.default_rng(1)
    stars = some_stars(rng.uniform(355, 365, 2000) % 360, rng.uniform(-62, -58, 2000))
    with serve(Archive(stars)) as archive:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(PortalAPI, "MAST_REQUEST_URL", f"{archive.url}/invoke")
        monkeypatch.setattr(PortalAPI, "COLUMNS_CONFIG_URL", f"{archive.url}/columnsconfig")
        monkeypatch.setattr(
            VizierClass, "_server_to_url", lambda self, return_type: f"{archive.url}/{return_type}"
        )
        yield archive


@pytest.fixture(params=["mast", "vizier"])
def service(request, archive):
    return StarService(request.param, SOON)


def expected(archive, cone=CONE):
    stars = archive.select(cone.ra, cone.dec, cone.radius, FAINT_LIMIT)
    return stars.sort_values("ID", ignore_index=True)


def check(archive, stars, cone=CONE):
    assert list(stars.columns) == COLUMNS
    assert stars["ID"].dtype == np.int64
    truth = expected(archive, cone)
    assert len(truth) > 50
    pd.testing.assert_frame_equal(stars.sort_values("ID", ignore_index=True), truth)


def test_all_stars_of_a_circle(archive, service):
    check(archive, service.stars(CONE, FAINT_LIMIT))
    assert len(archive.asked) == 1


def test_pages_are_of_one_query(archive, monkeypatch):
    monkeypatch.setattr(tic_service, "PAGE_SIZE", 30)
    stars = StarService("mast", SOON).stars(CONE, FAINT_LIMIT)
    check(archive, stars)
    assert [request["page"] for request in archive.asked] == list(
        range(1, -(-len(stars) // 30) + 1)
    )
    assert len({request["cacheBreaker"] for request in archive.asked}) == 1


@pytest.mark.parametrize("trouble", [500, 503, 429, 408, "truncated", "html", "empty", "no column"])
def test_answer_after_trouble(archive, service, trouble):
    archive.troubles = [trouble, trouble]
    check(archive, service.stars(CONE, FAINT_LIMIT))
    assert len(archive.asked) == 3


@pytest.mark.parametrize("trouble", ["error", "a row less", "a star twice", "a list"])
def test_answer_of_mast_after_trouble(archive, trouble):
    archive.troubles = [trouble, trouble]
    check(archive, StarService("mast", SOON).stars(CONE, FAINT_LIMIT))
    assert len(archive.asked) == 3


@pytest.mark.parametrize("source", ["mast", "vizier"])
def test_a_mistake_of_ours_is_no_bad_answer(archive, monkeypatch, source):
    def mistake(*_):
        raise AttributeError("'NoneType' object has no attribute 'rows'")

    page = {"mast": "_mast_page", "vizier": "_vizier_rows"}[source]
    monkeypatch.setattr(tic_service, page, mistake)
    with pytest.raises(AttributeError, match="no attribute 'rows'"):
        StarService(source, SOON).stars(CONE, FAINT_LIMIT)
    assert len(archive.asked) == 1


@pytest.mark.parametrize("trouble", ["error", "cut off"])
def test_answer_of_vizier_after_trouble(archive, trouble):
    archive.troubles = [trouble, trouble]
    check(archive, StarService("vizier", SOON).stars(CONE, FAINT_LIMIT))
    assert len(archive.asked) == 3


def test_mast_may_take_its_time(archive):
    archive.troubles = ["executing"] * 4
    check(archive, StarService("mast", SOON).stars(CONE, FAINT_LIMIT))
    assert len({request["cacheBreaker"] for request in archive.asked}) == 1
    assert len(archive.asked) == 5


def test_trouble_on_a_later_page_begins_anew(archive, monkeypatch):
    monkeypatch.setattr(tic_service, "PAGE_SIZE", 30)
    archive.troubles = [None, "truncated"]
    check(archive, StarService("mast", SOON).stars(CONE, FAINT_LIMIT))
    assert [request["page"] for request in archive.asked][:4] == [1, 2, 1, 2]


def test_no_answer_is_not_waited_for(archive, service):
    archive.troubles = ["hang"]
    check(archive, service.stars(CONE, FAINT_LIMIT))
    assert len(archive.asked) == 2


def test_a_question_that_takes_too_long_is_to_be_cut(archive, service):
    archive.troubles = ["hang"] * 3
    with pytest.raises(TooMuchError):
        service.stars(CONE, FAINT_LIMIT)
    assert len(archive.asked) == 2
    archive.troubles = ["hang"] * 3
    with pytest.raises(ServiceError, match=r"asked 3 times, at last: .*timed out"):
        service.stars(Cone(0.0, -60.0, 0.05), FAINT_LIMIT)


def test_mast_that_never_ends_is_to_be_cut(archive, monkeypatch):
    monkeypatch.setattr(PortalAPI, "TIMEOUT", 0.1)
    archive.troubles = ["executing"] * 10_000
    with pytest.raises(TooMuchError, match=r"Timeout limit of 0\.1 exceeded"):
        StarService("mast", SOON).stars(CONE, FAINT_LIMIT)


def test_too_many_stars_are_to_be_cut(archive, service, monkeypatch):
    n_stars = len(expected(archive))
    tic_service._vizier.cache_clear()
    monkeypatch.setattr(tic_service, "MOST_ROWS", n_stars - 1)
    with pytest.raises(TooMuchError):
        service.stars(CONE, FAINT_LIMIT)
    assert len(archive.asked) == 1
    tic_service._vizier.cache_clear()
    monkeypatch.setattr(tic_service, "MOST_ROWS", n_stars)
    check(archive, service.stars(CONE, FAINT_LIMIT))
    tic_service._vizier.cache_clear()


@pytest.mark.parametrize(
    ("source", "title", "other"), [("mast", "MAST", "vizier"), ("vizier", "VizieR", "mast")]
)
def test_last_word_says_what_to_do(archive, source, title, other):
    archive.troubles = [500] * 3
    with pytest.raises(ServiceError) as caught:
        StarService(source, SOON).stars(CONE, FAINT_LIMIT)
    said = str(caught.value)
    assert said.startswith(
        f"{title} gives no answer to: TIC stars within 1.00 deg around RA 359.900, Dec -60.000, "
        "down to Tmag 16.0; asked 3 times, at last: 500 Server Error"
    )
    assert f"catalog.source: {other}" in said
    assert "catalog.source: file" in said
    assert "\n" not in said
    assert archive.troubles == []


def test_refused_question_is_not_repeated(archive, service):
    archive.troubles = [400, 400]
    with pytest.raises(ServiceError, match="asked once, at last: 400 Client Error"):
        service.stars(CONE, FAINT_LIMIT)
    assert len(archive.asked) == 1


def test_nobody_listens(archive, service, monkeypatch):
    monkeypatch.setattr(PortalAPI, "MAST_REQUEST_URL", "http://127.0.0.1:9/invoke")
    monkeypatch.setattr(
        VizierClass, "_server_to_url", lambda self, return_type: "http://127.0.0.1:9/"
    )
    with pytest.raises(ServiceError, match=r"asked 3 times, at last: .*refused"):
        service.stars(CONE, FAINT_LIMIT)


def test_an_empty_piece_of_sky_may_be_small(archive, service):
    nowhere = Cone(180.0, 60.0, 0.1)
    stars = service.stars(nowhere, FAINT_LIMIT)
    assert list(stars.columns) == COLUMNS
    assert len(stars) == 0
    with pytest.raises(ServiceError, match="no star at all"):
        service.stars(Cone(180.0, 60.0, 1.0), FAINT_LIMIT)


def test_pauses_grow_and_differ(archive, monkeypatch):
    pauses = []
    monkeypatch.setattr(asking.time, "sleep", pauses.append)
    patience = Patience(tries=8, first_wait=5.0, longest_wait=60.0, timeout=5.0, interval=0.0)
    archive.troubles = [500] * 7
    check(archive, StarService("mast", patience).stars(CONE, FAINT_LIMIT))
    pauses = [pause for pause in pauses if pause > 0]
    for pause, middle in zip(pauses, [5, 10, 20, 40, 60, 60, 60], strict=True):
        assert 0.5 * middle <= pause <= 1.5 * middle
    assert len(set(pauses)) == 7


def test_requests_do_not_hurry(archive, monkeypatch):
    monkeypatch.setattr(tic_service, "PAGE_SIZE", 60)
    pauses = []
    monkeypatch.setattr(asking.time, "sleep", pauses.append)
    StarService("mast", Patience(interval=0.5)).stars(CONE, FAINT_LIMIT)
    assert len(archive.asked) >= 3
    assert np.sum(np.array(pauses) > 0.3) >= len(archive.asked) - 1
