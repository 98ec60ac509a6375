"""A server on this machine that answers like MAST and VizieR do, and fails like they do."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote
from zlib import crc32

import numpy as np
import pandas as pd

COLUMNS = ["ID", "ra", "dec", "pmRA", "pmDEC", "Tmag", "Teff", "objType", "disposition"]
AT_VIZIER = dict(
    zip(
        COLUMNS,
        ["TIC", "RAJ2000", "DEJ2000", "pmRA", "pmDE", "Tmag", "Teff", "S/G", "Disp"],
        strict=True,
    )
)
HANG = 20.0  # [s] longer than any test waits


class Archive:
    """Stars, what is to go wrong next, and what was asked.

    ``troubles`` are taken from the front, one by each question for stars; None
    is an answer without trouble.
    """

    def __init__(self, stars):
        self.stars = stars
        self.troubles = []
        self.asked = []
        self.stop = threading.Event()
        self.url = None

    def select(self, ra, dec, radius, faint_limit):
        """Stars of a circle by the cosine of the angle; no star without Tmag."""
        a, b = np.radians([self.stars["ra"], self.stars["dec"]])
        c, d = np.radians([ra, dec])
        cosine = np.sin(b) * np.sin(d) + np.cos(b) * np.cos(d) * np.cos(a - c)
        inside = cosine >= np.cos(np.radians(radius))
        return self.stars[inside & (self.stars["Tmag"] <= faint_limit).to_numpy()]

    def trouble(self):
        return self.troubles.pop(0) if self.troubles else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/columnsconfig":
            self.answer(json.dumps({name: {"text": name} for name in COLUMNS}))
        elif self.path == "/invoke":
            assert body.startswith("request=")
            self.mast(json.loads(unquote(body.removeprefix("request="))))
        elif self.path == "/votable":
            self.vizier(dict(line.partition("=")[::2] for line in body.split("\n")))
        else:
            self.answer("nothing here", status=404)

    def mast(self, request):
        archive, params = self.server.archive, request["params"]
        assert request["service"] == "Mast.Catalogs.Filtered.Tic.Position.Rows"
        assert params["columns"].split(",") == COLUMNS
        (limits,) = params["filters"]
        assert limits["paramName"] == "Tmag"
        archive.asked.append(request)
        rows = archive.select(
            params["ra"], params["dec"], params["radius"], limits["values"][0]["max"]
        )
        # Each query comes in an order of its own: pages of two queries do not fit together.
        rows = rows.sample(frac=1.0, random_state=crc32(request["cacheBreaker"].encode()))
        page, size = request["page"], request["pagesize"]
        part = rows.iloc[(page - 1) * size : page * size]
        paging = {"page": page, "pageSize": size, "pagesFiltered": -(-len(rows) // size)}
        paging |= {"rows": len(part), "rowsFiltered": len(rows), "rowsTotal": len(rows)}
        data = part.astype(object).where(part.notna() & (part != ""), None).to_dict("records")
        answer = {"status": "COMPLETE", "msg": "", "data": data, "paging": paging}
        answer["fields"] = [{"name": name, "type": "string"} for name in COLUMNS]
        self.troubled(archive.trouble(), answer)

    def troubled(self, trouble, answer):
        if trouble == "executing":
            answer = {"status": "EXECUTING", "msg": "", "data": [], "fields": []}
        elif trouble == "error":
            answer = {"status": "ERROR", "msg": "the database is away", "data": [], "fields": []}
        elif trouble == "empty":
            answer["paging"] |= {"rows": 0, "rowsFiltered": 0, "pagesFiltered": 0}
            answer["data"] = []
        elif trouble == "a row less":
            answer["data"] = answer["data"][:-1]
        elif trouble == "a star twice":
            answer["data"][-1] = answer["data"][0]
        elif trouble == "no column":
            answer["data"] = [dict(row) for row in answer["data"]]
            for row in answer["data"]:
                del row["Tmag"]
        elif trouble == "a list":
            answer = [1, 2]
        self.plain(trouble, json.dumps(answer))

    def plain(self, trouble, text):
        """Troubles of any HTTP server."""
        if trouble == "hang":
            self.server.archive.stop.wait(HANG)
            self.close_connection = True
        elif trouble == "truncated":
            self.answer(text, sent=len(text) // 2)
        elif trouble == "html":
            self.answer("<html>We are down for maintenance</html>")
        elif isinstance(trouble, int):
            self.answer("no", status=trouble, headers={"Retry-After": "0"})
        else:
            self.answer(text)

    def vizier(self, request):
        archive = self.server.archive
        assert request["-source"] == "IV/39/tic82"
        assert request["Tmag"].startswith("<=")
        archive.asked.append(request)
        sign = "-" if "-" in request["-c"] else "+"
        ra, dec = request["-c"].split(sign)
        rows = archive.select(
            float(ra), float(sign + dec), float(request["-c.rd"]), float(request["Tmag"][2:])
        ).iloc[: int(request["-out.max"])]
        names = request["-out"].split(",")
        assert names == list(AT_VIZIER.values())
        trouble = archive.trouble()
        if trouble == "empty":
            rows = rows[:0]
        if trouble == "no column":
            names.remove("Disp")
        self.plain(trouble, votable(rows.rename(columns=AT_VIZIER)[names], trouble))

    def answer(self, text, *, status=200, sent=None, headers=None):
        content = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])
        self.close_connection = sent is not None


def votable(rows, trouble=None):
    """A VOTable as VizieR writes it; without rows it has no table at all."""
    kinds = {"i": "long", "f": "double", "O": "char"}
    fields = "".join(
        f'<FIELD name="{name}" ID="{name.replace("/", "_")}" datatype="{kinds[kind]}"'
        f"{' arraysize=' + chr(34) + '*' + chr(34) if kind == 'O' else ''}/>"
        for name, kind in ((name, rows[name].dtype.kind) for name in rows)
    )
    cells = rows.astype(object).where(rows.notna(), "")
    lines = "".join(
        f"<TR>{''.join(f'<TD>{value}</TD>' for value in row)}</TR>\n"
        for row in cells.itertuples(index=False)
    )
    table = f'<TABLE name="IV/39/tic82">{fields}<DATA><TABLEDATA>{lines}</TABLEDATA></DATA></TABLE>'
    error = '<INFO name="QUERY_STATUS" value="ERROR">no room</INFO>' if trouble == "error" else ""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'{error}<RESOURCE name="IV/39">{table if len(rows) else ""}</RESOURCE></VOTABLE>\n'
    )
    return text[: len(text) // 2] if trouble == "cut off" else text


@contextmanager
def serve(archive):
    """Let an archive answer; its ``url`` tells where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # others may go away whenever they like
    server.archive = archive
    archive.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        archive.stop.set()
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def some_stars(ra, dec, seed=0):
    """Rows of the TIC at positions: some without motion or temperature, some phantoms."""
    rng = np.random.default_rng(seed)
    count = len(ra)
    stars = pd.DataFrame({"ID": rng.permutation(count) + 10_000_000_000, "ra": ra, "dec": dec})
    stars[["pmRA", "pmDEC"]] = rng.normal(0, 20, (count, 2)).round(4)
    stars["Tmag"] = rng.uniform(6, 17, count).round(4)
    stars["Teff"] = rng.uniform(3000, 9000, count).round(1)
    stars["objType"] = rng.choice(["STAR", "EXTENDED"], count)
    stars["disposition"] = rng.choice(["", "SPLIT", "DUPLICATE"], count, p=[0.9, 0.05, 0.05])
    stars.loc[rng.random(count) < 0.1, ["pmRA", "pmDEC"]] = np.nan
    stars.loc[rng.random(count) < 0.1, "Teff"] = np.nan
    stars.loc[rng.random(count) < 0.02, "Tmag"] = np.nan
    return stars
