"""An archive on this machine: plain files and an S3 bucket over http, with faults on demand."""

import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import numpy as np
from astropy.io import fits

STAMPS = [f"20191{day}{hour:02d}1929" for day in (99,) for hour in range(12)]
PIECES = 8  # that a slow answer is given in
ENTRIES_PER_PAGE = 3  # of a listing: few, so that there are several pages


class Archive:
    """What the server has, what goes wrong, and what it was asked for.

    ``files`` are contents by path; ``faults`` lists of faults by path, one for
    each request, then all is well (`always`: from there on); ``answers`` are
    functions of (query, form) by path, for what is not a file.
    """

    def __init__(self):
        self.files = {}
        self.faults = {}
        self.answers = {}
        self.requests = []
        self.at_a_time = Counter()
        self.url = None

    def asked(self, ending=""):
        """Requests whose path ends so: their Range headers, None where there was none."""
        return [said for path, said in self.requests if path.endswith(ending)]

    def next_fault(self, path):
        waiting = self.faults.get(path) or self.faults.get("*") or []
        if waiting[:1] == ["always"]:
            return waiting[1]
        return waiting.pop(0) if waiting else None


@contextmanager
def serving(archive):
    """Run the server, on a port that is free."""

    class Handler(_Handler):
        pass

    Handler.archive = archive
    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def unused_address():
    """An address where nobody answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Others may go away whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer(form)

    def do_GET(self):
        self.answer(None)

    do_HEAD = do_GET

    def answer(self, form):
        archive = self.archive
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        path = parts.path if "uri" not in query else f"/{query['uri'].rsplit('/', 1)[-1]}"
        archive.requests.append((path, self.headers.get("Range")))
        fault = archive.next_fault(path)
        if isinstance(fault, tuple):
            status, headers = fault
            return self.say(status, b"sorry", headers)
        if isinstance(fault, int):
            return self.say(fault, b"sorry")
        if path in archive.answers:
            return self.send(archive.answers[path](query, form), fault)
        if "list-type" in query:
            return self.say(200, listing(archive.files, path.strip("/"), query).encode())
        if path not in archive.files:
            return self.say(404, b"no such file")
        return self.send(archive.files[path], fault)

    def say(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send(self, content, fault):
        total, begin, end = len(content), 0, len(content)
        wanted = self.headers.get("Range")
        if fault == "damaged":
            content = (
                content[: total // 2] + bytes([content[total // 2] ^ 1]) + content[total // 2 + 1 :]
            )
        if fault == "short":
            content, end = content[: total // 2], total // 2
            total = end
        if wanted and fault != "no ranges":
            first, last = wanted.removeprefix("bytes=").split("-")
            begin, end = int(first), min(int(last) + 1 if last else total, total)
            if begin >= total:
                return self.say(416, b"")
        self.send_response(206 if wanted and fault != "no ranges" else 200)
        if wanted and fault != "no ranges":
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{total}")
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        if self.command == "HEAD":
            return None
        content = content[begin:end]
        try:
            if fault == "slow":
                step = -(-len(content) // PIECES)
                for first in range(0, len(content), step):
                    self.wfile.write(content[first : first + step])
                    time.sleep(0.05)
            elif fault in ("cut", "silent"):
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.close_connection = True
                if fault == "silent":
                    time.sleep(1.5)
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the other side has gone
        return None


def listing(files, bucket, query):
    """One page of an S3 listing (ListObjectsV2)."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    entries = {}
    for path in sorted(files):
        key = path.removeprefix(f"/{bucket}/")
        if key == path or not key.startswith(prefix):
            continue
        below, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        if found:
            common = f"{prefix}{below}{delimiter}"
            entries[common] = f"<CommonPrefixes><Prefix>{escape(common)}</Prefix></CommonPrefixes>"
        else:
            entries[key] = (
                f"<Contents><Key>{escape(key)}</Key><Size>{len(files[path])}</Size>"
                "<LastModified>2019-08-20T00:00:00.000Z</LastModified>"
                '<ETag>"0"</ETag><StorageClass>STANDARD</StorageClass></Contents>'
            )
    after = query.get("continuation-token", "")
    rest = [key for key in sorted(entries) if key > after]
    page, is_cut = rest[:ENTRIES_PER_PAGE], len(rest) > ENTRIES_PER_PAGE
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if is_cut else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
        f"<MaxKeys>{ENTRIES_PER_PAGE}</MaxKeys><IsTruncated>{str(is_cut).lower()}</IsTruncated>"
        f"{token}{''.join(entries[key] for key in page)}</ListBucketResult>"
    )


def ffi_name(stamp, camera=1, ccd=1, sector=14):
    return f"tess{stamp}-s{sector:04d}-{camera}-{ccd}-0150-s_ffic.fits"


def ffi_bytes(index, camera=1, ccd=1, shape=(30, 50)):
    """A small image in SPOC's layout, every image another one."""
    start = 1683.34 + index * 1800 / 86400
    primary = fits.PrimaryHDU()
    primary.header["FFIINDEX"] = 11600 + index
    images = []
    for add in (0.0, 0.5):
        image = fits.ImageHDU(np.arange(np.prod(shape), dtype="f4").reshape(shape) + index + add)
        image.header.update(
            {
                **{"CAMERA": camera, "CCD": ccd, "BARYCORR": 0.002, "EXPOSURE": 0.0165},
                **{"TSTART": start, "TSTOP": start + 1800 / 86400, "DQUALITY": 0},
                **{"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 300.0, "CRVAL2": 40.0},
                **{"CRPIX1": 1045.0, "CRPIX2": 1001.0, "CD1_1": -0.0057, "CD1_2": 0.0},
                **{"CD2_1": 0.0, "CD2_2": 0.0057},
            }
        )
        images.append(image)
    hdus = fits.HDUList([primary, *images])
    for hdu in hdus:
        hdu.add_checksum(when="2019-08-20T00:00:30")
    content = BytesIO()
    hdus.writeto(content)
    return content.getvalue()


def fill(archive, stamps, ccds=((1, 1),), sector=14):
    """Put images where the bucket and the server of MAST have them, and the list of all."""
    lines = ["#!/bin/sh"]
    for camera, ccd in ccds:
        for index, stamp in enumerate(stamps):
            name, content = ffi_name(stamp, camera, ccd, sector), ffi_bytes(index, camera, ccd)
            folder = f"/stpubdata/tess/public/ffi/s{sector:04d}/{stamp[:4]}/{stamp[4:7]}"
            archive.files[f"{folder}/{camera}-{ccd}/{name}"] = content
            archive.files[f"{folder}/{camera}-{ccd}/{name.replace('_ffic', '_ffir')}"] = b"raw"
            archive.files[f"/{name}"] = content
            address = f"https://mast.stsci.edu/api/v0.1/Download/file/?uri=mast:TESS/product/{name}"
            lines.append(f"curl -C - -L -o {name} {address}")
    script = f"/missions/tess/download_scripts/sector/tesscurl_sector_{sector}_ffic.sh"
    archive.files[script] = "\n".join([*lines, ""]).encode()
