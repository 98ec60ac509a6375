"""How services are asked through astroquery: with limits of time, pauses, and another try."""

import io
import logging
import random
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessphot_lib.io.files.damage import DAMAGED

if TYPE_CHECKING:
    from astropy.io.votable.tree import TableElement

log = logging.getLogger(__name__)

POLITE_WAIT = 600.0  # [s] the longest that a service may ask us to wait


@dataclass(frozen=True)
class Patience:
    """How long a service is waited for."""

    tries: int = 6  # of one question
    timeouts: int = 2  # of one question, before a smaller one is asked in its place
    first_wait: float = 5.0  # [s] before the second try; doubles with each further one
    longest_wait: float = 120.0  # [s]
    timeout: float = 300.0  # [s] for one answer
    interval: float = 0.5  # [s] from one request to the next, at least

    def wait(self, number: int, service: str, reason: str) -> None:
        """Pause before a further try (``number`` 1: the second); jobs not all at one moment."""
        seconds = min(self.first_wait * 2.0 ** (number - 1), self.longest_wait)
        seconds *= random.uniform(0.5, 1.5)
        log.warning("%s: %s; again in %.1f s", service, reason, seconds)
        time.sleep(seconds)


class BadAnswerError(Exception):
    """An answer that is none; to be tried again."""


def well_behaved(service: Any, patience: Patience) -> Any:
    """Let requests of an astroquery service end in time, not hurry, and fail where they fail."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        last = -np.inf

        def send(self, request, *args, **kwargs):
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = patience.timeout
            time.sleep(max(0.0, Adapter.last + patience.interval - time.monotonic()))
            try:
                response = super().send(request, *args, **kwargs)
            finally:
                Adapter.last = time.monotonic()
            if response.status_code in (429, 503):
                _wait_as_told(response.headers.get("Retry-After", ""))
            response.raise_for_status()
            return response

    for prefix in ("https://", "http://"):
        service._session.mount(prefix, Adapter())
    return service


def _wait_as_told(seconds: str) -> None:
    """Wait as long as a busy service asks for."""
    if seconds.isdigit():
        time.sleep(min(float(seconds), POLITE_WAIT))


def errors_of_requests() -> tuple[type[Exception], ...]:
    """Return what astroquery and the library below it raise."""
    from astroquery.exceptions import RemoteServiceError
    from requests import RequestException

    return RequestException, RemoteServiceError, TimeoutError


def is_timeout(error: Exception) -> bool:
    """Return whether an answer took too long."""
    from requests import Timeout

    return isinstance(error, Timeout | TimeoutError)


def is_worth_another_try(error: Exception) -> bool:
    """Return whether to ask again: not where the service refuses the question itself."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 500)
    return status >= 500 or status in (408, 425, 429)


def in_words(error: Exception) -> str:
    """Tell an error in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."


def asked_in_vain(failures: list[str]) -> str:
    """Say how often a service was asked, and why that failed."""
    times = "once" if len(failures) == 1 else f"{len(failures)} times"
    return f"asked {times}, at last: {failures[-1]}"


def tables_of(content: bytes) -> "list[TableElement]":
    """Read the tables with rows of a VOTable, which is complete if its XML is.

    Raises
    ------
    BadAnswerError
        If it cannot be read, or says that it is an error.
    """
    from astropy.io import votable

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of details of the format
            found = votable.parse(io.BytesIO(content), verify="ignore")
    except DAMAGED as error:
        start = content[:60].decode("utf-8", "replace")
        raise BadAnswerError(
            f"the answer cannot be read: {in_words(error)}; it begins with {start!r}"
        ) from error
    for info in (info for part in (found, *found.resources) for info in part.infos):
        if info.name == "QUERY_STATUS" and str(info.value).upper() == "ERROR":
            raise BadAnswerError(f"it says: {info.content or info.value}")
    return [table for table in found.iter_tables() if len(table.array)]
