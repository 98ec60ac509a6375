"""Where a job of the workflow writes what it has to say."""

import logging
import sys
import time
from os import PathLike
from pathlib import Path
from types import TracebackType

from tessphot_lib.core.errors import TessphotError

log = logging.getLogger("tessphot")
WAITS = "tessphot_lib.io.archives"  # logger whose warnings say what is waited for
QUIET = 10.0  # [s] at least between two of them on stderr


class SignsOfLife(logging.Handler):
    """Says on stderr what a job waits for: not more often than every 10 s.

    Parameters
    ----------
    prefix : str, optional
        Of the lines.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__(logging.WARNING)
        self.prefix, self.said = prefix, -QUIET

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, if nothing was said just before."""
        now = time.monotonic()
        if now - self.said >= QUIET:
            self.said = now
            sys.stderr.write(f"{self.prefix}{record.getMessage()}\n")
            sys.stderr.flush()


def replace_signs_of_life(handler: SignsOfLife | None) -> None:
    """Let a handler say what is waited for, and no other one; None: nobody."""
    waits = logging.getLogger(WAITS)
    for other in [one for one in waits.handlers if isinstance(one, SignsOfLife)]:
        waits.removeHandler(other)
    if handler is not None:
        waits.addHandler(handler)


def log_to(path: str | PathLike, level: int = logging.INFO) -> None:
    """Send the log of this process to a file, written again; a script's first act.

    Warnings go there too. An error that a user can mend (`TessphotError`) ends
    the process with one line, ``error: …``, there and on stderr; any other
    exception comes with its traceback. Both give exit status 1.

    Parameters
    ----------
    path : path
        The log file; its folder is made if need be.
    level : int
        Lowest level that is written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    formatter = logging.Formatter(
        "%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    replace_signs_of_life(SignsOfLife())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log that cannot be written (full disk) is not the error
    sys.excepthook = _report


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Last word on an exception that nobody caught."""
    if isinstance(error, TessphotError):
        log.error("error: %s", error)
        sys.stderr.write(f"error: {error}\n")  # at once: other jobs write there, too
        return
    log.critical("unexpected error", exc_info=(kind, error, traceback))
    sys.__excepthook__(kind, error, traceback)
