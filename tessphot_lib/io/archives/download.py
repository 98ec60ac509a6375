"""Files from web servers: complete and verified under their final names, or not there at all.

What may pass (a lost or silent connection, a busy or failing server, a file that
came incomplete or damaged) is tried again after a pause that doubles, drawn at
random so that many jobs do not come back at the same moment, or after the time
that the server asks for. What will not pass (no such file, not allowed) is an
error at once; where not even a name is found, and no server has answered before, soon:
the machine is not on the internet.

Built on requests rather than on fsspec: it tells the status, the pause that a
server asks for, and which part of a file an answer holds.
"""

import errno
import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import requests

import tessphot_lib
from tessphot_lib.core.errors import DownloadError, InputDataError
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.io.files.atomic import complete_file

log = logging.getLogger(__name__)

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that are worth another try
NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
CHUNK = 1 << 17  # [bytes] written at a time; at most so much of a cut answer is lost
LONGEST_PAUSE = 60.0  # [s] by ourselves
LONGEST_ASKED_PAUSE = 600.0  # [s] that a server may ask for
CONNECT_TIMEOUT = 10.0  # [s] at most until a server takes a connection
NO_NETWORK = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)
RETRIES_WITHOUT_NETWORK = 2  # at most, as long as no server has answered
N_NAMED = 5  # errors that are told; the others are counted

Item = TypeVar("Item")
Result = TypeVar("Result")


class _PassingError(Exception):
    """Something that another try may mend."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause  # [s] that the server asked for


class Web:
    """A polite visitor of web servers, for one or several threads.

    Parameters
    ----------
    connections : int
        Requests at the same time, at most, in `each`.
    retries : int
        Tries after the first one.
    pause : float
        Before the first retry [s]; doubled for each further one, up to a minute,
        and shortened at random by up to a half.
    timeout : float
        How long a server may be silent [s].
    """

    def __init__(
        self,
        *,
        connections: int = 4,
        retries: int = 5,
        pause: float = 1.0,
        timeout: float = 60.0,
    ) -> None:
        self.connections = connections
        self.retries = retries
        self.pause = pause
        self.timeout = timeout
        self._of_thread = threading.local()
        self._has_answer = False  # from any server

    def download(
        self,
        url: str,
        path: Path,
        *,
        size: int | None = None,
        verify: Callable[[Path], Any] | None = None,
    ) -> None:
        """Fetch a file.

        A try that fails half way is continued where it ended, if the server can
        do that; a file that came whole and is wrong is fetched again.

        Parameters
        ----------
        url : str
        path : Path
            Appears complete or not at all.
        size : int, optional
            In bytes, where it is known; else the server's word is taken.
        verify : callable, optional
            Called with the path of what came; raises InputDataError with the
            reason if that is not what it should be. What is wrong twice in the
            same way is wrong at its source, and not tried again.

        Raises
        ------
        DownloadError
            With the address and the reason.
        """
        with complete_file(path) as partial:
            wrong = None

            def receive() -> None:
                nonlocal wrong
                self._receive(url, partial, size)
                try:
                    if verify is not None:
                        verify(partial)
                except InputDataError as error:
                    partial.unlink()
                    if str(error) == wrong:
                        reason = f"{url}: {error} (the same twice)"
                        raise DownloadError(reason, permanent=True) from None
                    wrong = str(error)
                    raise _PassingError(wrong) from None

            self._persist(url, receive)

    def read(
        self,
        url: str,
        *,
        n_bytes: int | None = None,
        form: dict[str, str] | None = None,
        is_ready: Callable[[bytes], bool] | None = None,
    ) -> bytes:
        """Fetch the content of a small file, or the beginning of a large one.

        Parameters
        ----------
        url : str
        n_bytes : int, optional
            No more than so many bytes, from the start.
        form : dict, optional
            Fields of a form to send (POST).
        is_ready : callable, optional
            Tells whether an answer is the final one; else the same is asked again.

        Raises
        ------
        DownloadError
            With the address and the reason.
        """
        headers = {} if n_bytes is None else {"Range": f"bytes=0-{n_bytes - 1}"}

        def receive() -> bytes:
            with self._ask(url, headers, form) as response:
                _check_status(url, response)
                content = bytearray()
                for chunk in response.iter_content(CHUNK if n_bytes is None else 1 << 14):
                    content += chunk
                    if n_bytes is not None and len(content) >= n_bytes:
                        break
                else:
                    _check_length(len(content), _announced(response))
            answer = bytes(content[:n_bytes])
            if is_ready is not None and not is_ready(answer):
                raise _PassingError("the server has not done yet")
            return answer

        return self._persist(url, receive)

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call a function for each item, several at a time; results in the order of the items.

        Raises
        ------
        DownloadError
            All that failed, a few of them by name. Where a server does not
            answer after all retries, what has not been begun is given up.
        """
        with ThreadPoolExecutor(self.connections) as pool:
            futures = [pool.submit(function, item) for item in items]
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_EXCEPTION)
                if not all(getattr(error, "permanent", False) for error in _errors_of(done)):
                    for future in waiting:
                        future.cancel()
        errors = _errors_of(futures)
        for error in errors:
            if not isinstance(error, DownloadError):
                raise error
        if errors:
            named = "; ".join(str(error) for error in errors[:N_NAMED])
            more = f"; and {len(errors) - N_NAMED} more" if len(errors) > N_NAMED else ""
            raise DownloadError(named + more)
        return [future.result() for future in futures]

    def _persist(self, url: str, attempt: Callable[[], Result]) -> Result:
        """Try, and try again what may pass."""
        number, retries, hint = 0, self.retries, ""
        while True:
            try:
                return attempt()
            except NO_ADDRESS as error:
                raise DownloadError(f"{url}: {error}") from None
            except (_PassingError, requests.RequestException) as error:
                reason, asked = _reason(error), getattr(error, "pause", None)
                hint = ""
                if _is_without_network(error) and not self._has_answer:
                    retries = min(self.retries, RETRIES_WITHOUT_NETWORK)
                    hint = "; is this machine on the internet?"
                elif isinstance(error, requests.exceptions.ConnectTimeout):
                    hint = "; the server may be down, or a firewall or a missing proxy between"
            if number >= retries:
                break
            pause = min(self.pause * 2**number, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
            pause = pause if asked is None else asked
            log.warning("%s: %s; again in %.1f s", url, reason, pause)
            time.sleep(pause)
            number += 1
        times = "once" if number == 0 else f"{number + 1} times"
        raise DownloadError(f"{url}: {reason} (tried {times}{hint})")

    def _receive(self, url: str, partial: Path, size: int | None) -> None:
        """Write an answer to a file, behind what an earlier try has left there."""
        have = partial.stat().st_size if partial.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self._ask(url, headers) as response:
            if response.status_code == 416:
                partial.unlink()
                raise _PassingError("the server has no more than what came before")
            _check_status(url, response)
            begin, total = _part_of(response)
            if begin not in (0, have):
                partial.unlink()
                raise _PassingError(f"asked for bytes from {have}, the server gave from {begin}")
            if size is not None and total is not None and total != size:
                partial.unlink(missing_ok=True)
                raise _PassingError(f"the server has {total} bytes, the list says {size}")
            try:
                with partial.open("r+b" if begin else "wb") as file:
                    file.seek(begin)
                    for chunk in response.iter_content(CHUNK):
                        file.write(chunk)
            except requests.RequestException:
                raise
            except OSError as error:
                raise DownloadError(f"{partial.parent}: cannot write: {error.strerror}") from None
        expected = total if size is None else size
        arrived = partial.stat().st_size
        if expected is not None and arrived > expected:
            partial.unlink()
        _check_length(arrived, expected)

    def _ask(
        self, url: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> requests.Response:
        """Send a request; the answer is read later."""
        session = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            session.headers["User-Agent"] = f"tessphot/{tessphot_lib.__version__}"
            session.headers["Accept-Encoding"] = "identity"
        method = "GET" if form is None else "POST"
        timeout = min(CONNECT_TIMEOUT, self.timeout), self.timeout
        answer = session.request(
            method, url, headers=headers, data=form, stream=True, timeout=timeout
        )
        self._has_answer = True
        return answer


def _errors_of(futures: Iterable[Future]) -> list[BaseException]:
    """What went wrong in those that have ended."""
    ended = (future for future in futures if not future.cancelled())
    return [future.exception() for future in ended if future.exception() is not None]


def _check_status(url: str, response: requests.Response) -> None:
    """Raise where the answer is not what was asked for."""
    status = response.status_code
    if status < 400:
        return
    reason = f"the server says {status} {response.reason}".rstrip()
    if status in PASSING:
        raise _PassingError(reason, _asked_pause(response.headers.get("Retry-After")))
    raise DownloadError(f"{url}: {reason}", permanent=True)


def _check_length(arrived: int, expected: int | None) -> None:
    if expected is not None and arrived != expected:
        raise _PassingError(f"{arrived} of {expected} bytes came")


def _announced(response: requests.Response) -> int | None:
    """Bytes that this answer should hold."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _part_of(response: requests.Response) -> tuple[int, int | None]:
    """Return where in the file an answer begins, and the size of the file, where that is known."""
    if response.status_code != 206:
        return 0, _announced(response)
    said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if said is None:
        raise _PassingError("the server does not say which part of the file it gave")
    return int(said[1]), None if said[2] == "*" else int(said[2])


def _asked_pause(text: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
    if text is None:
        return None
    try:
        seconds = (
            float(text)
            if text.isdigit()
            else parsedate_to_datetime(text).timestamp() - (time.time())
        )
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_ASKED_PAUSE)


def _reason(error: Exception) -> str:
    """Say in a few words what went wrong."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "the server does not answer"
    if isinstance(error, requests.exceptions.Timeout) or "Read timed out" in str(error):
        return "the server fell silent"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"no connection ({_innermost(error)})"
    return str(error)


def _is_without_network(error: Exception) -> bool:
    """Return whether a server could not even be looked for."""
    first = _innermost(error)
    return isinstance(first, socket.gaierror) or (
        isinstance(first, OSError) and first.errno in NO_NETWORK
    )


def _innermost(error: BaseException) -> BaseException:
    """Return the error that began it all, whose message has no names of objects."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def web_of(settings: MastSettings) -> Web:
    """Make the visitor of servers that section ``input.mast`` of the configuration describes."""
    return Web(
        connections=settings.connections,
        retries=settings.retries,
        pause=settings.pause,
        timeout=settings.timeout,
    )
